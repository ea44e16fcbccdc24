"""Operators and methods of Tensor, and the ops as the words of Tensors."""

import sys
from collections.abc import Callable
from typing import Any

from tinyseq.backend import WORDS
from tinyseq.engine import Tensor

_ARITHMETIC = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "matmul": "matmul",
    "pow": "power",
}
_OTHERS = {
    "neg": "negative",
    "abs": "abs",
    "getitem": "getitem",
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "less",
    "le": "less_equal",
    "eq": "equal",
    "ne": "not_equal",
}
_LOGICAL = {"and": "logical_and", "or": "logical_or", "invert": "logical_not"}
_METHODS = (
    "sum",
    "mean",
    "var",
    "max",
    "min",
    "std",
    "prod",
    "cumsum",
    "argmax",
    "argmin",
    "take",
    "swapaxes",
    "squeeze",
    "clip",
)


def attach(ops: dict[str, Any]) -> None:
    """Give Tensor its operators and methods from the functions in `ops`."""
    for dunder, op in _ARITHMETIC.items():
        setattr(Tensor, f"__{dunder}__", ops[op])
        setattr(Tensor, f"__r{dunder}__", _reflected(ops[op]))
    for dunder, op in _OTHERS.items():
        setattr(Tensor, f"__{dunder}__", ops[op])
    for dunder, op in _LOGICAL.items():
        setattr(Tensor, f"__{dunder}__", _of_booleans(ops[op]))
    for method in _METHODS:
        setattr(Tensor, method, ops[method])
    reshape, transpose, astype = ops["reshape"], ops["transpose"], ops["astype"]
    Tensor.reshape = lambda x, *shape: reshape(x, _one_shape(shape))  # type: ignore[method-assign]
    Tensor.transpose = lambda x, *axes: transpose(x, _one_shape(axes) if axes else None)  # type: ignore[method-assign]
    Tensor.astype = lambda x, dtype: astype(x, dtype=dtype)  # type: ignore[method-assign, assignment]
    Tensor.T = property(transpose)  # type: ignore[assignment]
    WORDS[Tensor] = sys.modules["tinyseq.ops"]  # type: ignore[assignment]


def _reflected(op: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    return lambda x, other: op(other, x)


def _of_booleans(op: Callable[..., Any]) -> Callable[..., Any]:
    def operator(x: Tensor, *others: Any) -> Any:
        for operand in (x, *others):
            if hasattr(operand, "dtype") and operand.dtype.kind != "b":
                raise TypeError(f"& | ~ are for Tensors of booleans, and this one holds {operand.dtype}.")
        return op(x, *others)

    return operator


def _one_shape(shape: tuple[Any, ...]) -> Any:
    """x.reshape(2, 3) and x.reshape((2, 3)) alike."""
    return shape[0] if len(shape) == 1 else shape
