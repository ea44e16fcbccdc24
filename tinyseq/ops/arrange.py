"""Elements sorted, repeated, moved around an axis, masked."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyseq.engine import primitive
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.ops._axes import Axis, axes_of
from tinyseq.ops.shape import (
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    getitem,
    reshape,
    take,
    take_along_axis,
)


@primitive
def _argsort(xp, x, *, axis):
    return xp.argsort(x, axis=axis), None


def argsort(x: Any, axis: int | None = -1) -> Any:
    """The indices that sort x along `axis` (flattened if None), ascending; equal ones keep their order."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    return _argsort(x, axis=axis)


def sort(x: Any, axis: int | None = -1) -> Any:
    """x in ascending order along `axis`, flattened if None; NaN comes last."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    return take_along_axis(x, argsort(x, axis), axis)


def top_k(x: Any, k: int, axis: int = -1) -> tuple[Any, Any]:
    """The k largest elements along `axis`, the largest first, equal ones in their order; their indices.

    Raises ShapeError if there are fewer than k.
    """
    (axis,) = axes_of(len(x.shape), axis)
    length = x.shape[axis]
    if not 0 <= k <= length:
        raise ShapeError(f"top_k() of {k} elements along axis {axis} of {tuple(x.shape)}: it has {length}.")
    backward = flip(argsort(flip(x, axis), axis), axis)  # of equal elements the last of the first come first
    indices = getitem(length - 1 - backward, (*[slice(None)] * axis, slice(k)))
    return take_along_axis(x, indices, axis), indices


def tile(x: Any, reps: int | Sequence[int]) -> Any:
    """x side by side with itself, reps times along each axis: numpy.tile."""
    times = [reps] if isinstance(reps, int) else list(reps)
    if any(n < 0 for n in times):
        raise ShapeError(f"tile() takes repetitions of 0 or more, got {reps!r}.")
    times = [1] * (len(x.shape) - len(times)) + times
    shape = [1] * (len(times) - len(x.shape)) + list(x.shape)
    inner = [
        m for n, length in zip(times, shape, strict=True) for m in ((n, length) if n != 1 else (length,))
    ]
    apart = [
        m for n, length in zip(times, shape, strict=True) for m in ((1, length) if n != 1 else (length,))
    ]
    whole = [length if n == 1 else n * length for n, length in zip(times, shape, strict=True)]
    return reshape(broadcast_to(reshape(x, apart), inner), whole)


def repeat(x: Any, repeats: int | Sequence[int], axis: int | None = None) -> Any:
    """Each element of x along `axis` (flattened by default) `repeats` times, or each as often as said."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    (axis,) = axes_of(len(x.shape), axis)
    length = x.shape[axis]
    if isinstance(repeats, int):
        if repeats < 0:
            raise ShapeError(f"repeat() takes 0 or more repetitions, got {repeats}.")
        shape = [*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :]]
        whole = [*x.shape[:axis], length * repeats, *x.shape[axis + 1 :]]
        return reshape(broadcast_to(expand_dims(x, axis + 1), shape), whole)
    counts = np.asarray(repeats)
    if (
        counts.ndim != 1
        or counts.shape[0] not in (1, length)
        or counts.dtype.kind not in "iu"
        or (counts < 0).any()
    ):
        raise ShapeError(
            f"repeat() along axis {axis} of {tuple(x.shape)} takes one count of 0 or more, "
            f"or {length} of them."
        )
    return take(x, np.repeat(np.arange(length), counts).tolist(), axis)


def roll(x: Any, shift: int | Sequence[int], axis: Axis = None) -> Any:
    """x with its elements moved `shift` places along `axis`, round the end; flattened meanwhile if None."""
    if axis is None:
        return reshape(roll(reshape(x, -1), shift, 0), x.shape)
    axes = axes_of(len(x.shape), axis)
    shifts = [shift] * len(axes) if isinstance(shift, int) else list(shift)
    axes = axes * len(shifts) if len(axes) == 1 else axes
    if len(shifts) != len(axes):
        raise ShapeError(f"roll() takes a shift for each axis, got {shift!r} for axes {axis!r}.")
    for by, a in zip(shifts, axes, strict=True):
        length = x.shape[a]
        cut = (length - by) % length if length else 0
        if cut:
            before = (slice(None),) * a
            x = concatenate([getitem(x, (*before, slice(cut, None))), getitem(x, (*before, slice(cut)))], a)
    return x


@primitive
def _tril(xp, x, *, k):
    return xp.tril(x, k=k), lambda g: (xp.tril(g, k=k),)


def tril(x: Any, k: int = 0) -> Any:
    """x (..., rows, columns) with 0 above the k-th diagonal."""
    return _tril(_matrices("tril", x), k=k)


@primitive
def _triu(xp, x, *, k):
    return xp.triu(x, k=k), lambda g: (xp.triu(g, k=k),)


def triu(x: Any, k: int = 0) -> Any:
    """x (..., rows, columns) with 0 below the k-th diagonal."""
    return _triu(_matrices("triu", x), k=k)


def _matrices(name: str, x: Any) -> Any:
    if len(x.shape) < 2:
        raise ShapeError(f"{name}() takes matrices (..., rows, columns), got {tuple(x.shape)}.")
    return x


@primitive
def _one_hot(xp, ids, *, size, dtype):
    if xp.name != "trace" and ids.size and not (int(ids.min()) >= 0 and int(ids.max()) < size):
        raise DataError(
            f"one_hot() takes indices from 0 to {size - 1}, got {int(ids.min())} to {int(ids.max())}."
        )
    last = xp.expand_dims(ids, -1)
    ones = xp.ones_like(xp.astype(last, dtype=dtype))
    return xp.add_along_axis(ones, last, axis=len(ids.shape), size=size), None


def one_hot(indices: Any, num_classes: int, *, dtype: Any = "float32") -> Any:
    """1 at each index and 0 elsewhere: integers (...) in [0, num_classes) -> (..., num_classes).

    Raises DataError for an index outside: a device would wrap it silently. A compiled step does not look at
    them.
    """
    if not hasattr(indices, "dtype"):
        indices = np.asarray(indices)
    if num_classes < 1:
        raise ConfigError(f"one_hot(num_classes={num_classes}): there is 1 class or more.")
    if indices.dtype.kind not in "iu":
        raise DataError(f"one_hot() takes integer indices, not {indices.dtype} values.")
    return _one_hot(indices, size=num_classes, dtype=dtype)
