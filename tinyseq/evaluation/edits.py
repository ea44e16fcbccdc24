"""How far one sequence is from another."""

import functools
import importlib
import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from tinyseq.contracts import Metric
from tinyseq.errors import DataError, ShapeError
from tinyseq.sequences import Sequences


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """The fewest insertions, deletions and substitutions that make a into b (Levenshtein, 1966).

    By rapidfuzz, where it is installed (the extra `fast`), which is some hundred times as fast.
    """
    numbers: dict[Hashable, int] = {}
    both = [[numbers.setdefault(s, len(numbers)) for s in seq] for seq in (a, b)]
    fast = _rapidfuzz()
    if fast is not None:  # on numbers: it compares hashes, and those of -1 and -2 are the same
        return int(fast.distance(*both))
    x, y = (np.array(ids, np.int64) for ids in both)
    columns = np.arange(len(y) + 1)
    row = columns.copy()  # distances of the empty beginning of a from all beginnings of b
    for i, symbol in enumerate(x, 1):
        without_insertion = np.empty_like(row)
        without_insertion[0] = i
        without_insertion[1:] = np.minimum(row[1:] + 1, row[:-1] + (y != symbol))
        # insertions run along the row: row[j] = min over k <= j of without_insertion[k] + j - k
        row = np.minimum.accumulate(without_insertion - columns) + columns
    return int(row[-1])


@functools.cache
def _rapidfuzz() -> Any:
    """rapidfuzz's module of this distance, or None."""
    try:
        return importlib.import_module("rapidfuzz.distance.Levenshtein")
    except ImportError:
        return None


class ErrorRate(Metric):
    """Edits per symbol of the targets: of words it is the word error rate, of characters theirs.

    `update(predictions, targets)` takes one sequence of symbols (a string, a list of words, ids) for each
    target, or Sequences of ids. It can exceed 1. NaN before any symbol.
    """

    higher_is_better = False

    def __init__(self) -> None:
        self.edits = 0
        self.symbols = 0

    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch."""
        for predicted, wanted in pairs("ErrorRate", predictions, targets):
            self.edits += edit_distance(predicted, wanted)
            self.symbols += len(wanted)

    def merge(self, other: "ErrorRate") -> None:
        """Take in all that `other` has seen."""
        self.edits += other.edits
        self.symbols += other.symbols

    def value(self) -> float:
        """The rate over everything seen so far."""
        return self.edits / self.symbols if self.symbols else math.nan


class ExactMatch(Metric):
    """The share of sequences that are predicted without any error. `update` is as in ErrorRate."""

    def __init__(self) -> None:
        self.right = 0
        self.count = 0

    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch."""
        for predicted, wanted in pairs("ExactMatch", predictions, targets):
            self.right += list(predicted) == list(wanted)
            self.count += 1

    def merge(self, other: "ExactMatch") -> None:
        """Take in all that `other` has seen."""
        self.right += other.right
        self.count += other.count

    def value(self) -> float:
        """The share over everything seen so far."""
        return self.right / self.count if self.count else math.nan


def pairs(name: str, predictions: Any, targets: Any) -> list[tuple[Any, Any]]:
    """Each prediction beside its target, as Python sequences.

    Raises ShapeError if there are not as many, DataError for a string where there is to be a list of them,
    and for a string beside a list.
    """
    for given in (predictions, targets):
        if isinstance(given, str):
            raise DataError(
                f"{name} takes a list with one sequence for each target, not the string {given!r}."
            )
    ours, theirs = (
        [_plain(s) for s in (x.to_list() if isinstance(x, Sequences) else x)] for x in (predictions, targets)
    )
    if len(ours) != len(theirs):
        raise ShapeError(f"{name}: there are {len(ours)} predictions, but {len(theirs)} targets.")
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if isinstance(a, str) != isinstance(b, str) or not hasattr(a, "__len__") or not hasattr(b, "__len__"):
            raise DataError(
                f"{name}: prediction {i} is {a!r}, its target {b!r}: both are lists of symbols, or both "
                "are strings."
            ).about(i, len(ours))
    return list(zip(ours, theirs, strict=True))


def _plain(sequence: Any) -> Any:
    if hasattr(sequence, "numpy"):
        sequence = sequence.numpy()
    return sequence.tolist() if isinstance(sequence, np.ndarray) else sequence
