"""Rewriting to fewer kinds of operations: no neutral elements, no copies of copies, no zeros to pad with.

Every rule looks at one Symbol and its inputs, and gives exactly the same numbers (but for the sign of a
zero).
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

from tinyseq.backend.symbols import POINTWISE, ROWS, Symbol
from tinyseq.scan.graph import columns, columns_of, rewrite, until_stable, words


def simplify(roots: Sequence[Symbol | None]) -> list[Symbol | None]:
    """The same values from fewer and simpler operations."""
    return until_stable(lambda current: rewrite(current, _simpler), roots)


def _simpler(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
    rule = _RULES.get(symbol.op)
    found = rule(symbol, *inputs) if rule is not None else None
    if found is None and symbol.op in POINTWISE:
        found = _without_broadcasts(symbol, inputs)
    return found


def is_zero(value: Any) -> bool:
    """Whether a value is zeros, whatever the numbers are."""
    return value.op == "zeros" if type(value) is Symbol else value == 0 and not isinstance(value, bool)


def _fits(value: Any, symbol: Symbol) -> TypeGuard[Symbol]:
    """Whether `value` may stand where `symbol` stands."""
    return type(value) is Symbol and (value.shape, value.dtype) == (symbol.shape, symbol.dtype)


def _add(symbol: Symbol, a: Any, b: Any) -> Symbol | None:
    for x, y in ((a, b), (b, a)):
        if is_zero(y) and _fits(x, symbol):
            return x
        if type(y) is Symbol and y.op == "negative":
            return words.subtract(x, y.inputs[0])
    if type(a) is type(b) is Symbol and a.op == b.op == "concatenate" and a.static == b.static:
        return _joined(symbol, a, b)
    return None


def _joined(symbol: Symbol, a: Symbol, b: Symbol) -> Symbol | None:
    """Two rows with zeros wherever the other has something: one row of both, and no addition."""
    if symbol.ndim != 2 or not symbol.is_row or a.shape != b.shape:
        return None
    parts = sorted([p for x in (a, b) for p in _filled_parts(x)], key=lambda p: p[0])
    at, out = 0, []
    for start, part in parts:
        if start < at:
            return None
        if start > at:
            out.append(_zeros(symbol, start - at))
        out.append(part)
        at = start + part.shape[1]
    if at < symbol.shape[1]:
        out.append(_zeros(symbol, symbol.shape[1] - at))
    return words.concatenate(out, axis=1)


def _filled_parts(x: Symbol) -> list[tuple[int, Symbol]]:
    at, out = 0, []
    for part in x.inputs:
        if not is_zero(part):
            out.append((at, part))
        at += part.shape[1]
    return out


def _zeros(like: Symbol, width: int) -> Symbol:
    return like.graph.apply("zeros", shape=(ROWS, width), dtype=like.dtype)


def _subtract(symbol: Symbol, a: Any, b: Any) -> Symbol | None:
    if is_zero(b) and _fits(a, symbol):
        return a
    if type(b) is Symbol and b.op == "negative":
        return words.add(a, b.inputs[0])
    return None


def _multiply(symbol: Symbol, a: Any, b: Any) -> Symbol | None:
    for x, y in ((a, b), (b, a)):
        if type(y) in (int, float) and y == 1 and _fits(x, symbol):
            return x
        if type(y) is Symbol and y.op == "negative":
            return words.negative(words.multiply(x, y.inputs[0]))
    if type(a) is type(b) is Symbol and b.id < a.id:
        return words.multiply(b, a)  # one spelling, so that equal products are found equal
    return None


def _divide(symbol: Symbol, a: Any, b: Any) -> Symbol | None:
    if type(b) in (int, float) and b == 1 and _fits(a, symbol):
        return a
    if type(a) is Symbol and a.op == "negative":
        return words.negative(words.divide(a.inputs[0], b))
    return None


def _negative(symbol: Symbol, x: Symbol) -> Symbol | None:
    if x.op == "negative":
        inner: Symbol = x.inputs[0]
        return inner
    if x.op == "subtract":
        return words.subtract(x.inputs[1], x.inputs[0])
    return x if is_zero(x) else None


def _without_broadcasts(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
    """An operand that was only repeated to the width of the result does not have to be."""
    if not any(type(i) is Symbol and i.op == "broadcast_to" for i in inputs):
        return None
    for k, i in enumerate(inputs):
        if type(i) is Symbol and i.op == "broadcast_to":
            fewer = (*inputs[:k], i.inputs[0], *inputs[k + 1 :])
            shorter: Symbol = symbol.graph.apply(symbol.op, *fewer)
            if shorter.shape == symbol.shape and i.inputs[0].ndim == symbol.ndim:
                return shorter
    return None


def _transpose(symbol: Symbol, x: Symbol) -> Symbol | None:
    axes = symbol.static["axes"]
    if axes == tuple(range(x.ndim)):
        return x
    if is_zero(x):
        return symbol.graph.apply("zeros", shape=symbol.shape, dtype=symbol.dtype)
    if x.op == "transpose":
        return words.transpose(x.inputs[0], [x.static["axes"][a] for a in axes])
    return None


def _reshape(symbol: Symbol, x: Symbol) -> Symbol | None:
    if x.op == "reshape":
        return words.reshape(x.inputs[0], symbol.shape)
    if x.op in ("zeros", "ones"):
        return symbol.graph.apply(x.op, shape=symbol.shape, dtype=x.dtype)
    return x if symbol.shape == x.shape else None


def _flat(x: Symbol) -> Symbol:
    """A row as a vector."""
    return x if x.ndim == 2 else words.reshape(x, (ROWS, x.width))


def _interval(index: tuple[Any, ...], shape: tuple[Any, ...]) -> tuple[int, int] | None:
    """The elements of a row that `index` names, if they are neighbours in order; otherwise None."""
    if None in index or len(index) != len(shape) or len(shape) < 2:
        return None
    start, length, block = 0, 1, 1
    partial = False  # all axes after the first partial one must be whole, all before it must be single
    for part, n in zip(reversed(index[1:]), reversed(shape[1:]), strict=True):
        a, b, step = part.indices(n) if isinstance(part, slice) else (part % n, part % n + 1, 1)
        if step != 1 or b <= a or (partial and b - a > 1):
            return None
        partial = partial or b - a < n
        start += a * block
        length *= b - a
        block *= n
    return start, start + length


def _getitem(symbol: Symbol, x: Symbol) -> Symbol | None:
    own = columns_of(symbol)
    if not symbol.is_row:  # of sums over all rows: the gradient of a bias, say
        return _parts_of(x, *own) if own is not None and x.op == "concatenate" and x.ndim == 1 else None
    if own is None:
        where = _interval(symbol.static["index"], x.shape)
        return None if where is None else words.reshape(columns(_flat(x), *where), symbol.shape)
    start, stop = own
    inner = columns_of(x)
    if inner is not None:
        return columns(x.inputs[0], inner[0] + start, inner[0] + stop)
    if x.op in ("zeros", "ones"):
        return symbol.graph.apply(x.op, shape=symbol.shape, dtype=x.dtype)
    return _parts_of(x, start, stop) if x.op == "concatenate" else None


def _parts_of(x: Symbol, start: int, stop: int) -> Symbol:
    """Columns start..stop of a concatenation, from its parts."""
    parts, at = [], 0
    for part in x.inputs:
        a, b = max(start, at), min(stop, at + part.shape[-1])
        if a < b:
            parts.append(columns(part, a - at, b - at))
        at += part.shape[-1]
    return parts[0] if len(parts) == 1 else words.concatenate(parts, axis=x.ndim - 1)


def _place(symbol: Symbol, g: Symbol) -> Symbol | None:
    if not symbol.is_row:
        return None
    index = symbol.static["index"]
    where = _interval((*index, *[slice(None)] * (symbol.ndim - len(index))), symbol.shape)
    if where is None or symbol.ndim < 2:
        return None
    start, stop = where
    parts = [_zeros(symbol, start)] if start else []
    parts.append(_flat(g) if g.ndim > 1 else words.reshape(g, (ROWS, 1)))
    if stop < symbol.width:
        parts.append(_zeros(symbol, symbol.width - stop))
    return words.reshape(words.concatenate(parts, axis=1) if len(parts) > 1 else parts[0], symbol.shape)


def _concatenate(symbol: Symbol, *parts: Symbol) -> Symbol | None:
    axis = symbol.static["axis"]
    if axis != symbol.ndim - 1 or (symbol.is_row and symbol.ndim != 2):
        return parts[0] if len(parts) == 1 else None
    out: list[Symbol] = []
    for part in parts:
        for piece in part.inputs if part.op == "concatenate" and part.static["axis"] == axis else (part,):
            joined = _neighbours(out[-1], piece) if out else None
            if joined is None:
                out.append(piece)
            else:
                out[-1] = joined
    if len(out) == 1:
        return out[0]
    return None if tuple(out) == parts else words.concatenate(out, axis=axis)


def _neighbours(left: Symbol, right: Symbol) -> Symbol | None:
    """Columns that stand side by side anyway, or zeros, as one."""
    if left.is_row and is_zero(left) and is_zero(right):
        return _zeros(left, left.shape[1] + right.shape[1])
    a, b = columns_of(left), columns_of(right)
    if a and b and left.inputs == right.inputs and a[1] == b[0]:
        return columns(left.inputs[0], a[0], b[1])
    return None


def _reduction(symbol: Symbol, x: Symbol) -> Symbol | None:
    axis, keepdims = symbol.static["axis"], symbol.static["keepdims"]
    if is_zero(x):
        return symbol.graph.apply("zeros", shape=symbol.shape, dtype=symbol.dtype)
    if not symbol.is_row:
        return None
    if axis is not None and all(x.shape[a] == 1 for a in axis):
        return words.reshape(x, symbol.shape)
    if not keepdims:
        return words.reshape(symbol.graph.apply(symbol.op, x, axis=axis, keepdims=True), symbol.shape)
    return None


def _matmul(symbol: Symbol, a: Symbol, b: Symbol) -> Symbol | None:
    if is_zero(a) or is_zero(b):
        return symbol.graph.apply("zeros", shape=symbol.shape, dtype=symbol.dtype)
    return None


def _broadcast_to(symbol: Symbol, x: Symbol) -> Symbol | None:
    if x.op in ("zeros", "ones"):
        return symbol.graph.apply(x.op, shape=symbol.shape, dtype=x.dtype)
    return x if x.shape == symbol.shape else None


_RULES: dict[str, Callable[..., Symbol | None]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
    "matmul": _matmul,
    "transpose": _transpose,
    "reshape": _reshape,
    "getitem": _getitem,
    "place": _place,
    "concatenate": _concatenate,
    "broadcast_to": _broadcast_to,
    "sum": _reduction,
    "max": _reduction,
    "min": _reduction,
}
