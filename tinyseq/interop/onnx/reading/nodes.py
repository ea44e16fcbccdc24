"""Nodes that compute value by value, reduce, and rearrange, in tinyseq's ops: gradients pass through them."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import DataError
from tinyseq.interop.onnx.reading.call import Call, axis_of, bounded, constant

Op = Callable[[Call], Any]


def _of_all(function: Callable[[Any, Any], Any]) -> Op:
    return lambda c: functools.reduce(function, c.all)


def _unary(function: Callable[[Any], Any]) -> Op:
    return lambda c: function(c[0])


def _binary(function: Callable[[Any, Any], Any]) -> Op:
    return lambda c: function(c[0], c[1])


def _divide(c: Call) -> Any:
    """Of integers, the quotient without its fraction."""
    a, b = c[0], c[1]
    if a.dtype.kind == "f":
        return ops.divide(a, b)
    quotient, rest = np.divmod(a.numpy(), b.numpy())
    return constant((quotient + ((rest != 0) & (quotient < 0))).astype(a.dtype))


def _power(c: Call) -> Any:
    """In the dtype of the base."""
    a, b = c[0], c[1]
    if a.dtype.kind != "f":
        return constant(np.power(a.numpy().astype(float), b.numpy()).astype(a.dtype))
    if b.size == 1 and b.ndim <= a.ndim and not b.requires_grad:
        return ops.power(a, float(b.numpy().item()))
    return ops.power(a, b.astype(a.dtype) if b.dtype != a.dtype else b)


def _mean(c: Call) -> Any:
    return functools.reduce(ops.add, c.all) * (1 / len(c.inputs))


def _clip(c: Call) -> Any:
    x = c[0]
    for k, name, bound in ((1, "min", ops.maximum), (2, "max", ops.minimum)):
        limit: Any = c.get(k) if c.get(k) is not None else c.attr(name)
        if limit is not None:
            x = bound(x, limit)
    return x


def _elu(c: Call) -> Any:
    x, alpha = c[0], float(c.attr("alpha", 1.0))
    return ops.where(x > 0, x, alpha * ops.expm1(ops.minimum(x, 0.0)))


def _hard_sigmoid(c: Call) -> Any:
    return ops.clip(c[0] * float(c.attr("alpha", 0.2)) + float(c.attr("beta", 0.5)), 0, 1)


def _leaky(c: Call) -> Any:
    x = c[0]
    return ops.where(x >= 0, x, x * float(c.attr("alpha", 0.01)))


def _thresholded(c: Call) -> Any:
    x = c[0]
    return ops.where(x > float(c.attr("alpha", 1.0)), x, 0.0)


def _is_inf(c: Call) -> Any:
    values = c[0].numpy()
    up, down = bool(c.attr("detect_positive", 1)), bool(c.attr("detect_negative", 1))
    return constant((np.isposinf(values) & up) | (np.isneginf(values) & down))


def _xor(c: Call) -> Any:
    return constant(np.logical_xor(c[0].numpy(), c[1].numpy()))


def dtype_of(op: str, code: Any) -> Any:
    """ONNX's number of a type as a dtype that Tensors have."""
    from onnx import helper

    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(int(code)))
    except (KeyError, TypeError, ValueError):
        dtype = np.dtype(object)
    if dtype.kind not in "biuf" or dtype.char not in "?bBhHiIlLqQefd":
        raise DataError(f"{op} to ONNX's type {code} is none of Tensors': bool, integers, float16, 32, 64.")
    return dtype


def _cast(c: Call) -> Any:
    return _as(c[0], dtype_of(c.op, c.attr("to")))


def _as(x: Tensor, dtype: Any) -> Any:
    if x.dtype.kind == "f" and dtype.kind == "f":
        return x.astype(dtype)
    return constant(x.numpy().astype(dtype))


def _dropout(c: Call) -> Any:
    training, ratio = c.get(2), c.get(1)
    if training is not None and bool(training.numpy().item()) and (
        ratio is None or float(ratio.numpy().item()) > 0
    ):  # fmt: skip
        raise DataError("Dropout in training mode draws random numbers: export the model in evaluation mode.")
    return (c[0], constant(np.ones(c[0].shape, bool)))[: c.outputs]


# Reductions


def _reduction(function: Callable[..., Any], empty: float | None = None) -> Op:
    """function(x, axis, keepdims=...) over axes that come as an input or an attribute."""

    def reduce(c: Call) -> Any:
        x, axes, keep = c[0], c.axes(1), bool(c.attr("keepdims", 1))
        if not axes:
            if c.attr("noop_with_empty_axes", 0):
                return x if function in _SUMS else function(ops.expand_dims(x, 0), (0,), keepdims=False)
            axes = tuple(range(x.ndim))
        axes = tuple(a % x.ndim if x.ndim else 0 for a in axes)
        if any(a >= max(x.ndim, 1) for a in axes):
            raise DataError(f"{c.op} over axes {axes} of {x.ndim}.")
        if not x.ndim:
            return function(x.reshape(1), (0,), keepdims=False)
        if empty is not None and any(x.shape[a] == 0 for a in axes):
            shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keep or i not in axes]
            return constant(np.full(shape, _least(x.dtype, empty), x.dtype))
        return function(x, axes, keepdims=keep)

    return reduce


def _least(dtype: Any, empty: float) -> Any:
    """What is less (or more) than anything of a dtype."""
    if dtype.kind == "f":
        return empty
    if dtype.kind == "b":
        return empty > 0
    return np.iinfo(dtype).max if empty > 0 else np.iinfo(dtype).min


def _sum(x: Any, axes: Any, *, keepdims: bool) -> Any:
    found = ops.sum(x, axes, keepdims=keepdims)
    return found if found.dtype == x.dtype else found.astype(x.dtype)


def _log_sum_exp(x: Any, axes: Any, *, keepdims: bool) -> Any:
    return ops.logsumexp(x, axes, keepdims=keepdims)


_SUMS: tuple[Any, ...] = (_sum, ops.max, ops.min, ops.mean, _log_sum_exp)


def _arg(function: Callable[..., Any]) -> Op:
    def extreme(c: Call) -> Any:
        x = c[0].numpy()
        axis = axis_of(c, 0, x.ndim)
        if c.attr("select_last_index", 0):
            found = x.shape[axis] - 1 - function(np.flip(x, axis), axis=axis)
        else:
            found = function(x, axis=axis)
        return constant(np.expand_dims(found, axis) if c.attr("keepdims", 1) else found)

    return extreme


def _layer_normalization(c: Call) -> Any:
    x, axis = c[0], axis_of(c, -1, c[0].ndim)
    axes = tuple(range(axis, x.ndim))
    centre = ops.mean(x, axes, keepdims=True)
    centred = x - centre
    over = 1 / ops.sqrt(ops.mean(ops.square(centred), axes, keepdims=True) + float(c.attr("epsilon", 1e-5)))
    y = centred * over * c[1]
    bias = c.get(2)
    return (y if bias is None else y + bias, centre, over)[: c.outputs]


def _gemm(c: Call) -> Any:
    a, b = (ops.transpose(v) if c.attr(t, 0) else v for v, t in ((c[0], "transA"), (c[1], "transB")))
    y = float(c.attr("alpha", 1.0)) * (a @ b)
    bias = c.get(2)
    return y if bias is None else y + float(c.attr("beta", 1.0)) * bias


# Shapes


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
        count = int(c.attr("num_outputs", c.outputs))
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


def _where(c: Call) -> Any:
    return ops.where(c[0], c[1], c[2])


NODES: dict[str, Op] = {
    "Abs": _unary(ops.abs), "Exp": _unary(ops.exp), "Log": _unary(ops.log), "Neg": _unary(ops.negative),
    "Relu": _unary(ops.relu), "Sigmoid": _unary(ops.sigmoid), "Sign": _unary(ops.sign),
    "Softplus": _unary(ops.softplus), "Softsign": _unary(lambda x: x / (1 + ops.abs(x))),
    "Sqrt": _unary(ops.sqrt), "Tanh": _unary(ops.tanh), "Reciprocal": _unary(lambda x: 1 / x),
    "Not": _unary(ops.logical_not), "Identity": _unary(lambda x: x), "IsInf": _is_inf,
    "IsNaN": _unary(lambda x: constant(np.isnan(x.numpy()))),
    "Elu": _elu, "HardSigmoid": _hard_sigmoid, "LeakyRelu": _leaky, "ThresholdedRelu": _thresholded,
    "Add": _binary(ops.add), "Sub": _binary(ops.subtract), "Mul": _binary(ops.multiply), "Div": _divide,
    "Pow": _power, "MatMul": _binary(ops.matmul), "Equal": _binary(ops.equal),
    "Greater": _binary(ops.greater), "GreaterOrEqual": _binary(ops.greater_equal),
    "Less": _binary(ops.less), "LessOrEqual": _binary(ops.less_equal), "And": _binary(ops.logical_and),
    "Or": _binary(ops.logical_or), "Xor": _xor, "Max": _of_all(ops.maximum), "Min": _of_all(ops.minimum),
    "Sum": _of_all(operator.add), "Mean": _mean, "Clip": _clip, "Cast": _cast,
    "CastLike": lambda c: _as(c[0], c[1].dtype), "Dropout": _dropout, "Where": _where, "Gemm": _gemm,
    "Softmax": lambda c: ops.softmax(c[0], axis_of(c, -1, c[0].ndim)),
    "LogSoftmax": lambda c: ops.log_softmax(c[0], axis_of(c, -1, c[0].ndim)),
    "LayerNormalization": _layer_normalization,
    "ReduceSum": _reduction(_sum), "ReduceMean": _reduction(ops.mean),
    "ReduceMax": _reduction(ops.max, -np.inf), "ReduceMin": _reduction(ops.min, np.inf),
    "ReduceL1": _reduction(lambda x, a, *, keepdims: _sum(ops.abs(x), a, keepdims=keepdims)),
    "ReduceL2": _reduction(lambda x, a, *, keepdims: ops.sqrt(_sum(x * x, a, keepdims=keepdims))),
    "ReduceSumSquare": _reduction(lambda x, a, *, keepdims: _sum(x * x, a, keepdims=keepdims)),
    "ReduceLogSum": _reduction(lambda x, a, *, keepdims: ops.log(_sum(x, a, keepdims=keepdims))),
    "ReduceLogSumExp": _reduction(_log_sum_exp, -np.inf),
    "ArgMax": _arg(np.argmax), "ArgMin": _arg(np.argmin),
    "Reshape": _reshape, "Flatten": _flatten, "Expand": _expand, "Shape": _shape,
    "Size": lambda c: constant(np.array(c[0].size, np.int64)), "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze, "Transpose": _transpose, "Concat": _concat, "Slice": _slice, "Split": _split,
    "Gather": _gather, "GatherElements": _gather_elements, "GatherND": _gather_nd, "Range": _range,
    "ConstantOfShape": _constant_of_shape, "Constant": _constant, "ReverseSequence": _reverse_sequence,
}  # fmt: skip
