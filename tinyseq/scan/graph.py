"""Graphs of Symbols: walking them and rewriting them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, cast

from tinyseq.backend.symbols import Symbol
from tinyseq.backend.trace import TraceBackend

# A rule of a rewriting pass: what to put in place of a Symbol, given its rewritten inputs; None keeps it.
Rule = Callable[[Symbol, tuple[Any, ...]], Symbol | None]


class _SymbolWords(Protocol):  # TraceBackend's words, typed
    def __getattr__(self, name: str) -> Callable[..., Symbol]: ...


words = cast(_SymbolWords, TraceBackend.words)


def ancestors(roots: Iterable[Symbol | None]) -> list[Symbol]:
    """The roots and all that they are computed from, causes first."""
    seen: dict[int, Symbol] = {}
    stack = [root for root in roots if root is not None]
    while stack:
        symbol = stack.pop()
        if symbol.id not in seen:
            seen[symbol.id] = symbol
            stack += symbol.symbols
    return sorted(seen.values(), key=lambda s: s.id)


def users(symbols: Iterable[Symbol]) -> dict[int, list[Symbol]]:
    """By id, the Symbols that use each one directly (twice, if it is an operand twice)."""
    using: dict[int, list[Symbol]] = {}
    for symbol in symbols:
        using.setdefault(symbol.id, [])
        for operand in symbol.symbols:
            using.setdefault(operand.id, []).append(symbol)
    return using


def rewrite(roots: Sequence[Symbol | None], rule: Rule) -> list[Symbol | None]:
    """The roots over a graph in which `rule` has replaced what it wants, causes first."""
    new: dict[int, Symbol] = {}
    for symbol in ancestors(roots):
        inputs = tuple([new[i.id] if type(i) is Symbol else i for i in symbol.inputs])
        replaced = rule(symbol, inputs)
        if replaced is None:
            replaced = (
                symbol if symbol.op == "leaf" else symbol.graph.apply(symbol.op, *inputs, **symbol.static)
            )
        if symbol.name and not replaced.name:
            replaced.name = symbol.name
        new[symbol.id] = replaced
    return [None if root is None else new[root.id] for root in roots]


def until_stable(
    transform: Callable[[list[Symbol | None]], list[Symbol | None]],
    roots: Sequence[Symbol | None],
    limit: int = 12,
) -> list[Symbol | None]:
    """The roots after `transform` again and again, until it changes nothing (or `limit` times)."""
    current = list(roots)
    for _ in range(limit):
        after = transform(current)
        if all(a is b for a, b in zip(after, current, strict=True)):
            break
        current = after
    return current


def columns_of(symbol: Symbol) -> tuple[int, int] | None:
    """(start, stop) if `symbol` is these columns (last axis) of its input; otherwise None."""
    if symbol.op != "getitem" or (symbol.is_row and symbol.ndim != 2):
        return None
    *lead, last = symbol.static["index"]
    if len(lead) + 1 != symbol.ndim or not isinstance(last, slice) or any(i != slice(None) for i in lead):
        return None
    start, stop, step = last.indices(symbol.inputs[0].shape[-1])
    return (start, stop) if step == 1 else None


def columns(x: Symbol, start: int, stop: int) -> Symbol:
    """x[:, start:stop]; the whole of x is x."""
    if (start, stop) == (0, x.shape[-1]):
        return x
    lead = (slice(None),) * (x.ndim - 1)
    return x.graph.apply("getitem", x, index=(*lead, slice(start, stop)))


def is_view(symbol: Symbol) -> bool:
    """Whether a row is other names for elements of its input: some of its columns, or another shape."""
    return symbol.is_row and (symbol.op == "reshape" or columns_of(symbol) is not None)


def root_of(symbol: Symbol) -> Symbol:
    """The Symbol whose elements a view shows."""
    while is_view(symbol):
        symbol = symbol.inputs[0]
    return symbol
