"""Fewer elements out than in: sums and extremes."""

import math
from typing import Any

import numpy as np

from tinyseq.engine import primitive
from tinyseq.ops._axes import Axis, axes_of, kept
from tinyseq.ops.half import in_float32
from tinyseq.ops.pointwise import equal, multiply, sqrt, square, where
from tinyseq.ops.shape import concatenate, getitem, reshape, transpose


@primitive
def _sum(xp, x, *, axis, keepdims):
    shape = x.shape
    return x.sum(axis=axis, keepdims=keepdims), lambda g: (_repeated(xp, g, shape, axis, keepdims),)


def _repeated(xp: Any, g: Any, shape: tuple[Any, ...], axis: Axis, keepdims: bool) -> Any:
    """The gradient of a sum for each of its terms."""
    whole = keepdims or axis is None  # broadcasts as it is
    return xp.broadcast_to(g if whole else g.reshape(kept(shape, axis)), shape)


def sum(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Sum over `axis` (all by default)."""
    return _sum(x, axis=axis, keepdims=keepdims)


@primitive
def _mean(xp, x, *, axis, keepdims):
    shape = x.shape
    total = x.sum(axis=axis, keepdims=keepdims)
    count = math.prod([shape[a] for a in axes_of(len(shape), axis)])
    scale = 1.0 / count if count else math.nan
    return total * scale, lambda g: (_repeated(xp, g * scale, shape, axis, keepdims),)


@in_float32
def mean(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Arithmetic mean over `axis` (all by default); NaN over nothing."""
    return _mean(x, axis=axis, keepdims=keepdims)


@in_float32
def var(x: Any, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    """Variance over `axis` (all by default): the squared distances from the mean, summed, over n - ddof."""
    squares = square(x - mean(x, axis, keepdims=True))
    if not ddof:
        return mean(squares, axis, keepdims=keepdims)
    count = math.prod([x.shape[a] for a in axes_of(len(x.shape), axis)])
    scale = 1.0 / (count - ddof) if count > ddof else math.nan
    return sum(squares, axis, keepdims=keepdims) * scale


def std(x: Any, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    """The square root of `var`; its gradient is 0 where all elements are equal."""
    return root(var(x, axis, ddof=ddof, keepdims=keepdims))


def root(x: Any) -> Any:
    """The square root of a sum of squares, with derivative 0 where they are all 0."""
    return where(equal(x, 0), 0, sqrt(where(equal(x, 0), 1, x)))


def prod(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Product over `axis` (all by default); 1 over nothing. Its gradient is exact where elements are 0."""
    axes = axes_of(len(x.shape), axis)
    others = [i for i in range(len(x.shape)) if i not in axes]
    shape = kept(x.shape, axes) if keepdims else tuple([x.shape[i] for i in others])
    if not axes:
        return multiply(x, 1)
    if x.dtype.kind in "bi" and x.dtype.itemsize < 8:
        x = x.astype("int64")
    elif x.dtype.kind == "u":
        x = x.astype("uint64")
    n = math.prod([x.shape[a] for a in axes])
    if axes != tuple(range(len(others), len(x.shape))):
        x = transpose(x, (*others, *axes))
    if len(axes) > 1:
        x = reshape(x, (*[x.shape[i] for i in range(len(others))], n))
    if not n:
        return reshape(sum(x, -1) + 1, shape)
    while n > 1:  # in pairs, so that no product of all others is a quotient by what may be 0
        half = n // 2
        pairs = multiply(getitem(x, (..., slice(half))), getitem(x, (..., slice(half, 2 * half))))
        if n % 2:
            last = multiply(getitem(pairs, (..., slice(1))), getitem(x, (..., slice(2 * half, n))))
            pairs = last if half == 1 else concatenate([last, getitem(pairs, (..., slice(1, half)))], axis=-1)
        x, n = pairs, half
    return reshape(x, shape)


@primitive
def _cumsum(xp, x, *, axis):
    def to_x(g):
        back = tuple([slice(None)] * axis + [slice(None, None, -1)])
        return xp.getitem(xp.cumsum(xp.getitem(g, index=back), axis=axis), index=back)

    return xp.cumsum(x, axis=axis), lambda g: (to_x(g),)


def cumsum(x: Any, axis: int | None = None) -> Any:
    """The sum of all elements up to each along `axis`; of the flattened x by default."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    (axis,) = axes_of(len(x.shape), axis)
    return _cumsum(x, axis=axis)


@primitive
def _max(xp, x, *, axis, keepdims):
    if is_over_nothing(x, axis):
        return _lowest(xp, x, axis, keepdims), lambda g: (xp.zeros_like(x),)
    y = x.max(axis=axis, keepdims=keepdims)
    return y, lambda g: (_to_extremes(xp, x, y, g, axis),)


def max(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Largest element over `axis` (all by default); equal ones share the gradient.

    Over nothing it is -inf, and of integers the least that there is, as in ONNX.
    """
    return _max(x, axis=axis, keepdims=keepdims)


@primitive
def _min(xp, x, *, axis, keepdims):
    if is_over_nothing(x, axis):
        return _highest(xp, x, axis, keepdims), lambda g: (xp.zeros_like(x),)
    y = xp.min(x, axis=axis, keepdims=keepdims)
    return y, lambda g: (_to_extremes(xp, x, y, g, axis),)


def min(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Smallest element over `axis` (all by default); equal ones share the gradient.

    Over nothing it is inf, and of integers the greatest that there is, as in ONNX.
    """
    return _min(x, axis=axis, keepdims=keepdims)


def is_over_nothing(x: Any, axis: Axis) -> bool:
    """Whether a reduction of x has no element to go through."""
    return any(x.shape[a] == 0 for a in axes_of(len(x.shape), axis))


def _lowest(xp: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    nothing = xp.astype(x.sum(axis=axis, keepdims=keepdims), dtype=x.dtype)
    if x.dtype.kind == "f":
        return nothing - math.inf
    return nothing if x.dtype.kind == "b" else nothing + int(np.iinfo(x.dtype).min)


def _highest(xp: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    nothing = xp.astype(x.sum(axis=axis, keepdims=keepdims), dtype=x.dtype)
    if x.dtype.kind == "f":
        return nothing + math.inf
    return xp.logical_not(nothing) if x.dtype.kind == "b" else nothing + int(np.iinfo(x.dtype).max)


def _to_extremes(xp: Any, x: Any, y: Any, g: Any, axis: Axis) -> Any:
    few = kept(x.shape, axis)
    chosen = xp.equal(x, y.reshape(few))
    share = g.reshape(few) / xp.where(chosen, xp.ones_like(x), 0).sum(axis=axis, keepdims=True)
    return xp.where(chosen, share, 0)


@primitive
def _argmax(xp, x, *, axis):
    return xp.argmax(x, axis=axis), None


def argmax(x: Any, axis: int | None = None) -> Any:
    """Index of the (first) largest element along `axis`, or in the flattened array."""
    return _argmax(x, axis=axis)


@primitive
def _argmin(xp, x, *, axis):
    return xp.argmin(x, axis=axis), None


def argmin(x: Any, axis: int | None = None) -> Any:
    """Index of the (first) smallest element along `axis`, or in the flattened array."""
    return _argmin(x, axis=axis)
