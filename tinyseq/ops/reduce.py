"""Fewer elements out than in: sums and extremes."""

import math
from typing import Any

from tinyseq.engine import primitive
from tinyseq.ops._axes import Axis, axes_of, kept
from tinyseq.ops.half import in_float32
from tinyseq.ops.pointwise import square


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
def var(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Variance over `axis` (all by default): the mean squared distance from the mean (ddof 0)."""
    return mean(square(x - mean(x, axis, keepdims=True)), axis, keepdims=keepdims)


@primitive
def _max(xp, x, *, axis, keepdims):
    y = x.max(axis=axis, keepdims=keepdims)
    return y, lambda g: (_to_extremes(xp, x, y, g, axis),)


def max(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Largest element over `axis` (all by default); equal ones share the gradient."""
    return _max(x, axis=axis, keepdims=keepdims)


@primitive
def _min(xp, x, *, axis, keepdims):
    y = xp.min(x, axis=axis, keepdims=keepdims)
    return y, lambda g: (_to_extremes(xp, x, y, g, axis),)


def min(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Smallest element over `axis` (all by default); equal ones share the gradient."""
    return _min(x, axis=axis, keepdims=keepdims)


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
