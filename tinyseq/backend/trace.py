"""The words that rules say to Symbols.

Called on Tensors around Symbols, the engine's own rules write down the graph of a computation, and the
backward sweep writes down the graph of its gradient. Nothing here knows what is done with the graph.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyseq.backend import WORDS, Words, _loaded
from tinyseq.backend.symbols import POINTWISE, ROWS, Rows, Shape, Symbol, broadcast
from tinyseq.backend.words import is_basic
from tinyseq.errors import TraceError


def _operand(value: Any) -> Any:
    if type(value) in (Symbol, int, float, bool):
        return value
    raise TraceError(
        f"A traced value met {type(value).__name__}: a step may use its inputs, its state and its "
        "Parameters. Make the array a Parameter, or pass it in as an input."
    )


def _apply(op: str, *values: Any, **static: Any) -> Symbol:
    values = tuple([_operand(v) for v in values])
    graph = next(v.graph for v in values if type(v) is Symbol)
    result: Symbol = graph.apply(op, *values, **static)
    return result


def _pointwise(op: str) -> Callable[..., Symbol]:
    return lambda *xs: _apply(op, *xs)


def _reduce(op: str) -> Callable[..., Symbol]:
    def word(x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
        axes = None if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        n = len(x.shape)
        return _apply(
            op, x, axis=axes and tuple(sorted([a % n for a in axes])), keepdims=keepdims
        )  # () stays ()

    return word


def reshape(x: Symbol, shape: Any) -> Symbol:
    """The same elements in another shape, in which -1 is worked out and rows stay rows."""
    new = [shape] if isinstance(shape, int | Rows) else list(shape)
    if not x.is_row:
        size = math.prod(x.shape)
    else:
        size = x.width
        if new and new[0] == -1 and (-1 in new[1:] or math.prod(new[1:]) == size):
            new[0] = ROWS
        if not new or new[0] is not ROWS:
            raise TraceError(
                f"A step cannot reshape {x.shape} to {tuple(new)}: the first axis, one row for each "
                "sequence, stays."
            )
    known = math.prod([n for n in new if n is not ROWS and n != -1])
    if -1 in new:
        new[new.index(-1)] = size // known if known else 0
    elif known != size:
        raise ValueError(f"cannot reshape {x.shape} into {tuple(new)}")
    return x if tuple(new) == x.shape else _apply("reshape", x, shape=tuple(new))


def getitem(x: Symbol, *, index: Any) -> Symbol:
    """x[index], for slices, integers, None and Ellipsis."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if not is_basic(index):
        raise TraceError("A step cannot index with an array: use slices, split() or where().")
    named = len([p for p in parts if p is not None and p is not Ellipsis])
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    gap = parts.index(Ellipsis)
    parts[gap : gap + 1] = [slice(None)] * (len(x.shape) - named)
    return x if parts == [slice(None)] * len(x.shape) else _apply("getitem", x, index=tuple(parts))


def place(g: Symbol, *, index: Any, shape: Shape) -> Symbol:
    """Zeros of `shape` with g at `index`."""
    return _apply("place", g, index=index if isinstance(index, tuple) else (index,), shape=tuple(shape))


def concatenate(xs: Sequence[Symbol], axis: int = 0) -> Symbol:
    """Symbols joined along `axis`."""
    return _apply("concatenate", *xs, axis=axis % len(xs[0].shape))


def transpose(x: Symbol, axes: Sequence[int]) -> Symbol:
    """Axes in another order."""
    return _apply("transpose", x, axes=tuple(axes))


def swapaxes(x: Symbol, axis1: int, axis2: int) -> Symbol:
    """Two axes exchanged."""
    axes = list(range(len(x.shape)))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return _apply("transpose", x, axes=tuple(axes))


def expand_dims(x: Symbol, axis: Any) -> Symbol:
    """New axes of length 1 at `axis`."""
    axes = (axis,) if isinstance(axis, int) else axis
    n = len(x.shape) + len(axes)
    new = {a % n for a in axes}
    lengths = iter(x.shape)
    return reshape(x, [1 if i in new else next(lengths) for i in range(n)])


def squeeze(x: Symbol, axis: Any = None) -> Symbol:
    """Without the axes of length 1, or without those named."""
    n = len(x.shape)
    gone = [i for i, m in enumerate(x.shape) if m == 1]
    if axis is not None:
        gone = [a % n for a in ((axis,) if isinstance(axis, int) else axis)]
    if any(x.shape[i] != 1 for i in gone):
        raise ValueError("an axis to squeeze has a length other than 1")
    return reshape(x, [m for i, m in enumerate(x.shape) if i not in gone])


def broadcast_to(x: Symbol, shape: Shape) -> Symbol:
    """x repeated to `shape`."""
    if broadcast(x.shape, shape) != tuple(shape):
        raise ValueError(f"{x.shape} does not broadcast to {shape}")
    return x if tuple(shape) == x.shape else _apply("broadcast_to", x, shape=tuple(shape))


def astype(x: Symbol, *, dtype: Any) -> Symbol:
    """x converted to `dtype`."""
    return x if np.dtype(dtype) == x.dtype else _apply("astype", x, dtype=np.dtype(dtype))


def _filled(op: str) -> Callable[[Symbol], Symbol]:
    return lambda x: x.graph.apply(op, shape=x.shape, dtype=x.dtype)


def _refused(op: str) -> Callable[..., Symbol]:
    def word(*_: Any, **__: Any) -> Symbol:
        raise TraceError(
            f"{op}() cannot be compiled inside a step: do it outside, or run the step with compiled=False."
        )

    return word


def take(x: Symbol, indices: Any, axis: int) -> Symbol:
    """The row of the table x for each of the ids in `indices`, which are (rows,)."""
    if axis != 0 or type(indices) is not Symbol or indices.shape != (ROWS,) or x.is_row:
        return _refused("take")()
    return _apply("take", x, indices, axis=0)


def add_at(g: Symbol, indices: Any, *, axis: int, size: int) -> Symbol:
    """Zeros (size, ...) with the rows of g added at their ids: the transpose of take."""
    return _apply("add_at", g, indices, axis=axis, size=size)


def matmul(a: Any, b: Any) -> Symbol:
    """a @ b; a matrix for all of several vectors in a row is multiplied with each of them by itself."""
    both = type(a) is type(b) is Symbol
    if not both or not a.is_row or a.ndim < 3 or b.ndim != 2 or b.is_row or a.width > SPREAD * a.shape[-1]:
        return _apply("matmul", a, b)
    products = [_apply("matmul", part, b) for part in _vectors(a)]
    new = b.shape[1]
    return reshape(concatenate(products, axis=1), (*a.shape[:-1], new))


SPREAD = 64  # vectors in a row, beyond which the source of a step would be too long to read


def _vectors(x: Symbol) -> list[Symbol]:
    """The vectors (rows, n) in rows (rows, ..., n)."""
    flat, n = reshape(x, (ROWS, x.width)), x.shape[-1]
    return [getitem(flat, index=(slice(None), slice(i, i + n))) for i in range(0, x.width, n)]


def tensordot(a: Symbol, b: Symbol, axes: Any) -> Symbol:
    """The sum of a[..., i] * b[..., j] over all other axes, rows among them: (i, j)."""
    left, right = axes
    if not (a.is_row and b.is_row) or not tuple(left) == tuple(right) == tuple(range(len(a.shape) - 1)):
        return _refused("tensordot")()
    total = None
    if a.width > SPREAD * a.shape[-1]:
        product = _apply("matmul", _turned(a), b)
        return _apply("sum", product, axis=tuple(range(len(a.shape) - 2)), keepdims=False)
    for x, y in zip(_vectors(a), _vectors(b), strict=True):
        product = _apply("matmul", transpose(x, (1, 0)), y)
        total = product if total is None else _apply("add", total, product)
    assert total is not None
    return total


def _turned(x: Symbol) -> Symbol:
    return swapaxes(x, len(x.shape) - 2, len(x.shape) - 1)


_WORDS: dict[str, Callable[..., Any]] = {
    **{op: _pointwise(op) for op in POINTWISE},
    **{op: _reduce(op) for op in ("sum", "max", "min")},
    **{f.__name__: f for f in (reshape, getitem, place, concatenate, transpose, swapaxes)},
    **{f.__name__: f for f in (expand_dims, squeeze, broadcast_to, astype)},
    "argmax": lambda x, axis=None: _apply("argmax", x, axis=axis),
    "argmin": lambda x, axis=None: _apply("argmin", x, axis=axis),
    "zeros_like": _filled("zeros"),
    "ones_like": _filled("ones"),
    "stop_gradient": lambda x: x,
    **{f.__name__: f for f in (take, add_at, matmul, tensordot)},
    "cumsum": lambda x, axis: _apply("cumsum", x, axis=axis % len(x.shape)),
    "argsort": lambda x, axis: _apply("argsort", x, axis=axis % len(x.shape)),
    "tril": lambda x, k: _apply("tril", x, k=k),
    "triu": lambda x, k: _apply("triu", x, k=k),
    "take_along_axis": lambda x, indices, axis: _apply(
        "take_along_axis", x, indices, axis=axis % len(x.shape)
    ),
    "add_along_axis": lambda g, indices, *, axis, size: _apply(
        "add_along_axis", g, indices, axis=axis, size=size
    ),
}


def _reflected(op: str) -> Callable[[Any, Any], Symbol]:
    return lambda a, b: _apply(op, b, a)


Symbol.__getitem__ = lambda x, index: getitem(x, index=index)  # type: ignore[method-assign]
Symbol.sum = _WORDS["sum"]  # type: ignore[method-assign]
Symbol.max = _WORDS["max"]  # type: ignore[method-assign]
Symbol.reshape = lambda x, *shape: reshape(x, shape[0] if len(shape) == 1 else shape)  # type: ignore[method-assign]
Symbol.astype = lambda x, dtype: astype(x, dtype=dtype)  # type: ignore[method-assign, assignment]
for _dunder, _op in (
    ("add", "add"), ("sub", "subtract"), ("mul", "multiply"), ("truediv", "divide"), ("matmul", "matmul"),
    ("pow", "power"),
):  # fmt: skip
    setattr(Symbol, f"__{_dunder}__", _WORDS[_op])
    setattr(Symbol, f"__r{_dunder}__", _reflected(_op))
for _dunder, _op in (
    ("neg", "negative"), ("gt", "greater"), ("ge", "greater_equal"), ("lt", "less"), ("le", "less_equal"),
):  # fmt: skip
    setattr(Symbol, f"__{_dunder}__", _WORDS[_op])


class TraceBackend:
    """What answers where a step asks a Symbol for what only a backend of numbers has."""

    name = "trace"
    emitter = "none"
    words = Words(name="trace", **_WORDS)
    types: tuple[type, ...] = (Symbol,)

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """Refused: arrays are not made on this backend."""
        return self.to_numpy(values)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Refused too; never asked for, as a cell's zeros are where its Parameters are."""
        return self.to_numpy(shape)

    def to_numpy(self, array: Any) -> Any:
        """Refused: there are no numbers."""
        return float(array)

    def devices(self) -> list[str]:
        """None: nothing runs."""
        return []

    def select(self, device: int) -> int:
        """There is nothing to select from."""
        return device

    def synchronize(self) -> None:
        """Nothing runs, so nothing is awaited."""


WORDS[Symbol] = TraceBackend.words
_loaded["trace"] = TraceBackend()
