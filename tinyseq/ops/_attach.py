"""Operators and methods of Tensor, and the ops as the words of Tensors."""

import sys
from typing import Any

from tinyseq.backend import WORDS
from tinyseq.engine import Tensor


def attach(ops: dict[str, Any]) -> None:
    """Give Tensor its operators and methods from the functions in `ops`."""
    reflect = lambda op: lambda self, other: op(other, self)  # noqa: E731 - one line each way
    binary = {
        "add": "add",
        "sub": "subtract",
        "mul": "multiply",
        "truediv": "divide",
        "matmul": "matmul",
        "pow": "power",
    }
    for dunder, op in binary.items():
        setattr(Tensor, f"__{dunder}__", ops[op])
        setattr(Tensor, f"__r{dunder}__", reflect(ops[op]))
    compare = {
        "gt": "greater",
        "ge": "greater_equal",
        "lt": "less",
        "le": "less_equal",
        "eq": "equal",
        "ne": "not_equal",
    }
    others = {
        "and": "logical_and",
        "or": "logical_or",
        "neg": "negative",
        "abs": "abs",
        "invert": "logical_not",
    }
    for dunder, op in {**compare, **others, "getitem": "getitem"}.items():
        setattr(Tensor, f"__{dunder}__", ops[op])
    for method in "sum mean var max min swapaxes squeeze clip".split():
        setattr(Tensor, method, ops[method])
    Tensor.reshape = lambda self, *shape: ops["reshape"](self, *_unpacked(shape))  # type: ignore[method-assign]
    Tensor.transpose = lambda self, *axes: ops["transpose"](self, *_unpacked(axes) if axes else ())  # type: ignore[method-assign]
    Tensor.astype = lambda self, dtype: ops["astype"](self, dtype=dtype)  # type: ignore[method-assign]
    Tensor.T = property(ops["transpose"])  # type: ignore[assignment]
    WORDS[Tensor] = sys.modules["tinyseq.ops"]  # type: ignore[assignment]


def _unpacked(shape: tuple[Any, ...]) -> tuple[Any]:
    """x.reshape(2, 3) and x.reshape((2, 3)) alike."""
    return (shape[0],) if len(shape) == 1 else (shape,)
