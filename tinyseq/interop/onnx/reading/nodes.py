"""Nodes that compute value by value and reduce, in tinyseq's ops: gradients pass through them."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import DataError
from tinyseq.interop.onnx.reading import activations
from tinyseq.interop.onnx.reading.call import Call, axis_of, constant
from tinyseq.interop.onnx.reading.indexing import INDEXING
from tinyseq.interop.onnx.reading.shapes import SHAPES

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


def _rounded(function: Callable[[Any], Any]) -> Op:
    """Whole numbers do not move with what they are made of, so no gradient passes."""
    return lambda c: constant(function(c[0].numpy()))


def _mod(c: Call) -> Any:
    """What is left by a division: of the divisor's sign, or with fmod of the dividend's."""
    a, b = c[0], c[1]
    whole, left = (np.trunc, np.fmod) if c.attr("fmod", 0) else (np.floor, np.mod)
    if a.requires_grad or b.requires_grad:
        return a - b * constant(whole(a.numpy() / b.numpy()))
    return constant(left(a.numpy(), b.numpy()))


def _mean(c: Call) -> Any:
    return functools.reduce(ops.add, c.all) * (1 / len(c.inputs))


def _clip(c: Call) -> Any:
    x = c[0]
    for k, name, bound in ((1, "min", ops.maximum), (2, "max", ops.minimum)):
        limit: Any = c.get(k) if c.get(k) is not None else c.attr(name)
        if limit is not None:
            x = bound(x, limit)
    return x


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


def _product(x: Any, axes: Any, *, keepdims: bool) -> Any:
    """Slice by slice, so that a 0 among them does not spoil the gradient of the others."""
    shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
    for axis in axes:
        ones = constant(np.ones([1 if i == axis else n for i, n in enumerate(x.shape)], x.dtype))
        x = functools.reduce(ops.multiply, ops.split(x, x.shape[axis], axis) if x.shape[axis] else [], ones)
    return x.reshape(shape) if keepdims else ops.squeeze(x.reshape(shape), tuple(axes))


def _log_sum_exp(x: Any, axes: Any, *, keepdims: bool) -> Any:
    return ops.logsumexp(x, axes, keepdims=keepdims)


_SUMS: tuple[Any, ...] = (_sum, _product, ops.max, ops.min, ops.mean, _log_sum_exp)


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


def _rms_normalization(c: Call) -> Any:
    x, axis = c[0], axis_of(c, -1, c[0].ndim)
    squares = ops.mean(ops.square(x), tuple(range(axis, x.ndim)), keepdims=True)
    return x / ops.sqrt(squares + float(c.attr("epsilon", 1e-5))) * c[1]


def _batch_normalization(c: Call) -> Any:
    """By the statistics that the file holds."""
    if c.attr("training_mode", 0):
        raise DataError("BatchNormalization in training mode: export the model in evaluation mode.")
    x = c[0]
    shape = (-1, *[1] * (x.ndim - 2))
    scale, bias, mean, variance = (c[k].reshape(shape) for k in range(1, 5))
    return (x - mean) / ops.sqrt(variance + float(c.attr("epsilon", 1e-5))) * scale + bias


def _lp_normalization(c: Call) -> Any:
    """Divided by the norm along an axis; what is 0 stays 0."""
    x, axis, p = c[0], axis_of(c, -1, c[0].ndim), int(c.attr("p", 2))
    if p not in (1, 2):
        raise DataError(f"LpNormalization is read with p of 1 and 2, not {p}.")
    power = ops.abs(x) if p == 1 else ops.square(x)
    total = ops.sum(power, axis, keepdims=True)
    total = ops.where(total == 0, 1.0, total)
    return x / (total if p == 1 else ops.sqrt(total))


def _einsum(c: Call) -> Any:
    return ops.einsum(c.attr("equation", ""), *c.all)


def _gemm(c: Call) -> Any:
    a, b = (ops.transpose(v) if c.attr(t, 0) else v for v, t in ((c[0], "transA"), (c[1], "transB")))
    y = float(c.attr("alpha", 1.0)) * (a @ b)
    bias = c.get(2)
    return y if bias is None else y + float(c.attr("beta", 1.0)) * bias


def _where(c: Call) -> Any:
    return ops.where(c[0], c[1], c[2])


NODES: dict[str, Op] = {
    "Abs": _unary(ops.abs), "Exp": _unary(ops.exp), "Log": _unary(ops.log), "Neg": _unary(ops.negative),
    "Sign": _unary(ops.sign), "Sqrt": _unary(ops.sqrt), "Reciprocal": _unary(lambda x: 1 / x),
    "Sin": _unary(ops.sin), "Cos": _unary(ops.cos), "Tan": _unary(lambda x: ops.sin(x) / ops.cos(x)),
    "Sinh": _unary(lambda x: (ops.expm1(x) - ops.expm1(-x)) / 2), "Erf": _unary(ops.erf),
    "Cosh": _unary(lambda x: (ops.exp(x) + ops.exp(-x)) / 2),
    "Floor": _rounded(np.floor), "Ceil": _rounded(np.ceil), "Round": _rounded(np.round), "Mod": _mod,
    "Not": _unary(ops.logical_not), "Identity": _unary(lambda x: x), "IsInf": _is_inf,
    "IsNaN": _unary(lambda x: constant(np.isnan(x.numpy()))),
    "Add": _binary(ops.add), "Sub": _binary(ops.subtract), "Mul": _binary(ops.multiply), "Div": _divide,
    "Pow": _power, "MatMul": _binary(ops.matmul), "Equal": _binary(ops.equal),
    "Greater": _binary(ops.greater), "GreaterOrEqual": _binary(ops.greater_equal),
    "Less": _binary(ops.less), "LessOrEqual": _binary(ops.less_equal), "And": _binary(ops.logical_and),
    "Or": _binary(ops.logical_or), "Xor": _xor, "Max": _of_all(ops.maximum), "Min": _of_all(ops.minimum),
    "Sum": _of_all(operator.add), "Mean": _mean, "Clip": _clip, "Cast": _cast,
    "CastLike": lambda c: _as(c[0], c[1].dtype), "Dropout": _dropout, "Where": _where, "Gemm": _gemm,
    "Softmax": lambda c: ops.softmax(c[0], axis_of(c, -1, c[0].ndim)),
    "LogSoftmax": lambda c: ops.log_softmax(c[0], axis_of(c, -1, c[0].ndim)),
    "LayerNormalization": _layer_normalization, "RMSNormalization": _rms_normalization,
    "BatchNormalization": _batch_normalization, "LpNormalization": _lp_normalization, "Einsum": _einsum,
    "ReduceSum": _reduction(_sum), "ReduceMean": _reduction(ops.mean),
    "ReduceProd": _reduction(_product),
    "ReduceMax": _reduction(ops.max, -np.inf), "ReduceMin": _reduction(ops.min, np.inf),
    "ReduceL1": _reduction(lambda x, a, *, keepdims: _sum(ops.abs(x), a, keepdims=keepdims)),
    "ReduceL2": _reduction(lambda x, a, *, keepdims: ops.sqrt(_sum(x * x, a, keepdims=keepdims))),
    "ReduceSumSquare": _reduction(lambda x, a, *, keepdims: _sum(x * x, a, keepdims=keepdims)),
    "ReduceLogSum": _reduction(lambda x, a, *, keepdims: ops.log(_sum(x, a, keepdims=keepdims))),
    "ReduceLogSumExp": _reduction(_log_sum_exp, -np.inf),
    "ArgMax": _arg(np.argmax), "ArgMin": _arg(np.argmin),
    **activations.NODES, **SHAPES, **INDEXING,
}  # fmt: skip
