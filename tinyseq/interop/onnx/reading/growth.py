"""How large the output of a node will be, before it is computed: no small file may ask for all memory."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq.interop.onnx.reading.call import Call

_POINTWISE = set(
    """
    Add Sub Mul Div Pow Mod Max Min Sum Mean Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Where
    Clip PRelu LayerNormalization RMSNormalization
    """.split()  # noqa: SIM905
)


def check_growth(call: Call) -> None:
    """Raise DataError for a node whose output would have more values than the call may still make."""
    if call.op in _POINTWISE:
        call.bounded(np.broadcast_shapes(*[x.shape for x in call.inputs if x is not None]))
    elif call.op in _SHAPES:
        call.bounded(_SHAPES[call.op](call))


def _product(call: Call) -> tuple[int, ...]:
    a, b = call[0].shape, call[1].shape
    if call.op == "Gemm":
        a, b = (s[::-1] if call.attr(t, 0) else s for s, t in ((a, "transA"), (b, "transB")))
    return (*np.broadcast_shapes(a[:-2], b[:-2]), *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def _joined(call: Call) -> tuple[int, ...]:
    return (sum(x.size for x in call.all),)


def _picked(call: Call) -> tuple[int, ...]:
    axis = int(call.attr("axis", 0))
    x = list(call[0].shape)
    del x[axis]
    return (*call[1].shape, *x)


def _picked_many(call: Call) -> tuple[int, ...]:
    index, batch = call[1].shape, int(call.attr("batch_dims", 0))
    return (*index[:-1], *call[0].shape[batch + index[-1] :])


def _recurrence(call: Call) -> tuple[int, ...]:
    return (*call[0].shape[:2], *call[1].shape[:2])  # steps, batch, directions, gates


def _einsum(call: Call) -> tuple[int, ...]:
    """Of two operands the output, of more everything: what is multiplied first may be as large."""
    equation = str(call.attr("equation", "")).replace(" ", "")
    operands, arrow, output = equation.partition("->")
    sizes: dict[str, int] = {}
    for letters, x in zip(operands.split(","), call.all, strict=True):
        rest = x.ndim - len(letters.replace("...", ""))
        names = [*letters.partition("...")[0], *map(str, range(-rest, 0)), *letters.partition("...")[2]]
        for name, n in zip(names, x.shape, strict=True):
            sizes[name] = max(n, sizes.get(name, 1))
    dots = [name for name in sizes if name.startswith("-")]
    kept = [*output.replace("...", ""), *dots] if arrow and len(call.inputs) < 3 else list(sizes)
    return tuple([sizes[name] for name in kept])


_SHAPES: dict[str, Callable[[Call], Any]] = {
    "MatMul": _product, "Gemm": _product, "Concat": _joined, "Gather": _picked, "GatherND": _picked_many,
    "RNN": _recurrence, "GRU": _recurrence, "LSTM": _recurrence, "Einsum": _einsum,
}  # fmt: skip
