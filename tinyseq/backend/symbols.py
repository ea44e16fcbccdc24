"""Symbols: arrays that have a shape and a dtype but no numbers, and the graph that they form."""

import math
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tinyseq.errors import TraceError


class Level(IntEnum):
    """How late a value is known while a sequence runs. A result is as late as the latest of its operands."""

    PARAMETER = 0  # before the sequence
    INPUT = 1  # with the inputs: for all steps at once
    STATE = 2  # step by step, forward
    COTANGENT = 3  # step by step, backward
    REDUCED = 4  # after a sum over all rows


class Rows:
    """The number of rows, unknown while a step is traced: it can stand in a shape and be compared, no more.

    Not an int: arithmetic with a subclass of int would silently give a number.
    """

    def __repr__(self) -> str:
        return "rows"

    def _refuse(self, *_: Any) -> NoReturn:
        raise TraceError(
            "A step is compiled for any number of rows, so it cannot compute with that number: give "
            "split(), mean() and the like an axis of features, such as axis=-1. For random numbers ask "
            "tinyseq.noise."
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __neg__ = __lt__ = __gt__ = __le__ = __ge__ = _refuse
    __index__ = __int__ = __float__ = _refuse


ROWS = Rows()
Shape = tuple[Any, ...]  # of int, and ROWS at the front of whatever has a row for each sequence


class Symbol:
    """The result of `op` on `inputs` (Symbols and numbers) with the options `static`."""

    level: Level
    __slots__ = ("dtype", "graph", "id", "inputs", "level", "name", "op", "shape", "static")

    def __init__(
        self,
        graph: "Graph",
        op: str,
        inputs: tuple[Any, ...],
        static: dict[str, Any],
        shape: Shape,
        dtype: Any,
    ) -> None:
        self.graph, self.op, self.inputs, self.static = graph, op, inputs, static
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.id = graph.size  # grows from cause to effect, so sorting by it is a topological order
        self.name = ""
        self.level = max([i.level for i in self.symbols], default=Level.PARAMETER)
        if self.is_row:
            self.level = max(self.level, Level.INPUT)
        elif any(ROWS in i.shape for i in self.symbols) and ROWS not in shape:
            self.level = Level.REDUCED

    @property
    def symbols(self) -> list["Symbol"]:
        """The inputs that are Symbols."""
        return [i for i in self.inputs if type(i) is Symbol]

    @property
    def is_row(self) -> bool:
        """Whether it holds one row for each sequence."""
        return bool(self.shape) and self.shape[0] is ROWS

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def width(self) -> int:
        """The number of elements in a row."""
        return math.prod(self.shape[1:])

    def __repr__(self) -> str:
        inputs = ", ".join([f"%{i.id}" if type(i) is Symbol else repr(i) for i in self.inputs])
        options = "".join([f", {k}={v}" for k, v in self.static.items()])
        body = self.name if self.op == "leaf" else f"{self.op}({inputs}{options})"
        return f"%{self.id} = {body}  # {self.shape} {self.dtype}" + (
            f", {self.name}" if self.name and self.op != "leaf" else ""
        )

    def __bool__(self) -> bool:
        raise TraceError(
            "A step cannot branch on a traced value (if, while, and, or, min(), max()): it is recorded "
            "once and must do the same for every value. Use where(condition, a, b), or run it with "
            "compiled=False."
        )

    def __float__(self) -> float:
        raise TraceError(
            "A traced value has no number (float(), int(), .item(), .numpy(), math.*): use the functions of "
            "tinyseq.ops, or run the step with compiled=False."
        )

    def __int__(self) -> int:
        return int(self.__float__())

    __index__ = __int__

    def __len__(self) -> int:
        raise TraceError(
            "A step cannot iterate over a traced value or take its len(): use split(x, n, axis=-1), or run "
            "the step with compiled=False."
        )

    def __iter__(self) -> Any:
        return len(self)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TraceError(
            "A NumPy function met a traced value: use the function of the same name in tinyseq.ops."
        )

    def __array_ufunc__(self, ufunc: Any, *_: Any, **__: Any) -> Any:
        raise TraceError(
            f"numpy.{ufunc.__name__} met a traced value: use tinyseq.ops, and pass arrays in as Parameters "
            "or inputs."
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TraceError("A traced value cannot be assigned into: build it with where() or concatenate().")

    if TYPE_CHECKING:  # attached in trace.py, from the words

        def __getitem__(self, index: Any) -> "Symbol": ...
        def sum(self, axis: Any = None, keepdims: bool = False) -> "Symbol": ...
        def max(self, axis: Any = None, keepdims: bool = False) -> "Symbol": ...
        def reshape(self, *shape: Any) -> "Symbol": ...
        def astype(self, dtype: Any) -> "Symbol": ...


class Graph:
    """The Symbols of one trace. Equal applications are one Symbol."""

    def __init__(self) -> None:
        self._known: dict[Any, Symbol] = {}
        self.size = 0

    def leaf(self, name: str, shape: Shape, dtype: Any, level: Level) -> Symbol:
        """A value that comes from outside."""
        symbol = self._add(("leaf", name), Symbol(self, "leaf", (), {}, shape, dtype))
        symbol.name, symbol.level = name, level
        return symbol

    def apply(self, op: str, *inputs: Any, **static: Any) -> Symbol:
        """`op` of `inputs`: the Symbol that is known already, or a new one."""
        key = (op, *map(_key, inputs), *[(k, repr(v)) for k, v in static.items()])
        known = self._known.get(key)
        if known is not None:
            return known
        shape, dtype = _RESULTS[op](*inputs, **static)
        return self._add(key, Symbol(self, op, inputs, static, shape, dtype))

    def _add(self, key: Any, symbol: Symbol) -> Symbol:
        self._known[key] = symbol
        self.size += 1
        return symbol


def _key(value: Any) -> Any:
    return value.id if type(value) is Symbol else (type(value), repr(value))  # repr tells -0.0 from 0.0


# --- shapes and dtypes of results


def broadcast(*shapes: Shape) -> Shape:
    """The shape that `shapes` broadcast to, by NumPy's rules."""
    ndim = max(map(len, shapes), default=0)
    out = []
    for lengths in zip(*[(1,) * (ndim - len(s)) + tuple(s) for s in shapes], strict=True):
        wide = [n for n in lengths if n != 1]
        if any(n != wide[0] for n in wide):
            raise ValueError(f"shapes {', '.join(map(str, shapes))} do not broadcast")
        out.append(wide[0] if wide else 1)
    return tuple(out)


def _shape(value: Any) -> Shape:
    return value.shape if type(value) is Symbol else ()


def _pointwise_result(op: str) -> Callable[..., tuple[Shape, Any]]:
    function = getattr(np, "exp" if op == "erf" else op)  # NumPy has no erf; floats come of both

    def result(*inputs: Any) -> tuple[Shape, Any]:
        samples = [np.empty(0, i.dtype) if type(i) is Symbol else i for i in inputs]
        return broadcast(*map(_shape, inputs)), function(*samples).dtype  # NumPy knows its own promotion

    return result


def _kept(shape: Shape, axis: Any) -> list[Any]:
    return [1 if axis is None or i in axis else n for i, n in enumerate(shape)]


def _reduced(x: Symbol, *, axis: Any, keepdims: bool) -> tuple[Shape, Any]:
    kept = _kept(x.shape, axis)
    if not keepdims:
        kept = [n for i, n in enumerate(kept) if axis is not None and i not in axis]
    return tuple(kept), x.dtype


def _arg_reduced(x: Symbol, *, axis: int | None) -> tuple[Shape, Any]:
    axes = None if axis is None else (axis % len(x.shape),)
    return _reduced(x, axis=axes, keepdims=False)[0], np.dtype(np.intp)


def _matmul_result(a: Symbol, b: Symbol) -> tuple[Shape, Any]:
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"the inner lengths {a.shape[-1]} and {b.shape[-2 if b.ndim > 1 else 0]} differ")
    tail = (*a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ()))
    return (*broadcast(a.shape[:-2], b.shape[:-2]), *tail), np.result_type(a.dtype, b.dtype)


def _concatenated(*xs: Symbol, axis: int) -> tuple[Shape, Any]:
    shape = list(xs[0].shape)
    for x in xs[1:]:
        if [n for i, n in enumerate(x.shape) if i != axis] != [n for i, n in enumerate(shape) if i != axis]:
            raise ValueError(f"shapes {shape} and {x.shape} differ outside axis {axis}")
    if shape[axis] is ROWS:
        raise TraceError(
            "A step cannot join rows: concatenate() and stack() features, axis=-1. Every sequence has one "
            "row."
        )
    shape[axis] = sum([x.shape[axis] for x in xs])
    return tuple(shape), np.result_type(*[x.dtype for x in xs])


def _indexed(x: Symbol, *, index: tuple[Any, ...]) -> tuple[Shape, Any]:
    shape: list[Any] = []
    lengths = iter(x.shape)
    for part in index:
        if part is None:
            shape.append(1)
            continue
        n = next(lengths)
        if n is ROWS and part != slice(None):
            raise TraceError(
                "A step cannot pick rows: every sequence has one row, and steps only look at their own. "
                "Index features instead: x[:, a:b]."
            )
        if isinstance(part, slice):
            shape.append(n if part == slice(None) else len(range(*part.indices(n))))
        elif not -n <= part < n:
            raise IndexError(f"index {part} is out of bounds for length {n}")
    return tuple(shape), x.dtype


def _swapped(x: Symbol, *, axes: tuple[int, ...]) -> tuple[Shape, Any]:
    return tuple([x.shape[a] for a in axes]), x.dtype


def _along_features(op: str, x: Symbol, axis: int) -> Shape:
    if x.shape[axis] is ROWS:
        raise TraceError(
            f"A step cannot mix the sequences of a batch, as {op}() along axis {axis} of {x.shape} does: "
            "every sequence has one row. Name an axis of features, such as axis=-1."
        )
    return x.shape


def _along(op: str, x: Symbol, indices: Symbol, axis: int) -> Shape:
    _along_features(op, x, axis)
    if len(x.shape) != len(indices.shape):
        raise ValueError(f"indices of shape {indices.shape} have another number of axes than {x.shape}")
    whole = broadcast(*[tuple([1 if i == axis else n for i, n in enumerate(s.shape)]) for s in (x, indices)])
    return tuple([indices.shape[axis] if i == axis else n for i, n in enumerate(whole)])


def _matrices(x: Symbol) -> Shape:
    if ROWS in x.shape[-2:]:
        raise TraceError(
            f"A step has one row for each sequence: {x.shape} are rows, and no matrices (rows, n, m)."
        )
    return x.shape


# fmt: off
POINTWISE = [
    "add", "subtract", "multiply", "divide", "negative", "power", "abs", "sign", "exp", "expm1", "log",
    "log1p", "sqrt", "square", "tanh", "sin", "cos", "erf", "maximum", "minimum", "greater", "greater_equal",
    "less", "less_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_not", "isfinite",
    "where",
]
# fmt: on

_RESULTS: dict[str, Callable[..., tuple[Shape, Any]]] = {
    **{op: _pointwise_result(op) for op in POINTWISE},
    "sum": _reduced,
    "max": _reduced,
    "min": _reduced,
    "argmax": _arg_reduced,
    "argmin": _arg_reduced,
    "matmul": _matmul_result,
    "concatenate": _concatenated,
    "getitem": _indexed,
    "take": lambda x, indices, *, axis: ((*indices.shape, *x.shape[1:]), x.dtype),
    "add_at": lambda g, indices, *, axis, size: ((size, *g.shape[1:]), g.dtype),
    "transpose": _swapped,
    "cumsum": lambda x, *, axis: (_along_features("cumsum", x, axis), x.dtype),
    "argsort": lambda x, *, axis: (_along_features("argsort", x, axis), np.dtype(np.intp)),
    "take_along_axis": lambda x, indices, *, axis: (_along("take_along_axis", x, indices, axis), x.dtype),
    "add_along_axis": lambda g, indices, *, axis, size: (
        tuple([size if i == axis else n for i, n in enumerate(_along("add_along_axis", g, indices, axis))]),
        g.dtype,
    ),
    "tril": lambda x, *, k: (_matrices(x), x.dtype),
    "triu": lambda x, *, k: (_matrices(x), x.dtype),
    "place": lambda g, *, index, shape: (shape, g.dtype),
    "reshape": lambda x, *, shape: (shape, x.dtype),
    "broadcast_to": lambda x, *, shape: (shape, x.dtype),
    "astype": lambda x, *, dtype: (x.shape, dtype),
    "copy": lambda x: (x.shape, x.dtype),
    "zeros": lambda *, shape, dtype: (shape, dtype),
    "ones": lambda *, shape, dtype: (shape, dtype),
}
