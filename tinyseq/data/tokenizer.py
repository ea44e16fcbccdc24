"""A tokenizer of Hugging Face's `tokenizers` where a Vocabulary is asked for."""

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinyseq.data.vocabulary import Ids, Vocabulary
from tinyseq.errors import ConfigError, DataError


class TokenizerVocabulary(Vocabulary):
    """The symbols of a `tokenizers.Tokenizer` with its ids; texts are taken apart and put together by it.

    `tokenizer` is one of that package, or a fast one of transformers, which has it inside. Sequences of
    symbols are looked up one by one. Raises ConfigError for anything else, or for ids with gaps.
    """

    def __init__(self, tokenizer: Any) -> None:
        inner = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if not all(hasattr(inner, name) for name in ("encode", "decode", "get_vocab", "to_str")):
            raise ConfigError(
                f"TokenizerVocabulary takes a tokenizers.Tokenizer, not a {type(tokenizer).__name__}."
            )
        ids: dict[str, int] = inner.get_vocab(with_added_tokens=True)
        symbols = sorted(ids, key=ids.__getitem__)
        if [ids[symbol] for symbol in symbols] != list(range(len(symbols))):
            raise ConfigError("The ids of this tokenizer have gaps, so they are no places in a list.")
        super().__init__(symbols, unit="word")
        self.unknown = getattr(getattr(inner, "model", None), "unk_token", None)
        self.tokenizer = inner

    def encode(self, text: str | Sequence[str]) -> Ids:
        """The ids (int64) of a text, or of a sequence of symbols."""
        if isinstance(text, str):
            return np.array(self.tokenizer.encode(text).ids, np.int64)
        return super().encode(text)

    def decode(self, ids: Iterable[int], *, skip_specials: bool = False) -> str:
        """The text of ids."""
        chosen = [int(i) for i in ids]
        wrong = [i for i in chosen if not 0 <= i < len(self)]
        if wrong:
            raise DataError(f"There is no id {wrong[0]} in a tokenizer of {len(self)} symbols.")
        return str(self.tokenizer.decode(chosen, skip_special_tokens=skip_specials))

    def to_json(self) -> str:
        """The tokenizer as its own JSON."""
        return str(self.tokenizer.to_str())

    @classmethod
    def from_json(cls, text: str) -> "TokenizerVocabulary":
        """The vocabulary of a tokenizer's JSON. Raises DataError for anything else."""
        try:
            kind = importlib.import_module("tokenizers").Tokenizer
        except ImportError:
            raise ConfigError(
                "TokenizerVocabulary.from_json() needs tokenizers: pip install 'tinyseq[tokenizers]'."
            ) from None
        try:
            return cls(kind.from_str(text))
        except Exception as error:  # of whatever kind: tokenizers raises bare ones
            raise DataError(f"This is no tokenizer that to_json() wrote ({error}).") from None
