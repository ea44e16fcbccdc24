"""The same elements in another arrangement, and their selection."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinyseq.backend import backend_of
from tinyseq.engine import Tensor, primitive
from tinyseq.errors import ShapeError
from tinyseq.ops._axes import Axis, axes_of


@primitive
def _reshape(xp, x, *, shape):
    before = x.shape
    return x.reshape(shape), lambda g: (g.reshape(before),)


def reshape(x: Any, shape: int | Sequence[int]) -> Any:
    """The same elements in another shape; one length may be -1."""
    return _reshape(x, shape=(shape,) if isinstance(shape, int) else tuple(shape))


@primitive
def _transpose(xp, x, *, axes):
    axes = tuple(range(len(x.shape)))[::-1] if axes is None else axes_of(len(x.shape), tuple(axes))
    back = tuple(sorted(range(len(axes)), key=axes.__getitem__))
    return xp.transpose(x, axes), lambda g: (xp.transpose(g, back),)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Axes in another order; reversed by default."""
    return _transpose(x, axes=axes)


@primitive
def _swapaxes(xp, x, *, axis1, axis2):
    return xp.swapaxes(x, axis1, axis2), lambda g: (xp.swapaxes(g, axis1, axis2),)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    return _swapaxes(x, axis1=axis1, axis2=axis2)


@primitive
def _expand_dims(xp, x, *, axis):
    shape = x.shape
    return xp.expand_dims(x, axis), lambda g: (g.reshape(shape),)


def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    """A new axis of length 1 at position `axis`."""
    return _expand_dims(x, axis=axis)


@primitive
def _squeeze(xp, x, *, axis):
    shape = x.shape
    return xp.squeeze(x, axis), lambda g: (g.reshape(shape),)


def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """Without the axes of length 1, or without those named."""
    return _squeeze(x, axis=axis)


@primitive
def _broadcast_to(xp, x, *, shape):
    return xp.broadcast_to(x, shape), lambda g: (g,)  # the sweep sums


def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """x repeated to `shape` by NumPy's rules."""
    return _broadcast_to(x, shape=tuple(shape))


@primitive
def _concatenate(xp, *xs, axis):
    sizes = [x.shape[axis] for x in xs]
    ndim = len(xs[0].shape)

    def pullback(g):
        start, parts = 0, []
        for size in sizes:
            span = range(start, start + size)
            parts.append(lambda span=span: xp.getitem(g, index=_along(axis, span, ndim)))
            start += size
        return parts

    return xp.concatenate(xs, axis=axis), pullback


def concatenate(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays joined along an axis that they have."""
    if len(arrays) == 0:
        raise ShapeError("concatenate() needs at least one array.")
    return _concatenate(*arrays, axis=axis)


def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis."""
    return concatenate([expand_dims(x, axis) for x in arrays], axis)


@primitive
def _split(xp, x, *, indices_or_sections, axis):
    shape, ndim, length = x.shape, len(x.shape), x.shape[axis]
    if isinstance(indices_or_sections, int):
        n = indices_or_sections
        if n < 1 or length % n:
            raise ShapeError(f"split() cannot divide axis {axis} of {tuple(shape)} into {n} equal parts.")
        cuts = [i * (length // n) for i in range(n + 1)]
    else:
        cuts = [0, *indices_or_sections, length]
    spans = [range(length)[a:b] for a, b in pairwise(cuts)]
    alike = len(set(map(len, spans))) == 1
    covers = sum(map(len, spans)) == length

    def pullback(*gs):
        given = [g for g in gs if g is not None]
        if covers and (alike or len(given) == len(gs)):  # one copy, however many parts there are
            return (xp.concatenate([xp.zeros_like(given[0]) if g is None else g for g in gs], axis=axis),)
        placed = [
            xp.place(g, index=_along(axis, span, ndim), shape=shape)
            for g, span in zip(gs, spans, strict=True)
            if g is not None
        ]
        total = placed[0]
        for g in placed[1:]:
            total = total + g
        return (total,)

    return tuple([xp.getitem(x, index=_along(axis, span, ndim)) for span in spans]), pullback


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """Equal parts (a number), or parts that begin at the given indices, along `axis`.

    Raises ShapeError if the axis cannot be divided equally.
    """
    return list(_split(x, indices_or_sections=indices_or_sections, axis=axis))


def _along(axis: int, span: range, ndim: int) -> tuple[slice, ...]:
    return (slice(None),) * (axis % ndim) + (slice(span.start, span.stop),)


@primitive
def _getitem(xp, x, *, index):
    shape = x.shape
    return xp.getitem(x, index=index), lambda g: (xp.place(g, index=index, shape=shape),)


def getitem(x: Any, index: Any) -> Any:
    """x[index]: slices, integers, None, Ellipsis; integer or boolean arrays as in NumPy."""
    plain = tuple([_plain(i) for i in index]) if isinstance(index, tuple) else _plain(index)
    return _getitem(x, index=plain)


def _plain(index: Any) -> Any:
    if isinstance(index, Tensor):
        return index.data
    if isinstance(index, list | np.ndarray):
        return np.array(index)  # a copy: the caller may fill its own anew before the gradient is taken
    return int(index) if isinstance(index, np.integer) else index


@primitive
def place(xp, g, *, index, shape):
    """Zeros of `shape` with g at `index`, added where one place is named twice: the transpose of getitem."""
    return xp.place(g, index=index, shape=shape), lambda h: (xp.getitem(h, index=index),)


@primitive
def _take(xp, x, indices, *, axis):
    (axis,) = axes_of(len(x.shape), axis)
    size = x.shape[axis]
    return xp.take(x, indices, axis=axis), lambda g: (xp.add_at(g, indices, axis=axis, size=size), None)


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Elements (rows, ...) of x by number along `axis`; of the flattened x by default."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    return _take(x, _ids(x, indices), axis=axis)


def _ids(x: Any, indices: Any) -> Any:
    """Indices in a list as an array beside x."""
    if not isinstance(indices, list | tuple):
        return indices
    home = backend_of(x.data if isinstance(x, Tensor) else x)
    ids = np.asarray(indices, np.int64)
    return ids if home.name == "trace" else home.asarray(ids)  # a traced step refuses arrays by name


@primitive
def add_at(xp, g, indices, *, axis, size):
    """Zeros of length `size` along `axis`, with g added at `indices`: the transpose of take."""
    return xp.add_at(g, indices, axis=axis, size=size), lambda h: (xp.take(h, indices, axis=axis), None)


@primitive
def _take_along_axis(xp, x, indices, *, axis):
    (axis,) = axes_of(len(x.shape), axis)
    size = x.shape[axis]
    return xp.take_along_axis(x, indices, axis=axis), lambda g: (
        xp.add_along_axis(g, indices, axis=axis, size=size),
        None,
    )


def take_along_axis(x: Any, indices: Any, axis: int) -> Any:
    """x at `indices` along `axis`; the other axes of the two go side by side, as in NumPy."""
    return _take_along_axis(x, _ids(x, indices), axis=axis)


@primitive
def add_along_axis(xp, g, indices, *, axis, size):
    """Zeros of length `size` along `axis`, with g added at `indices`: the transpose of take_along_axis."""
    return xp.add_along_axis(g, indices, axis=axis, size=size), lambda h: (
        xp.take_along_axis(h, indices, axis=axis),
        None,
    )


def pad(x: Any, pad_width: Any, *, constant_values: float = 0) -> Any:
    """x with `constant_values` around it; pad_width as NumPy's: (before, after) for each axis, or for all."""
    return _pad(x, pad_width=pad_width, value=constant_values)


@primitive
def _pad(xp, x, *, pad_width, value):
    pairs = np.broadcast_to(np.asarray(pad_width), (len(x.shape), 2)).tolist()
    if any(width < 0 for pair in pairs for width in pair):
        raise ShapeError(f"pad() takes widths of 0 or more, got {pad_width!r}.")
    sides = list(zip(x.shape, pairs, strict=True))
    shape = tuple([a + n + b if a or b else n for n, (a, b) in sides])
    index = tuple([slice(a, a + n) if a or b else slice(None) for n, (a, b) in sides])
    y = xp.place(x, index=index, shape=shape)
    if value != 0:
        y = xp.where(xp.place(xp.ones_like(x), index=index, shape=shape), y, value)
    return y, lambda g: (xp.getitem(g, index=index),)


def flip(x: Any, axis: Axis = None) -> Any:
    """x backwards along `axis`; along every axis by default."""
    return _flip(x, axis=axis)


@primitive
def _flip(xp, x, *, axis):
    axes = axes_of(len(x.shape), axis)
    index = tuple([slice(None, None, -1 if i in axes else None) for i in range(len(x.shape))])
    return xp.getitem(x, index=index), lambda g: (xp.getitem(g, index=index),)
