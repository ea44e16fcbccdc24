"""Every word of a trace as a node of ONNX; ROWS stands for one axis here and for `lead` axes there."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq.backend.symbols import ROWS, Symbol
from tinyseq.errors import ConfigError
from tinyseq.interop.onnx.graph import Graph

_ARITHMETIC = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "power": "Pow", "maximum": "Max",
    "minimum": "Min", "matmul": "MatMul",
}  # fmt: skip
_UNARY = {
    "negative": "Neg", "tanh": "Tanh", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "abs": "Abs",
    "sign": "Sign", "sin": "Sin", "cos": "Cos", "erf": "Erf",
}  # fmt: skip
_COMPARISONS = {
    "greater": "Greater", "less": "Less", "greater_equal": "GreaterOrEqual", "less_equal": "LessOrEqual",
    "equal": "Equal",
}  # fmt: skip
_LOGIC = {"logical_and": "And", "logical_or": "Or"}
_REDUCTIONS = {"sum": "ReduceSum", "max": "ReduceMax", "min": "ReduceMin"}

Lead = dict[int, int]


def node_of(graph: Graph, symbol: Symbol, inputs: list[Any], lead: Lead, like: str) -> str | None:
    """The name of the value of `symbol`, from names and numbers `inputs`; None for a word that ONNX lacks.

    lead: by id, how many axes stand for ROWS; like: a value from which lengths of rows can be read.
    """
    write = _WRITERS.get(symbol.op)
    return None if write is None else write(_Context(graph, symbol, inputs, lead, like))


class _Context:
    """A Symbol that is written, and what it is made of."""

    def __init__(self, graph: Graph, symbol: Symbol, inputs: list[Any], lead: Lead, like: str) -> None:
        self.graph, self.symbol, self.inputs, self.like = graph, symbol, inputs, like
        self.lead, self.static = lead[symbol.id], symbol.static
        self.leads = lead

    def operands(self, dtype: Any) -> list[str]:
        """All inputs as names of values of one dtype."""
        found = []
        for value, name in zip(self.symbol.inputs, self.inputs, strict=True):
            if not isinstance(value, Symbol):
                found.append(self.graph.constant(value, dtype))
            else:
                found.append(name if value.dtype == dtype else self.graph.cast(name, dtype))
        return found

    @property
    def common(self) -> Any:
        """The dtype in which the inputs meet."""
        numbers = [v for v in self.symbol.inputs if not isinstance(v, Symbol)]
        return np.result_type(*[s.dtype for s in self.symbol.symbols], *numbers)

    def axis(self, axis: int, of: Symbol | None = None) -> int:
        """Where an axis stands when ROWS are `lead` axes."""
        of = self.symbol if of is None else of
        return axis + self.leads[of.id] - 1 if of.is_row else axis

    def ints(self, values: Any) -> str:
        return self.graph.constant(np.array(values, np.int64).reshape(-1))

    def shape(self, shape: Any) -> str:
        """The name of a shape, in which rows are as many as in the inputs."""
        if not shape or shape[0] is not ROWS:
            return self.ints(shape)
        rows = self.graph.node("Shape", self.like, start=0, end=self.lead)
        return self.graph.node("Concat", rows, self.ints(shape[1:]), axis=0)


def _arithmetic(c: _Context) -> str:
    return c.graph.node(_ARITHMETIC[c.symbol.op], *c.operands(c.symbol.dtype))


def _unary(c: _Context) -> str:
    return c.graph.node(_UNARY[c.symbol.op], *c.operands(c.symbol.dtype))


def _comparison(c: _Context) -> str:
    return c.graph.node(_COMPARISONS[c.symbol.op], *c.operands(c.common))


def _not_equal(c: _Context) -> str:
    return c.graph.node("Not", c.graph.node("Equal", *c.operands(c.common)))


def _logic(c: _Context) -> str:
    return c.graph.node(_LOGIC[c.symbol.op], *c.operands(np.dtype(bool)))


def _isfinite(c: _Context) -> str:
    (x,) = c.inputs
    bad = c.graph.node("Or", c.graph.node("IsInf", x), c.graph.node("IsNaN", x))
    return c.graph.node("Not", bad)


def _where(c: _Context) -> str:
    condition, *values = c.operands(c.symbol.dtype)
    first = c.symbol.inputs[0]
    if isinstance(first, Symbol) and first.dtype == bool:
        condition = c.inputs[0]
    else:
        condition = c.graph.cast(condition, bool)
    return c.graph.node("Where", condition, *values)


def _reduction(c: _Context) -> str:
    (x,), source = c.operands(c.symbol.dtype), c.symbol.symbols[0]
    axes = c.static["axis"]
    axes = range(len(source.shape)) if axes is None else axes
    moved = [c.axis(a, source) for a in axes]
    if not moved:
        return x
    keep = int(c.static["keepdims"])
    return c.graph.node(_REDUCTIONS[c.symbol.op], x, c.ints(moved), keepdims=keep)


def _arg(c: _Context) -> str:
    source, axis = c.symbol.symbols[0], c.static["axis"]
    op = {"argmax": "ArgMax", "argmin": "ArgMin"}[c.symbol.op]
    return c.graph.node(op, c.inputs[0], axis=c.axis(axis % len(source.shape), source), keepdims=0)


def _concatenate(c: _Context) -> str:
    return c.graph.node("Concat", *c.operands(c.symbol.dtype), axis=c.axis(c.static["axis"]))


def _transpose(c: _Context) -> str:
    axes = c.static["axes"]
    if c.symbol.is_row:
        axes = [*range(c.lead), *[a + c.lead - 1 for a in axes[1:]]]
    return c.graph.node("Transpose", c.inputs[0], perm=list(axes))


def _reshape(c: _Context) -> str:
    shape = c.static["shape"]
    if c.symbol.is_row:  # 0 keeps a length
        return c.graph.node("Reshape", c.inputs[0], c.ints([*[0] * c.lead, *shape[1:]]))
    return c.graph.node("Reshape", c.inputs[0], c.ints(shape))


def _getitem(c: _Context) -> str:
    """Slices first, then single indices, then new axes."""
    (name,), source = c.operands(c.symbol.dtype), c.symbol.symbols[0]
    sliced, single, new, axis, out = [], [], [], 0, 0
    for part in c.static["index"]:
        if part is None:
            new.append(out)
            out += 1
            continue
        if isinstance(part, slice):
            if part != slice(None):
                start, stop, step = part.indices(source.shape[axis])
                stop = -(2**31) if stop < 0 else stop  # downwards, to the first one
                sliced.append((start, stop, c.axis(axis, source), step))
            out += 1
        else:
            index = int(part) % source.shape[axis]
            sliced.append((index, index + 1, c.axis(axis, source), 1))
            single.append(c.axis(axis, source))
        axis += 1
    if sliced:
        name = c.graph.node("Slice", name, *[c.ints(column) for column in zip(*sliced, strict=True)])
    if single:
        name = c.graph.node("Squeeze", name, c.ints(single))
    if new:
        shift = c.lead - 1 if c.symbol.is_row else 0
        name = c.graph.node("Unsqueeze", name, c.ints([axis + shift for axis in new]))
    return name


def _take(c: _Context) -> str:
    return c.graph.node("Gather", c.inputs[0], c.inputs[1], axis=0)


def _broadcast(c: _Context) -> str:
    return c.graph.node("Expand", c.inputs[0], c.shape(c.static["shape"]))


def _filled(c: _Context) -> str:
    value = c.graph.constant(int(c.symbol.op == "ones"), c.symbol.dtype)
    return c.graph.node("Expand", value, c.shape(c.static["shape"]))


def _square(c: _Context) -> str:
    (x,) = c.operands(c.symbol.dtype)
    return c.graph.node("Mul", x, x)


def _expm1(c: _Context) -> str:
    (x,) = c.operands(c.symbol.dtype)
    return c.graph.node("Sub", c.graph.node("Exp", x), c.graph.constant(1, c.symbol.dtype))


def _log1p(c: _Context) -> str:
    (x,) = c.operands(c.symbol.dtype)
    return c.graph.node("Log", c.graph.node("Add", x, c.graph.constant(1, c.symbol.dtype)))


def _cumsum(c: _Context) -> str:
    (x,) = c.operands(c.symbol.dtype)
    return c.graph.node("CumSum", x, c.graph.constant(c.axis(c.static["axis"]), np.int64))


def _argsort(c: _Context) -> str:
    """All elements as the smallest of TopK, which keeps equal ones in their order."""
    source, axis = c.symbol.symbols[0], c.static["axis"]
    count = c.ints([source.shape[axis]])
    axis = c.axis(axis, source)
    return c.graph.nodes_out("TopK", [c.inputs[0], count], 2, axis=axis, largest=0, sorted=1)[1]


def _take_along(c: _Context) -> str:
    axis, name = c.axis(c.static["axis"]), c.inputs[1]
    x, indices = c.symbol.symbols
    pairs = [pair for i, pair in enumerate(zip(x.shape, indices.shape, strict=True)) if i != c.static["axis"]]
    if any(m != n for m, n in pairs):
        raise ConfigError("take_along_axis() of shapes that broadcast; ONNX's GatherElements does not")
    return c.graph.node("GatherElements", c.inputs[0], name, axis=axis)


def _add_along(c: _Context) -> str:
    zeros = c.graph.node("Expand", c.graph.constant(0, c.symbol.dtype), c.shape(c.symbol.shape))
    (values, indices), axis = c.inputs, c.axis(c.static["axis"])
    return c.graph.node("ScatterElements", zeros, indices, values, axis=axis, reduction="add")


def _triangle(c: _Context) -> str:
    (x,), k = c.operands(c.symbol.dtype), c.graph.constant(c.static["k"], np.int64)
    return c.graph.node("Trilu", x, k, upper=int(c.symbol.op == "triu"))


_WRITERS: dict[str, Callable[[_Context], str]] = {
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_LOGIC, _logic),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(("argmax", "argmin"), _arg),
    **dict.fromkeys(("zeros", "ones"), _filled),
    "not_equal": _not_equal,
    "logical_not": lambda c: c.graph.node("Not", *c.operands(np.dtype(bool))),
    "isfinite": _isfinite,
    "where": _where,
    "concatenate": _concatenate,
    "cumsum": _cumsum,
    "argsort": _argsort,
    "take_along_axis": _take_along,
    "add_along_axis": _add_along,
    **dict.fromkeys(("tril", "triu"), _triangle),
    "transpose": _transpose,
    "reshape": _reshape,
    "getitem": _getitem,
    "take": _take,
    "broadcast_to": _broadcast,
    "square": _square,
    "expm1": _expm1,
    "log1p": _log1p,
    "astype": lambda c: c.graph.cast(c.inputs[0], c.symbol.dtype),
    "copy": lambda c: c.operands(c.symbol.dtype)[0],
}
