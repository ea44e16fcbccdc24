"""Nodes that make values and rearrange them, whatever they are, in tinyseq's ops."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.errors import DataError
from tinyseq.interop.onnx.reading.call import Call, axis_of, constant


def _reshape(c: Call) -> Any:
    x, shape = c[0], c.ints(1)
    if not c.attr("allowzero", 0):
        shape = [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    if shape.count(-1) > 1:
        raise DataError(f"Reshape leaves more than one length open: {shape[:8]}.")
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
    shape = np.broadcast_shapes(c[0].shape, c.bounded(c.ints(1)))
    return ops.broadcast_to(c[0], c.bounded(shape))


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


def _tile(c: Call) -> Any:
    x, times = c[0], c.ints(1)
    if len(times) != x.ndim or min(times, default=0) < 0:
        raise DataError(f"Tile of {x.shape} by {times[:8]}.")
    c.bounded([n * t for n, t in zip(x.shape, times, strict=True)])
    return ops.tile(x, times)


def _pad(c: Call) -> Any:
    """A constant around, or values of x again; a negative width cuts off."""
    x, widths, mode = c[0], c.axes(1, "pads") or (), c.attr("mode", "constant")
    axes = [a % x.ndim for a in c.axes(3) or range(x.ndim)]
    if len(widths) != 2 * len(axes) or mode not in ("constant", "reflect", "edge", "wrap"):
        raise DataError(f"Pad of {x.shape} by {list(widths)[:8]}, mode {mode!r}.")
    around = [(0, 0)] * x.ndim
    for k, axis in enumerate(axes):
        around[axis] = widths[k], widths[k + len(axes)]
    c.bounded([max(n + a + b, 0) for n, (a, b) in zip(x.shape, around, strict=True)])
    cut = [slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, around, strict=True)]
    x, around = x[tuple(cut)], [(max(a, 0), max(b, 0)) for a, b in around]
    if mode == "constant":
        value = c.get(2)
        fill = c.attr("value", 0.0) if value is None else value.numpy().item()
        if x.dtype.kind != "f":
            return constant(np.pad(x.numpy(), around, constant_values=fill))
        return ops.pad(x, around, constant_values=fill)
    for axis, width in enumerate(around):
        if any(width):
            modes: Any = mode
            x = ops.take(x, constant(np.pad(np.arange(x.shape[axis]), width, mode=modes)), axis=axis)
    return x


def _range(c: Call) -> Any:
    start, limit, delta = (c[k].numpy().item() for k in range(3))
    if delta == 0 or not np.isfinite([start, limit, delta]).all():
        raise DataError(f"Range from {start} to {limit} by {delta} has no end.")
    c.bounded([max(int(np.ceil((limit - start) / delta)), 0)])
    values: Any = np.arange(start, limit, delta)
    return constant(values.astype(c[0].dtype))


def _constant_of_shape(c: Call) -> Any:
    value = c.attr("value", np.zeros(1, np.float32))
    return constant(np.full(c.bounded(c.ints(0)), value.reshape(-1)[0], value.dtype))


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
    "Range": _range,
    "Trilu": _trilu, "CumSum": _cum_sum, "Tile": _tile, "Pad": _pad,
    "ConstantOfShape": _constant_of_shape, "Constant": _constant, "ReverseSequence": _reverse_sequence,
}  # fmt: skip
