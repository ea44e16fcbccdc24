"""Passes over the whole graph, forward and backward: each keeps the values and moves or shares work.

Every pass takes a Trace and changes what it computes from; leaving one out changes nothing but the speed.
"""

from collections.abc import Callable
from typing import Any

from tinyseq.backend.symbols import POINTWISE, Level, Symbol
from tinyseq.scan.graph import ancestors, columns, columns_of, rewrite, until_stable, users, words
from tinyseq.scan.passes.joins import merged_gradients, shared_rows, sums_of_parts
from tinyseq.scan.passes.lookups import table_products
from tinyseq.scan.passes.simplify import simplify
from tinyseq.scan.tracing.trace import Trace

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
    traced.take(until_stable(_early_sums, traced.roots))


def _early_sums(roots: list[Symbol | None]) -> list[Symbol | None]:
    symbols = ancestors(roots)
    using = users(symbols)
    kept = {root.id for root in roots if root is not None}

    def links(s: Symbol) -> bool:
        return s.op == "add" and s.is_row and all(i.dtype == s.dtype for i in s.symbols)

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
                if type(before) is Symbol and before.id in inner and after.op == "add":
                    collect(before, after.inputs)
                else:
                    terms.append(after)

        collect(symbol, inputs)
        ordered = sorted(terms, key=lambda t: (t.level, t.id) if type(t) is Symbol else (-1, 0))
        total = ordered[0]
        for term in ordered[1:]:
            either = type(total) is Symbol or type(term) is Symbol
            total = words.add(total, term) if either else total + term  # numbers come first
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
        for i, j in (
            (0, 1),
            (1, 0),
        ):  # (rest + first) + second, in which rest + first may be one product by now
            chain, last = symbol.inputs[i], symbol.inputs[j]
            if not (mergeable(last) and type(chain) is Symbol and chain.op == "add" and chain.id not in kept):
                continue
            if len(using[chain.id]) != 1 or chain.shape != symbol.shape or not mergeable(chain.inputs[1]):
                continue
            before: Symbol = inputs[i]
            if before.op == "matmul":
                return _side_by_side(before, inputs[j])
            if before.op == "add" and before.inputs[1].op == "matmul":
                return words.add(before.inputs[0], _side_by_side(before.inputs[1], inputs[j]))
        return None

    def _side_by_side(a: Symbol, b: Symbol) -> Symbol:
        left = words.concatenate([a.inputs[0], b.inputs[0]], axis=1)
        right = words.concatenate([a.inputs[1], b.inputs[1]], axis=0)
        product: Symbol = words.matmul(left, right)
        return product

    traced.take(rewrite(traced.roots, rule))


def side_by_side(traced: Trace) -> None:
    """One operation where several do the same to neighbouring columns: gates that are all sigmoids, say.

    Fewer calls of NumPy; a kernel that fuses operations wants its columns narrow instead.
    """
    for _ in range(SIDE_BY_SIDE_LIMIT):
        group = _neighbouring(traced)
        if not group:
            break
        merged = {s.id: at for at, s in enumerate(group)}
        bounds = [sum(s.shape[1] for s in group[:k]) for k in range(len(group) + 1)]
        operands = [
            columns(first.inputs[0], columns_of(first)[0], columns_of(last)[1])  # type: ignore[index]
            if type(first) is Symbol
            else first
            for first, last in zip(group[0].inputs, group[-1].inputs, strict=True)
        ]
        wide = traced.graph.apply(group[0].op, *operands)

        def rule(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
            at = merged.get(symbol.id)
            return None if at is None else columns(wide, bounds[at], bounds[at + 1])

        traced.take(rewrite(traced.roots, rule))


SIDE_BY_SIDE_LIMIT = 64


def _neighbouring(traced: Trace) -> list[Symbol]:
    """The first group of equal operations on neighbouring columns, from left to right; or none."""
    phase = _phases(traced)
    by_start: dict[Any, Symbol] = {}
    candidates = []
    for s in ancestors(traced.roots):
        if s.op not in POINTWISE or s.ndim != 2 or not s.is_row or s.shape[1] == 1:
            continue
        parts = [columns_of(i) for i in s.symbols]
        if all(p is not None and p[1] - p[0] == s.shape[1] for p in parts):
            kind = (
                s.op,
                phase(s),
                tuple([i.inputs[0].id if type(i) is Symbol else repr(i) for i in s.inputs]),
            )
            candidates.append((s, kind, tuple([p[1] for p in parts if p is not None])))
            by_start[kind, tuple([p[0] for p in parts if p is not None])] = s
    for s, kind, stops in candidates:
        group = [s]
        while (right := by_start.get((kind, stops))) is not None:
            group.append(right)
            stops = tuple([columns_of(i)[1] for i in right.symbols])  # type: ignore[index]
        if len(group) > 1:
            return group
    return []


FORMS: tuple[Pass, ...] = (
    simplified,
    table_products,
    columns_first,
    early_sums,
    merged_products,
    merged_sums_of_products,
    merged_gradients,
    shared_rows,
)


def optimise(traced: Trace, leave_out: tuple[str, ...] = (), *, wide: bool = False) -> None:
    """Apply every pass whose name is not left out, tidying up in between. `simplified` cannot be left out.

    wide: for source without kernels, where an operation on many columns is better than many operations.
    """
    simplified(traced)
    for change in (*FORMS[1:], side_by_side if wide else sums_of_parts):
        if change.__name__ not in leave_out:
            change(traced)
            simplified(traced)
