"""Symbols (characters or words) and their ids."""

import json
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinyseq.contracts.pairing import check_list
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, DataError, brief, clip, listed

Ids = np.ndarray[Any, np.dtype[np.int64]]

UNITS = {"char": "", "word": " "}  # unit: what stands between two symbols in a text


class Vocabulary:
    """A fixed, ordered list of symbols: the id of a symbol is its place in the list.

    `unit` says how a text is taken apart: "char", or "word" (at white space). Special tokens come first;
    `unknown`, one of them, stands for every symbol that is not in the list. A word of a text that is spelled
    like a special token is that token.

    Raises ConfigError for a symbol that is listed twice or is no string, a text where a list of words is
    meant, or an unknown token that is not among the specials.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        *,
        unit: str = "char",
        specials: Sequence[str] = (),
        unknown: str | None = None,
    ) -> None:
        if unit not in UNITS:
            raise ConfigError(f"A Vocabulary has the unit 'char' or 'word', not {unit!r}.")
        self.unit = unit
        self.specials = (specials,) if isinstance(specials, str) else tuple(specials)
        self.unknown = unknown
        if unit == "word":  # the characters of a string are a list of symbols, too
            check_list("Vocabulary", "symbols", symbols)
        self.symbols = (*self.specials, *symbols)
        for symbol in self.symbols:
            if not isinstance(symbol, str):
                raise ConfigError(f"A Vocabulary is of strings, and the symbol {symbol!r} is none.")
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        if len(self._ids) < len(self.symbols):
            twice = [symbol for symbol, n in Counter(self.symbols).items() if n > 1]
            raise ConfigError(
                f"A Vocabulary lists each symbol once; these come twice: {listed(map(repr, twice))}."
            )
        if unknown is not None and unknown not in self.specials:
            raise ConfigError(f"The unknown token {unknown!r} is not among the specials {list(specials)}.")

    @classmethod
    def build(
        cls,
        text: str | Iterable[str],
        *,
        unit: str = "char",
        min_count: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        unknown: str | None = None,
    ) -> "Vocabulary":
        """The symbols of a text (or of an iterable of symbols), most frequent first; ties by code point.

        Symbols seen fewer than `min_count` times are left out, and so is all beyond `max_size` in all. Raises
        DataError for an iterable of whole texts.
        """
        specials = (specials,) if isinstance(specials, str) else specials
        try:
            counts = Counter(_split(text, unit) if isinstance(text, str) else text)
        except TypeError:
            raise DataError(
                "Vocabulary.build() takes a text, or an iterable of symbols, which are strings: of several "
                "sentences, give the words one after another."
            ) from None
        texts = [symbol for symbol in counts if isinstance(symbol, str) and len(symbol.split()) > 1]
        if not isinstance(text, str) and 2 * len(texts) > len(counts):
            raise DataError(
                f"Vocabulary.build() was given texts, such as {brief(texts[0])}: it takes their symbols one "
                "after another: (word for text in texts for word in text.split()), or, of characters, "
                '"".join(texts).'
            )
        for special in specials:
            del counts[special]
        ranked = sorted((s for s, n in counts.items() if n >= min_count), key=lambda s: (-counts[s], s))
        if max_size is not None:
            ranked = ranked[: max(0, max_size - len(specials))]
        return cls(ranked, unit=unit, specials=specials, unknown=unknown)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((self.unit, self.symbols, self.specials, self.unknown))

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} {self.unit}s, {len(self.specials)} special)"

    def id(self, symbol: str) -> int:
        """The id of one symbol, or that of the unknown token. Raises DataError if there is neither."""
        found = self._ids.get(symbol)
        if found is None:
            return int(self.encode([symbol])[0])
        return found

    def encode(self, text: str | Sequence[str]) -> Ids:
        """The ids (int64) of the symbols of a text, or of a sequence of symbols.

        Without an unknown token, raises DataError, with symbol and position, for one that is not in the list;
        always for what is no string, such as ids.
        """
        symbols = _split(text, self.unit) if isinstance(text, str) else text
        get = self._ids.get
        try:
            ids = np.fromiter((get(s, -1) for s in symbols), np.int64, len(symbols))
        except TypeError:  # no sequence, or one of lists
            raise DataError(
                "encode() takes a text, or one sequence of symbols, which are strings; of several sequences, "
                "encode one after another."
            ) from None
        missing = np.flatnonzero(ids < 0)
        if not missing.size:
            return ids
        for at in missing.tolist():
            if not isinstance(symbols[at], str):
                raise DataError(
                    f"encode() takes symbols, which are strings, and at position {at} is {symbols[at]!r}: "
                    "ids are encoded already."
                )
        if self.unknown is not None:
            ids[missing] = self._ids[self.unknown]
        else:
            at = int(missing[0])
            raise DataError(
                f"{self.unit} {symbols[at]!r} at position {at} is not in the vocabulary of {len(self)} "
                f"{self.unit}s ({missing.size} such position(s) in all): build the vocabulary with an "
                "unknown token, or from this text as well."
            )
        return ids

    def decode(self, ids: Iterable[int], *, skip_specials: bool = False) -> str:
        """The text of ids: characters side by side, words with a space between.

        Raises DataError for an id that no symbol has, and for what is no integer.
        """
        chosen = []
        for given in _listed(ids):
            i = -1 if isinstance(given, bool | np.bool_) else _whole(given)
            if not 0 <= i < len(self.symbols):
                raise DataError(f"There is no id {given!r} in a vocabulary of {len(self)} {self.unit}s.")
            if not (skip_specials and i < len(self.specials)):
                chosen.append(self.symbols[i])
        return UNITS[self.unit].join(chosen)

    def _fields(self) -> dict[str, Any]:
        symbols = list(self.symbols[len(self.specials) :])
        return {
            "unit": self.unit,
            "specials": list(self.specials),
            "unknown": self.unknown,
            "symbols": symbols,
        }

    def to_json(self) -> str:
        """The vocabulary as JSON; `from_json` reads it back equal."""
        return json.dumps({"version": 1, **self._fields()}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """The vocabulary that `to_json` wrote. Raises DataError for anything else."""
        try:
            fields = json.loads(text)
            if fields.pop("version") != 1:
                raise ValueError("its version is not 1")
            strings = [*fields["symbols"], *fields["specials"], fields["unit"], fields["unknown"] or ""]
            if not all(isinstance(s, str) for s in strings):
                raise ValueError("a symbol is not a string")
            return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"This is no vocabulary that to_json() wrote ({type(error).__name__}: {clip(str(error))})."
            ) from None


def _split(text: str, unit: str) -> Sequence[str]:
    return text if unit == "char" else text.split()


def _listed(ids: Any) -> list[Any]:
    """What `decode` is given, one after another."""
    if isinstance(ids, Tensor):
        ids = ids.numpy()
    try:
        return ids.tolist() if isinstance(ids, np.ndarray) and ids.ndim == 1 else list(ids)
    except TypeError:
        raise DataError(f"decode() takes one sequence of ids, not {ids!r}.") from None


def _whole(value: Any) -> int:
    """An integer, -1 for what is none: a float would lose its fraction."""
    try:
        return operator.index(value)
    except TypeError:
        return -1
