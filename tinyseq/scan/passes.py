"""Passes over the whole graph, forward and backward: each keeps the values and moves or shares work.

Every pass takes a Trace and changes what it computes from; leaving one out changes nothing but the speed.
"""

from collections.abc import Callable
from typing import Any

from tinyseq.backend.symbols import POINTWISE, Level, Symbol
from tinyseq.scan.graph import ancestors, columns, columns_of, rewrite, until_stable, users, words
from tinyseq.scan.simplify import simplify
from tinyseq.scan.tracing import Trace

Pass = Callable[[Trace], None]


def simplified(traced: Trace) -> None:
    """Fewer and simpler operations."""
    traced.take(simplify(traced.roots))


def columns_first(traced: Trace) -> None:
    """Where only parts of a row are used, compute the parts: split(x @ w + h @ u) becomes sums of products.

    Then each part can be known as early as its own operands allow.
    """
    traced.take(until_stable(_columns_first, traced.roots))


def _columns_first(roots: list[Symbol | None]) -> list[Symbol | None]:
    symbols = ancestors(roots)
    using = users(symbols)
    kept = {root.id for root in roots if root is not None}

    def rule(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
        part = columns_of(symbol) if symbol.is_row else None
        if part is None:
            return None
        whole = symbol.inputs[0]
        parts = {columns_of(user) for user in using[whole.id]}
        if whole.id in kept or None in parts or len(parts) < 2:
            return None
        return _part_of(inputs[0], *part)

    return rewrite(roots, rule)


def _part_of(whole: Symbol, start: int, stop: int) -> Symbol | None:
    width = whole.shape[1]
    if whole.op == "matmul" and whole.inputs[0].is_row and not whole.inputs[1].is_row:
        return words.matmul(whole.inputs[0], columns(whole.inputs[1], start, stop))
    if whole.op not in POINTWISE:
        return None
    operands = [
        columns(i, start, stop) if type(i) is Symbol and i.shape[-1:] == (width,) and width > 1 else i
        for i in whole.inputs
    ]
    found: Symbol = whole.graph.apply(whole.op, *operands)
    return found


def early_sums(traced: Trace) -> None:
    """Add first what is known first: (x @ w + h @ u) + b becomes (b + x @ w) + h @ u.

    Then b + x @ w leaves the loop.
    """
    traced.take(until_stable(lambda roots: _reassociated(roots, "add"), traced.roots))


def early_products(traced: Trace) -> None:
    """Multiply first what is known first, so that a cotangent meets one factor and not several."""
    forward = {s.id for s in traced.forward()}
    traced.take(until_stable(lambda roots: _reassociated(roots, "multiply", forward), traced.roots))


def _reassociated(
    roots: list[Symbol | None],
    op: str,
    leave: set[int] = frozenset(),  # type: ignore[assignment]
) -> list[Symbol | None]:
    symbols = ancestors(roots)
    using = users(symbols)
    kept = {root.id for root in roots if root is not None}

    def links(s: Symbol) -> bool:
        return s.op == op and s.is_row and s.id not in leave and all(i.dtype == s.dtype for i in s.symbols)

    inner = {
        s.id
        for s in symbols
        if links(s)
        and s.id not in kept
        and len(using[s.id]) == 1
        and links(using[s.id][0])
        and using[s.id][0].shape == s.shape
    }

    def rule(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
        if not links(symbol) or symbol.id in inner or not any(i.id in inner for i in symbol.symbols):
            return None
        terms: list[Any] = []

        def collect(old: Symbol, new: tuple[Any, ...]) -> None:
            for before, after in zip(old.inputs, new, strict=True):
                if type(before) is Symbol and before.id in inner and after.op == op:
                    collect(before, after.inputs)
                else:
                    terms.append(after)

        collect(symbol, inputs)
        word = getattr(words, op)
        ordered = sorted(terms, key=lambda t: (t.level, t.id) if type(t) is Symbol else (-1, 0))
        total = ordered[0]
        for term in ordered[1:]:
            total = word(total, term) if type(total) is Symbol else word(term, total)
        return total if total.shape == symbol.shape else None

    return rewrite(roots, rule)


def merged_products(traced: Trace) -> None:
    """One product where several share their left side: h @ u_r and h @ u_z are parts of h @ [u_r u_z]."""
    group_of = _phases(traced)
    groups: dict[Any, list[Symbol]] = {}
    for s in ancestors(traced.roots):
        if s.op == "matmul" and s.symbols == [a for a in s.inputs if a.ndim == 2]:
            left, right = s.inputs
            if left.is_row and right.level == Level.PARAMETER:
                groups.setdefault((left.id, group_of(s), s.dtype), []).append(s)
    merged: dict[int, tuple[list[Symbol], int]] = {}
    for group in groups.values():
        if len(group) > 1:
            at = 0
            for s in group:
                merged[s.id] = group, at
                at += s.shape[1]

    def rule(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
        if symbol.id not in merged:
            return None
        group, at = merged[symbol.id]
        # Weights depend on no row, so this pass has left them as they were.
        wide = words.matmul(inputs[0], words.concatenate([s.inputs[1] for s in group], axis=1))
        return columns(wide, at, at + symbol.shape[1])

    traced.take(rewrite(traced.roots, rule))


def _phases(traced: Trace) -> Callable[[Symbol], tuple[bool, ...]]:
    """When a product is computed: products of different phases must not become one."""
    sets = [
        {s.id for s in ancestors(roots)}
        for roots in (traced.outputs + traced.new_states, traced.new_states, traced.d_states)
    ]
    return lambda s: tuple(s.id in phase for phase in sets)


def merged_sums_of_products(traced: Trace) -> None:
    """One product for a sum of gradients: d_r @ u_r.T + d_z @ u_z.T is [d_r d_z] @ [u_r u_z].T."""
    forward = {s.id for s in traced.forward()}
    symbols = ancestors(traced.roots)
    using = users(symbols)
    kept = {root.id for root in traced.roots if root is not None}

    def mergeable(s: Any) -> bool:
        return (
            type(s) is Symbol
            and s.op == "matmul"
            and s.id not in forward
            and s.id not in kept
            and len(using.get(s.id, ())) == 1
            and s.inputs[0].is_row
            and s.inputs[0].ndim == 2
            and s.inputs[1].level == Level.PARAMETER
        )

    def rule(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
        if symbol.op != "add":
            return None
        a, b = symbol.inputs
        if mergeable(a) and mergeable(b) and a.dtype == b.dtype:
            return _side_by_side(inputs[0], inputs[1])
        for i, j in ((0, 1), (1, 0)):  # (rest + first) + second
            chain, last = symbol.inputs[i], symbol.inputs[j]
            if (
                mergeable(last)
                and type(chain) is Symbol
                and chain.op == "add"
                and chain.id not in kept
                and len(using[chain.id]) == 1
                and mergeable(chain.inputs[1])
                and chain.shape == symbol.shape
            ):
                return words.add(inputs[i].inputs[0], _side_by_side(inputs[i].inputs[1], inputs[j]))
        return None

    def _side_by_side(a: Symbol, b: Symbol) -> Symbol:
        left = words.concatenate([a.inputs[0], b.inputs[0]], axis=1)
        right = words.concatenate([a.inputs[1], b.inputs[1]], axis=0)
        product: Symbol = words.matmul(left, right)
        return product

    traced.take(rewrite(traced.roots, rule))


FORMS: tuple[Pass, ...] = (simplified, columns_first, early_sums, merged_products, merged_sums_of_products)


def optimise(traced: Trace, leave_out: tuple[str, ...] = ()) -> None:
    """Apply every pass whose name is not left out, tidying up in between. `simplified` cannot be left out."""
    simplified(traced)
    for change in FORMS[1:]:
        if change.__name__ not in leave_out:
            change(traced)
            simplified(traced)
