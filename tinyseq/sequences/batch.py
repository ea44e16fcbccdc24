"""Sequences: what every layer takes and gives."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.backend import WORDS, Array, backend, backend_of, words_of
from tinyseq.engine import Tensor
from tinyseq.errors import DataError, ShapeError
from tinyseq.sequences.layout import Layout


class Sequences:
    """A batch of sequences of unequal length as one array without padding.

    data: (rows, ...), one row for each step of each sequence, arranged as `layout` says: all first steps,
    the longest sequence first, then all second steps, and so on. A position-wise operation works on `data`.
    What has one row for each sequence (`last()`, states, `lengths`) is in the caller's order.
    """

    __slots__ = ("_id_range", "data", "layout", "looked_up")

    def __init__(self, data: Any, layout: Layout) -> None:
        array = data.data if isinstance(data, Tensor) else data
        # Python's host sees the ids before a device does, where reading them back would wait for it.
        self._id_range = _extremes(array) if isinstance(array, np.ndarray) else None
        self.data = data if isinstance(data, Tensor) else Tensor(data)
        self.layout = layout
        self.looked_up: tuple[Tensor, Tensor] | None = None  # (table, ids) that the data came from, if known
        if self.data.ndim < 1 or self.data.shape[0] != layout.total:
            raise ShapeError(
                f"data of shape {self.data.shape} does not fit sequences that have {layout.total} steps in "
                "all: it needs one row for each step."
            )

    @classmethod
    def from_list(cls, sequences: Iterable[Any]) -> "Sequences":
        """Sequences of shapes (length, ...), Tensors or anything NumPy can read, as one batch.

        Raises DataError if there are none or one is empty, ShapeError if more than their lengths differ.
        """
        rows = [_array(s) for s in sequences]
        if any(len(row.shape) == 0 or row.shape[1:] != rows[0].shape[1:] for row in rows):
            raise _odd_one([tuple(row.shape) for row in rows])
        layout = Layout([row.shape[0] for row in rows])
        if layout.is_dense:
            return cls(_from_grid(ops.stack(rows, 1), layout), layout)
        return cls(layout.listing.back(ops.concatenate(rows)), layout)

    @classmethod
    def from_padded(cls, padded: Any, lengths: Iterable[int] | None = None) -> "Sequences":
        """The first `lengths[b]` steps of each padded[b] (all by default); padded: (batch, time, ...).

        Raises ShapeError if the lengths do not fit, DataError if one is less than 1.
        """
        padded = _array(padded)
        shape = tuple(padded.shape)
        if len(shape) < 2:
            raise ShapeError(f"the padded array must be (batch, time, ...); got shape {shape}.")
        layout = _dense(shape[0], shape[1]) if lengths is None else Layout(lengths)
        if layout.batch != shape[0]:
            raise ShapeError(f"the padded array has shape {shape}, lengths has {layout.batch} entries.")
        if layout.steps > shape[1]:
            at = layout.lengths.index(layout.steps)
            raise ShapeError(
                f"sequence {at} has length {layout.steps}, but the padded array of shape {shape} has "
                f"{shape[1]} steps."
            ).about(at, layout.batch)
        if layout.steps < shape[1]:
            padded = ops.getitem(padded, (slice(None), slice(0, layout.steps)))
        return cls(_from_grid(ops.swapaxes(padded, 0, 1), layout), layout)

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many steps each sequence has."""
        return self.layout.lengths

    @property
    def batch_size(self) -> int:
        """How many sequences there are."""
        return self.layout.batch

    @property
    def dtype(self) -> Any:
        """NumPy's dtype of the elements."""
        return self.data.dtype

    @property
    def id_range(self) -> tuple[int, int]:
        """The smallest and the largest of integer data; no device is asked if they came from the host.

        Raises DataError if the data are no integers.
        """
        if self._id_range is None:
            self._id_range = _extremes(self.data.data)
            if self._id_range is None:
                raise DataError(f"Only integer data have a range of ids; these are {self.dtype}.")
        return self._id_range

    def __len__(self) -> int:
        return self.layout.batch

    def __repr__(self) -> str:
        lengths = sorted({min(self.lengths), max(self.lengths)})
        return (
            f"Sequences({self.batch_size} of length {' to '.join(map(str, lengths))}, "
            f"data {self.data.shape} {self.dtype})"
        )

    def to_list(self) -> list[Tensor]:
        """Each sequence as a Tensor (length, ...)."""
        if self.layout.is_dense:
            return [ops.squeeze(part, 0) for part in ops.split(self.to_padded(), self.batch_size)]
        rows = self.layout.listing(self.data)
        parts: list[Tensor] = ops.split(rows, np.cumsum(self.lengths)[:-1].tolist())
        return parts

    def to_padded(self, value: float = 0) -> Tensor:
        """A Tensor (batch, time, ...) with `value` after the end of each sequence."""
        return self._grid(value).swapaxes(0, 1)

    def with_data(self, data: Tensor) -> "Sequences":
        """The same arrangement with other values: one row for each step."""
        return Sequences(data, self.layout)

    def map(self, function: Callable[[Tensor], Tensor]) -> "Sequences":
        """`function` applied to the rows of all steps at once; it must keep their number and order."""
        return Sequences(function(self.data), self.layout)

    def detach(self) -> "Sequences":
        """The same values as constants: no gradient flows back from here."""
        return Sequences(self.data.detach(), self.layout)

    def select(self, places: Iterable[int]) -> "Sequences":
        """Some of the sequences, as a batch of their own, in the order of `places`.

        Raises DataError if `places` is empty, IndexError if one of them is none of the batch.
        """
        chosen = np.asarray(list(places), np.int64)
        layout, old = Layout(np.asarray(self.lengths)[chosen]), self.layout
        packed_places = old.sorting.inverse[chosen[layout.owners]]
        rows = backend_of(self.data.data).asarray(np.asarray(old.offsets)[layout.times] + packed_places)
        return Sequences(ops.take(self.data, rows, axis=0), layout)

    def reverse(self) -> "Sequences":
        """Every sequence backwards, from its own last step to its first."""
        if self.layout.is_dense:
            return Sequences(_from_grid(ops.flip(self._grid(), 0), self.layout), self.layout)
        return Sequences(self.layout.reversal(self.data), self.layout)

    def last(self) -> Tensor:
        """The last step of each sequence: (batch, ...)."""
        if self.layout.is_dense:
            return self.data[-self.batch_size :]
        ends: Tensor = self.layout.ends(self.data)
        return ends

    def first(self) -> Tensor:
        """The first step of each sequence: (batch, ...)."""
        return in_callers_order(self.data[: self.batch_size], self.layout)

    def sum(self) -> Tensor:
        """The sum over the steps of each sequence: (batch, ...)."""
        return self._grid().sum(axis=0)

    def mean(self) -> Tensor:
        """The mean over the steps of each sequence: (batch, ...)."""
        if self.layout.is_dense:
            return self._grid().mean(axis=0)
        lengths = np.asarray(self.lengths, self.dtype).reshape(-1, *[1] * (self.data.ndim - 1))
        mean: Tensor = ops.divide(self.sum(), backend_of(self.data.data).asarray(lengths))
        return mean

    def max(self) -> Tensor:
        """The largest value over the steps of each sequence: (batch, ...); equal ones share the gradient."""
        lowest = float("-inf") if self.dtype.kind == "f" else int(np.iinfo(self.dtype).min)
        return self._grid(lowest).max(axis=0)

    def spread(self, rows: Tensor) -> Tensor:
        """rows: (batch, ...), one for each sequence, repeated at each of its steps: (steps in all, ...)."""
        if rows.ndim < 1 or rows.shape[0] != self.batch_size:
            raise ShapeError(
                f"spread() needs one row for each of {self.batch_size} sequences; got shape {rows.shape}."
            )
        steps: Tensor = _from_grid(ops.broadcast_to(rows, (self.layout.steps, *rows.shape)), self.layout)
        return steps

    def _grid(self, value: float = 0) -> Tensor:
        """A Tensor (time, batch, ...) in the caller's order, with `value` where a sequence has no step."""
        layout = self.layout
        shape = layout.steps, layout.batch, *self.data.shape[1:]
        if layout.is_dense:
            return self.data.reshape(shape)
        rows = layout.grid(self.data)
        if value != 0:
            index, _ = layout.grid.beside(self.data)
            present = (index < layout.total).reshape(-1, *[1] * (self.data.ndim - 1))
            rows = ops.where(present, rows, value)
        grid: Tensor = rows.reshape(shape)
        return grid


def _odd_one(shapes: list[tuple[int, ...]]) -> ShapeError:
    """The error about the first of these shapes that is unlike most of them."""
    usual = Counter(shape[1:] for shape in shapes if shape).most_common(1)
    at = next(i for i, shape in enumerate(shapes) if not shape or shape[1:] != usual[0][0])
    other = (
        next((i for i, shape in enumerate(shapes) if shape and shape[1:] == usual[0][0]), at) if usual else 0
    )
    return ShapeError(
        f"sequence {at} has shape {shapes[at]}, sequence {other} has {shapes[other]}: each must be "
        "(length, ...) and only the lengths may differ."
    ).about(at, len(shapes))


@lru_cache(64)
def _dense(batch: int, steps: int) -> Layout:
    """The layout of sequences of equal length; windows of a text and single tokens ask for it often."""
    return Layout([steps] * batch)


def _from_grid(grid: Any, layout: Layout) -> Any:
    """The packed rows of (time, batch, ...) in the caller's order."""
    rows = ops.reshape(grid, (layout.steps * layout.batch, *grid.shape[2:]))
    return rows if layout.is_dense else layout.grid.back(rows)


def in_packed_order(rows: Tensor, layout: Layout) -> Tensor:
    """Rows (batch, ...) from the caller's order to longest first."""
    return rows if layout.is_ordered else layout.sorting(rows)


def in_callers_order(rows: Tensor, layout: Layout) -> Tensor:
    """Rows (batch, ...) from longest first to the caller's order."""
    return rows if layout.is_ordered else layout.sorting.back(rows)


def concatenate_features(parts: Sequence[Sequences]) -> Sequences:
    """Batches of the same lengths side by side: their last axes joined."""
    for i, part in enumerate(parts):
        if part.layout is not parts[0].layout and part.layout != parts[0].layout:
            raise ShapeError(
                f"part {i} has lengths {list(part.lengths)}, part 0 has {list(parts[0].lengths)}: "
                "features can only be joined step by step."
            )
    return parts[0].with_data(ops.concatenate([part.data for part in parts], axis=-1))


def packed(xs: Any) -> Sequences:
    """Sequences as they are; a Tensor (batch, time, ...) as sequences of equal length."""
    if isinstance(xs, Sequences):
        return xs
    if isinstance(xs, Tensor):
        return Sequences.from_padded(xs)
    raise TypeError(f"Expected Sequences or a Tensor (batch, time, ...), not {type(xs).__name__}.")


def like(xs: Any, ys: Sequences) -> Any:
    """ys in the form that xs came in: Sequences for Sequences, a Tensor (batch, time, ...) for a Tensor."""
    return ys if isinstance(xs, Sequences) else ys.to_padded()


def _array(values: Any) -> Any:
    """A Tensor or an array as it is; anything else as NumPy's array, with Python floats as float32."""
    if isinstance(values, Tensor) or type(values) in WORDS:
        return values
    array = backend("numpy").asarray(values)
    return array.astype(np.float32) if array.dtype == np.float64 and not hasattr(values, "dtype") else array


def _extremes(array: Array) -> tuple[int, int] | None:
    """The least and the greatest of an array of integers; None for any other."""
    if array.dtype.kind not in "iu" or array.size == 0:
        return None
    words = words_of(array)
    return int(words.min(array)), int(words.max(array))
