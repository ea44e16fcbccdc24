"""A traced step as lines of NumPy: one for each value with a name or used twice, the rest inside them."""

import keyword
import re
from collections.abc import Callable, Sequence
from typing import Any

from tinyseq.backend.symbols import POINTWISE, ROWS, Symbol
from tinyseq.scan.emitters.numpy import source
from tinyseq.scan.graph import ancestors, users
from tinyseq.scan.passes.simplify import simplify

OPERATORS = source.OPERATORS | {
    "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "equal": "==", "not_equal": "!=",
}  # fmt: skip


def formulas(
    roots: Sequence[Symbol], leaves: dict[int, str], reserved: set[str]
) -> tuple[list[str], list[str]]:
    """The lines that compute `roots` from `leaves` (names by id), and an expression for each root."""
    simple = [s for s in simplify(list(roots)) if s is not None]
    known = dict(leaves)
    lines: list[str] = []
    used = {*reserved, *leaves.values()}
    count = {i: len(by) for i, by in users(ancestors(simple)).items()}
    for symbol in ancestors(simple):
        if symbol.id in known:
            continue
        text = _expression(symbol, [known[i.id] if type(i) is Symbol else repr(i) for i in symbol.inputs])
        if symbol.name or count[symbol.id] > 1 or len(text) > 60:
            name = _free(symbol.name or "t", used)
            lines.append(f"{name} = {text}")
            text = name
        known[symbol.id] = text
    return lines, [known[s.id] for s in simple]


def _free(wish: str, used: set[str]) -> str:
    word = re.sub(r"\W", "_", wish)
    if not word.isidentifier() or keyword.iskeyword(word):
        word = f"t_{word}"
    name, n = word, 2
    while name in used:
        name, n = f"{word}_{n}", n + 1
    used.add(name)
    return name


def _expression(symbol: Symbol, values: list[str]) -> str:
    static = symbol.static
    if symbol.op in OPERATORS:
        return f"({values[0]} {OPERATORS[symbol.op]} {values[1]})"
    if symbol.op == "negative":
        return f"(-{values[0]})"
    if symbol.op == "erf":
        return f"erf({values[0]})"
    if symbol.op in POINTWISE:
        return f"np.{symbol.op}({', '.join(values)})"
    return _SPELLED[symbol.op](symbol, values, **static)


def _shape(shape: Sequence[Any], like: str) -> str:
    parts = [f"len({like})" if n is ROWS else str(n) for n in shape]
    return f"({', '.join(parts)}{',' * (len(parts) == 1)})"


def _filled(function: str) -> Callable[..., str]:
    return lambda symbol, values, shape, dtype: f"np.{function}({_shape(shape, 'x')}, np.{dtype})"


def _reduction(symbol: Symbol, values: list[str], **static: Any) -> str:
    options = "".join(f", {k}={v}" for k, v in static.items() if v is not None and v is not False)
    return f"{values[0]}.{symbol.op}({options.removeprefix(', ')})"


_SPELLED: dict[str, Callable[..., str]] = {
    "getitem": lambda s, v, index: f"{v[0]}[{source.index(index)}]",
    "concatenate": lambda s, v, axis: f"np.concatenate([{', '.join(v)}], axis={axis})",
    "reshape": lambda s, v, shape: f"{v[0]}.reshape{_shape(shape, v[0])}",
    "transpose": lambda s, v, axes: f"{v[0]}.transpose{axes}",
    "broadcast_to": lambda s, v, shape: f"np.broadcast_to({v[0]}, {_shape(shape, 'x')})",
    "astype": lambda s, v, dtype: f"{v[0]}.astype(np.{dtype})",
    "take": lambda s, v, axis: f"{v[0]}[{v[1]}]",
    "copy": lambda s, v: v[0],
    "cumsum": lambda s, v, axis: f"{v[0]}.cumsum({axis})",
    "argsort": lambda s, v, axis: f'np.argsort({v[0]}, {axis}, kind="stable")',
    "tril": lambda s, v, k: f"np.tril({v[0]}, {k})",
    "triu": lambda s, v, k: f"np.triu({v[0]}, {k})",
    "take_along_axis": lambda s, v, axis: f"np.take_along_axis({v[0]}, {v[1]}, {axis})",
    "add_along_axis": lambda s, v, axis, size: f"add_along_axis({v[0]}, {v[1]}, {axis}, {size})",
    "place": lambda s, v, index, shape: f"place({v[0]}, np.s_[{source.index(index)}], {_shape(shape, v[0])})",
    "zeros": _filled("zeros"),
    "ones": _filled("ones"),
    **dict.fromkeys(("sum", "max", "min", "argmax", "argmin"), _reduction),
}
