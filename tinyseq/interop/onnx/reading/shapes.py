"""Nodes that make and rearrange values, in tinyseq's ops."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.errors import DataError
from tinyseq.interop.onnx.reading.call import Call, axis_of, bounded, constant


def _reshape(c: Call) -> Any:
    x, shape = c[0], c.ints(1)
    if not c.attr("allowzero", 0):
        shape = [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    if -1 in shape:
        rest = np.prod([n for n in shape if n != -1], dtype=np.int64)
        shape[shape.index(-1)] = int(x.size // rest) if rest else 0
    return x.reshape(tuple(shape))


def _flatten(c: Call) -> Any:
    x, axis = c[0], int(c.attr("axis", 1))
    axis += x.ndim if axis < 0 else 0
    return x.reshape(
        int(np.prod(x.shape[:axis], dtype=np.int64)), int(np.prod(x.shape[axis:], dtype=np.int64))
    )


def _expand(c: Call) -> Any:
    shape = np.broadcast_shapes(c[0].shape, bounded(c.op, c.ints(1)))
    return ops.broadcast_to(c[0], bounded(c.op, shape))


def _shape(c: Call) -> Any:
    return constant(np.array(c[0].shape[slice(c.attr("start"), c.attr("end"))], np.int64))


def _squeeze(c: Call) -> Any:
    return ops.squeeze(c[0], c.axes(1))


def _unsqueeze(c: Call) -> Any:
    axes = c.axes(1)
    return c[0] if not axes else ops.expand_dims(c[0], axes)


def _transpose(c: Call) -> Any:
    axes = c.attr("perm")
    return ops.transpose(c[0], None if axes is None else tuple(axes))


def _concat(c: Call) -> Any:
    return ops.concatenate(c.all, axis=axis_of(c, 0, c[0].ndim))


def _slice(c: Call) -> Any:
    x, starts, ends = c[0], c.ints(1), c.ints(2)
    axes = c.ints(3) if c.get(3) is not None else list(range(len(starts)))
    steps = c.ints(4) if c.get(4) is not None else [1] * len(starts)
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        n = x.shape[axis]
        stop: int | None = end
        if step < 0 and end + (n if end < 0 else 0) < 0:
            stop = None  # down to the first one
        index[axis] = slice(start, stop, step)
    return ops.getitem(x, tuple(index))


def _split(c: Call) -> Any:
    x, axis = c[0], axis_of(c, 0, c[0].ndim)
    parts = c.axes(1, "split")
    if parts is None:
        count = c.outputs
        if int(c.attr("num_outputs", count)) != count:
            raise DataError(f"Split into {c.attr('num_outputs'):,} has {count} outputs.")
        size = -(-x.shape[axis] // count)
        parts = tuple([min(size, max(x.shape[axis] - k * size, 0)) for k in range(count)])
    if sum(parts) != x.shape[axis] or min(parts) < 0:
        raise DataError(f"Split of an axis of {x.shape[axis]} into {list(parts)}.")
    return tuple(ops.split(x, np.cumsum(parts)[:-1].tolist(), axis=axis))


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
    flat = updates.reshape(-1)
    if how == "add":
        added = ops.add_at(flat, constant(where), axis=0, size=x.size)
        return x + added.reshape(x.shape)
    source = np.full(x.size, -1)
    source[where] = np.arange(len(where))
    put = ops.take(flat, constant(source.clip(0)), axis=0) if len(where) else x.reshape(-1)
    return ops.where(constant(source >= 0), put, x.reshape(-1)).reshape(x.shape)


def _trilu(c: Call) -> Any:
    k = 0 if c.get(1) is None else c.ints(1)[0]
    x = c[0]
    if x.ndim < 2:
        raise DataError(f"Trilu takes matrices, not {x.shape}.")
    bound = max(x.shape[-2:]) + 1  # beyond it nothing changes
    return (ops.triu if c.attr("upper", 1) else ops.tril)(x, max(-bound, min(bound, k)))


def _cum_sum(c: Call) -> Any:
    """From either end, with or without the element itself."""
    x, axes = c[0], c.ints(1)
    if len(axes) != 1 or not -x.ndim <= axes[0] < x.ndim:
        raise DataError(f"CumSum along axis {axes} of {x.shape}.")
    axis = axes[0] % x.ndim
    if c.attr("reverse", 0):
        x = ops.flip(x, axis)
    if x.dtype.kind == "f":
        found = ops.cumsum(x, axis)
    else:  # in the dtype of x, where NumPy would take a wider one
        found = constant(np.cumsum(x.numpy(), axis=axis, dtype=x.dtype))
    if c.attr("exclusive", 0) and x.shape[axis]:
        shape = [1 if i == axis else n for i, n in enumerate(x.shape)]
        earlier = [slice(None)] * axis + [slice(0, x.shape[axis] - 1)]
        found = ops.concatenate([constant(np.zeros(shape, x.dtype)), found[tuple(earlier)]], axis=axis)
    return ops.flip(found, axis) if c.attr("reverse", 0) else found


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


def _range(c: Call) -> Any:
    start, limit, delta = (c[k].numpy().item() for k in range(3))
    if delta == 0 or not np.isfinite([start, limit, delta]).all():
        raise DataError(f"Range from {start} to {limit} by {delta} has no end.")
    bounded(c.op, [max(int(np.ceil((limit - start) / delta)), 0)])
    values: Any = np.arange(start, limit, delta)
    return constant(values.astype(c[0].dtype))


def _constant_of_shape(c: Call) -> Any:
    value = c.attr("value", np.zeros(1, np.float32))
    return constant(np.full(bounded(c.op, c.ints(0)), value.reshape(-1)[0], value.dtype))


def _constant(c: Call) -> Any:
    for name, dtype in (
        ("value", None), ("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64),
        ("value_ints", np.int64),
    ):  # fmt: skip
        if name in c.attributes:
            return constant(np.asarray(c.attributes[name], dtype))
    raise DataError("Constant without a value that is a number.")


def _reverse_sequence(c: Call) -> Any:
    x, lengths = c[0], c[1].numpy()
    time, batch = int(c.attr("time_axis", 0)), int(c.attr("batch_axis", 1))
    if {time, batch} != {0, 1} or lengths.shape != (x.shape[batch],):
        raise DataError(f"ReverseSequence of shape {x.shape} needs one length for each sequence.")
    steps = x.shape[time]
    if lengths.size and not (0 <= lengths.min() <= lengths.max() <= steps):
        raise DataError(f"ReverseSequence has a length outside of its {steps} steps.")
    clock, ends = np.arange(steps)[:, None], lengths[None]
    index = np.where(clock < ends, ends - 1 - clock, clock)
    index = index if time == 0 else index.T
    index = index.reshape(*index.shape, *[1] * (x.ndim - 2))
    return ops.take_along_axis(x, constant(np.broadcast_to(index, x.shape)), axis=time)


SHAPES: dict[str, Callable[[Call], Any]] = {
    "Reshape": _reshape, "Flatten": _flatten, "Expand": _expand, "Shape": _shape,
    "Size": lambda c: constant(np.array(c[0].size, np.int64)), "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze, "Transpose": _transpose, "Concat": _concat, "Slice": _slice, "Split": _split,
    "Gather": _gather, "GatherElements": _gather_elements, "GatherND": _gather_nd, "Range": _range,
    "TopK": _top_k, "Trilu": _trilu, "CumSum": _cum_sum,
    "ScatterElements": _scatter_elements,
    "ConstantOfShape": _constant_of_shape, "Constant": _constant, "ReverseSequence": _reverse_sequence,
}  # fmt: skip
