"""BLEU: how much of a translation stands, in short pieces, in the reference."""

import importlib
import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from tinyseq.contracts import Metric
from tinyseq.errors import ConfigError, DataError
from tinyseq.evaluation.edits import pairs

ORDER = 4


class BLEU(Metric):
    """The geometric mean of the precisions of 1- to 4-grams over a corpus, times a brevity penalty; 0 to 100.

    `update(predictions, targets)` takes one sequence of tokens (words, ids) for each target, or Sequences
    of ids. With tokenize="13a" it takes texts, which sacrebleu (the extra `bleu`) cuts as published figures
    do. Precisions of 0 are smoothed as sacrebleu does by default. 0 before anything. Sources: Papineni et
    al. (2002); Post (2018).
    """

    def __init__(self, *, tokenize: str | None = None) -> None:
        if tokenize not in (None, "13a"):
            raise ConfigError(f"BLEU: tokenize is None, for tokens, or '13a', for texts, not {tokenize!r}.")
        self.tokenize = tokenize
        self._tokens: Callable[[Any], Any] = _as_given if tokenize is None else _tokenizer_13a()
        self.right = np.zeros(ORDER, np.int64)  # n-grams of predictions that are in their reference
        self.total = np.zeros(ORDER, np.int64)  # n-grams of predictions
        self.predicted = 0  # tokens
        self.wanted = 0

    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch. Raises DataError for texts without `tokenize`, and for tokens with it."""
        for predicted, wanted in pairs("BLEU", predictions, targets):
            self._check(predicted)
            predicted, wanted = self._tokens(predicted), self._tokens(wanted)
            self.predicted += len(predicted)
            self.wanted += len(wanted)
            for n in range(ORDER):
                ours, theirs = _grams(predicted, n + 1), _grams(wanted, n + 1)
                self.right[n] += (ours & theirs).total()
                self.total[n] += ours.total()

    def _check(self, text: Any) -> None:
        """Raise DataError for a text where there are to be tokens, or the other way round."""
        if self.tokenize is None and isinstance(text, str):
            raise DataError(
                f"BLEU takes the tokens of each text as a list, not {text!r}, whose tokens would be its "
                "characters: split it, or say BLEU(tokenize='13a')."
            )
        if self.tokenize is not None and not isinstance(text, str):
            raise DataError(f"BLEU(tokenize={self.tokenize!r}) cuts texts, and {text!r} is none.")

    def merge(self, other: "BLEU") -> None:
        """Take in all that `other` has seen. Raises ConfigError if it cut texts otherwise."""
        if other.tokenize != self.tokenize:
            raise ConfigError(f"BLEU of tokenize={other.tokenize!r} cannot be merged into {self.tokenize!r}.")
        self.right += other.right
        self.total += other.total
        self.predicted += other.predicted
        self.wanted += other.wanted

    def value(self) -> float:
        """The figure over everything seen so far."""
        if not self.right.any() or not self.total.all():
            return 0.0
        logs, halving = [], 1
        for right, total in zip(self.right.tolist(), self.total.tolist(), strict=True):
            if right == 0:
                halving *= 2
            logs.append(math.log(right / total if right else 1 / (halving * total)))
        brevity = min(0.0, 1 - self.wanted / self.predicted)
        return 100 * math.exp(brevity + math.fsum(logs) / ORDER)


def _grams(tokens: Sequence[Hashable], n: int) -> Counter[tuple[Hashable, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def _as_given(tokens: Any) -> Any:
    return tokens


def _tokenizer_13a() -> Callable[[str], list[str]]:
    try:
        tokenizer = importlib.import_module("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
    except ImportError:
        raise ConfigError(
            "BLEU(tokenize='13a') needs sacrebleu: pip install 'tinyseq[bleu]', or give tokens instead of "
            "texts."
        ) from None
    return lambda text: str(tokenizer(text.rstrip())).split()
