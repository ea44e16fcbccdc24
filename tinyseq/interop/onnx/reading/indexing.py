"""Nodes that pick values by their place, and put them there, in tinyseq's ops."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.errors import DataError
from tinyseq.interop.onnx.reading.call import Call, axis_of, constant


def _gather(c: Call) -> Any:
    x, axis = c[0], axis_of(c, 0, c[0].ndim)
    return ops.take(x, _indices(c, c[1].numpy(), x.shape[axis]), axis=axis)


def _indices(c: Call, found: Any, size: int) -> Any:
    """Indices counted from the front. Raises DataError for one that is outside."""
    if found.dtype.kind not in "iu" or (found.size and not (-size <= found.min() <= found.max() < size)):
        raise DataError(f"{c.op} has an index outside of an axis of {size}.")
    return constant(np.where(found < 0, found + size, found).astype(np.int64))


def _gather_elements(c: Call) -> Any:
    x, axis = c[0], axis_of(c, 0, c[0].ndim)
    index = _indices(c, c[1].numpy(), x.shape[axis])
    cut = tuple([slice(None) if i == axis else slice(0, n) for i, n in enumerate(index.shape)])
    return ops.take_along_axis(ops.getitem(x, cut), index, axis=axis)


def _gather_nd(c: Call) -> Any:
    """As one gather of rows from the axes that are named, flattened."""
    x, index, batch = c[0], c[1].numpy(), int(c.attr("batch_dims", 0))
    depth = index.shape[-1]
    named = x.shape[batch : batch + depth]
    each = [_indices(c, index[..., k], n).numpy() for k, n in enumerate(named)]
    where = np.ravel_multi_index(each, named) if named else np.zeros(index.shape[:-1], np.int64)
    rows, size = int(np.prod(x.shape[:batch], dtype=np.int64)), int(np.prod(named, dtype=np.int64))
    where = where.reshape(rows, -1) + np.arange(rows)[:, None] * size
    flat = x.reshape((rows * size, *x.shape[batch + depth :]))
    found = ops.take(flat, constant(where.reshape(-1)), axis=0)
    return found.reshape((*index.shape[:-1], *x.shape[batch + depth :]))


def _scatter_elements(c: Call) -> Any:
    """Updates put where an index along one axis says, or added there."""
    x, updates, axis, how = c[0], c[2], axis_of(c, 0, c[0].ndim), c.attr("reduction", "none")
    if how not in ("none", "add"):
        raise DataError(f"ScatterElements is read with the reductions none and add, not {how!r}.")
    index = _indices(c, c[1].numpy(), x.shape[axis]).numpy()
    if index.shape != updates.shape or any(n > m for n, m in zip(index.shape, x.shape, strict=True)):
        raise DataError(f"ScatterElements of {updates.shape} by {index.shape} into {x.shape}.")
    place = list(np.indices(index.shape))
    place[axis] = index
    where = np.ravel_multi_index(place, x.shape).reshape(-1)
    return _scattered(x, where, updates.reshape(-1), how)


def _scatter_nd(c: Call) -> Any:
    """Updates put, or added, where the last axis of the indices says."""
    x, found, updates, how = c[0], c[1].numpy(), c[2], c.attr("reduction", "none")
    if how not in ("none", "add"):
        raise DataError(f"ScatterND is read with the reductions none and add, not {how!r}.")
    depth = found.shape[-1]
    rest = x.shape[depth:]
    if updates.shape != (*found.shape[:-1], *rest):
        raise DataError(f"ScatterND of {updates.shape} by {found.shape} into {x.shape}.")
    each = [_indices(c, found[..., k], n).numpy() for k, n in enumerate(x.shape[:depth])]
    size = int(np.prod(rest, dtype=np.int64))
    first = np.ravel_multi_index(each, x.shape[:depth]).reshape(-1, 1) * size if depth else np.zeros((1, 1))
    where = (first + np.arange(size)).astype(np.int64).reshape(-1)
    return _scattered(x, where, updates.reshape(-1), how)


def _scattered(x: Any, where: Any, flat: Any, how: str) -> Any:
    """x with values at flat positions, the last of those that share one; or with them added."""
    if how == "add":
        added = ops.add_at(flat, constant(where), axis=0, size=x.size)
        return x + added.reshape(x.shape)
    source = np.full(x.size, -1)
    source[where] = np.arange(len(where))
    put = ops.take(flat, constant(source.clip(0)), axis=0) if len(where) else x.reshape(-1)
    return ops.where(constant(source >= 0), put, x.reshape(-1)).reshape(x.shape)


def _top_k(c: Call) -> Any:
    """The largest or smallest along an axis, sorted; of equal ones the first."""
    x, (count,), axis = c[0], c.ints(1), axis_of(c, -1, c[0].ndim)
    if not 0 <= count <= x.shape[axis]:
        raise DataError(f"TopK of {count} from an axis of {x.shape[axis]}.")
    values = x.numpy()
    if c.attr("largest", 1):  # stable from the end, and then turned, keeps the first of equal ones first
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(values, axis), axis, kind="stable"), axis)
    else:
        order = np.argsort(values, axis, kind="stable")
    index = constant(np.take(order, range(count), axis).astype(np.int64))
    return ops.take_along_axis(x, index, axis=axis), index


def _one_hot(c: Call) -> Any:
    """One of two values, where an index counts from either end; nothing for an index outside."""
    index, depth, values = c[0].numpy(), int(c[1].numpy().item()), c[2]
    axis = axis_of(c, -1, index.ndim + 1)
    c.bounded([index.size * depth])
    clock = np.arange(depth).reshape([-1 if k == axis else 1 for k in range(index.ndim + 1)])
    hot = np.expand_dims(np.where(index < 0, index + depth, index), axis) == clock
    return ops.where(constant(hot), values[1], values[0])


def _non_zero(c: Call) -> Any:
    x = np.atleast_1d(c[0].numpy())
    return constant(np.stack(np.nonzero(x)).astype(np.int64))


INDEXING: dict[str, Callable[[Call], Any]] = {
    "Gather": _gather, "GatherElements": _gather_elements, "GatherND": _gather_nd, "TopK": _top_k,
    "ScatterElements": _scatter_elements, "ScatterND": _scatter_nd, "OneHot": _one_hot, "NonZero": _non_zero,
}  # fmt: skip
