"""Where every step of every sequence of a batch stands in the packed array."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from tinyseq.errors import DataError
from tinyseq.sequences.rows import Index, RowMap


class Layout:
    """The arrangement of a batch: time-major, longest sequence first, so the rows of a step are a prefix.

    Lengths 3, 5, 2 give order 1, 0, 2, sizes 3, 3, 2, 1, 1 and offsets 0, 3, 6, 8, 9. All are host integers.
    Raises DataError if there is no sequence, or one without steps.
    """

    lengths: tuple[int, ...]  # of each sequence, in the caller's order
    order: tuple[
        int, ...
    ]  # order[k]: the caller's number of the k-th longest sequence; ties keep their order
    sizes: tuple[int, ...]  # sizes[t]: how many sequences have a step t
    offsets: tuple[int, ...]  # offsets[t]: the row where step t begins
    batch: int  # sequences
    steps: int  # length of the longest
    total: int  # rows: the sum of all lengths
    is_dense: bool  # all lengths are equal
    is_ordered: bool  # the caller's order is the packed order

    def __init__(self, lengths: Iterable[int]) -> None:
        given = _checked(lengths)
        self.batch = len(given)
        self.steps = int(given.max())
        self.total = int(given.sum())
        self.is_dense = self.total == self.batch * self.steps
        if self.is_dense:
            self.order = tuple(range(self.batch))
            self.sizes = (self.batch,) * self.steps
            self.offsets = tuple(range(0, self.total, self.batch))
        else:
            order = np.argsort(-given, kind="stable")
            sizes = self.batch - np.cumsum(np.bincount(given))[:-1]
            self.order = tuple(order.tolist())
            self.sizes = tuple(sizes.tolist())
            self.offsets = (0, *np.cumsum(sizes)[:-1].tolist())
        self.lengths = tuple(given.tolist())
        self.is_ordered = self.is_dense or self.order == tuple(range(self.batch))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self.lengths == other.lengths

    def __hash__(self) -> int:
        return hash(self.lengths)

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self.lengths[:8])) + (", ..." if self.batch > 8 else "")
        return f"Layout([{shown}])"

    def locate(self, row: int) -> tuple[int, int]:
        """The sequence (in the caller's order) and the step that packed row `row` holds."""
        return int(self.owners[row]), int(self.times[row])

    @cached_property
    def times(self) -> Index:
        """The step that each row belongs to."""
        return np.repeat(np.arange(self.steps), self.sizes)

    @cached_property
    def _ranks(self) -> Index:
        """The place of each row within its step, which is the rank of its sequence by length."""
        ranks: Index = np.arange(self.total) - np.asarray(self.offsets)[self.times]
        return ranks

    @cached_property
    def owners(self) -> Index:
        """The sequence, in the caller's order, that each row belongs to."""
        owners: Index = np.asarray(self.order)[self._ranks]
        return owners

    @cached_property
    def sorting(self) -> RowMap:
        """One row for each sequence: from the caller's order to the packed order."""
        return RowMap(np.asarray(self.order), self.batch)

    @cached_property
    def grid(self) -> RowMap:
        """From packed rows to steps x batch rows, step after step, each step in the caller's order."""
        index = np.full(self.steps * self.batch, self.total)
        index[self.times * self.batch + self.owners] = np.arange(self.total)
        return RowMap(index, self.total)

    @cached_property
    def listing(self) -> RowMap:
        """From packed rows to the sequences one after another, in the caller's order."""
        lengths, offsets = np.asarray(self.lengths), np.asarray(self.offsets)
        times = np.arange(self.total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return RowMap(offsets[times] + np.repeat(self.sorting.inverse, lengths), self.total)

    @cached_property
    def ends(self) -> RowMap:
        """From packed rows to the last step of each sequence, in the caller's order."""
        index = np.asarray(self.offsets)[np.asarray(self.lengths) - 1] + self.sorting.inverse
        return RowMap(index, self.total)

    @cached_property
    def reversal(self) -> RowMap:
        """From packed rows to packed rows, with every sequence backwards; its own inverse."""
        mirrored = np.asarray(self.lengths)[self.owners] - 1 - self.times
        return RowMap(np.asarray(self.offsets)[mirrored] + self._ranks, self.total)


def _checked(lengths: Iterable[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The lengths as an array, once each is known to be 1 or more."""
    given = np.asarray(lengths if isinstance(lengths, np.ndarray) else list(lengths))
    if given.size == 0:
        raise DataError("A batch needs at least one sequence; this one has none.")
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise DataError(
            f"lengths must be one integer for each sequence; got {given.dtype} of shape {given.shape}."
        )
    short = np.flatnonzero(given < 1)
    if len(short):
        raise DataError(
            f"sequence {short[0]} has length {given[short[0]]}; every sequence needs at least one step. "
            "Drop the empty ones, or give them a step that stands for nothing."
        ).about(short[0], len(given))
    return given.astype(np.int64)
