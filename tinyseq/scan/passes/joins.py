"""Passes over rows that are joined, such as the gradients of all gates, and over their sums and products."""

from collections.abc import Callable
from typing import Any

from tinyseq.backend.symbols import Symbol
from tinyseq.scan.graph import ancestors, columns, rewrite, users, words
from tinyseq.scan.tracing.trace import Trace


def _joined_rows(traced: Trace) -> list[Symbol]:
    return [s for s in ancestors(traced.roots) if s.op == "concatenate" and s.is_row and s.ndim == 2]


def _sums_with(left: Any, right: Any) -> bool:
    """Whether left @ right is a sum over all rows: the gradient of a matrix."""
    transposed = type(left) is Symbol and left.op == "transpose" and left.inputs[0].is_row
    return transposed and left.inputs[0].ndim == 2 and right.is_row and right.ndim == 2


def merged_gradients(traced: Trace) -> None:
    """One product for gradients of matrices that read the same: x.T @ d_r and x.T @ d_z from x.T @ [d_r d_z].

    Only where [d_r d_z] is needed anyway.
    """
    groups: dict[int, list[Symbol]] = {}
    for s in ancestors(traced.roots):
        if s.op == "matmul" and _sums_with(*s.inputs):
            groups.setdefault(s.inputs[0].id, []).append(s)
    joined = sorted(_joined_rows(traced), key=lambda s: -s.width)
    merged: dict[int, tuple[Symbol, int]] = {}
    for group in groups.values():
        left = {s.inputs[1].id: s for s in group}
        for row in joined:
            run = _longest_run(row.symbols, lambda part: part.id in left and part.dtype == row.dtype)
            if len(run) > 1 and len({part.id for part in run}) == len(run):
                at = 0
                wide = words.matmul(group[0].inputs[0], words.concatenate(run, axis=1))
                for part in run:
                    merged[left.pop(part.id).id] = wide, at
                    at += part.width

    def rule(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
        if symbol.id not in merged:
            return None
        wide, at = merged[symbol.id]  # sums over rows feed no rows, so this pass has left the operands alone
        return columns(wide, at, at + symbol.shape[1])

    traced.take(rewrite(traced.roots, rule))


def _longest_run(parts: list[Symbol], wanted: Callable[[Symbol], bool]) -> list[Symbol]:
    """The longest stretch of wanted parts."""
    best: list[Symbol] = []
    run: list[Symbol] = []
    for part in parts:
        run = [*run, part] if wanted(part) else []
        best = max(best, run, key=len)
    return best


def shared_rows(traced: Trace) -> None:
    """[d_r d_z a] becomes [a d_r d_z] where the loop has [d_r d_z b]: both are parts of [a d_r d_z b].

    Products with it have their matrix, or their result, reordered. That saves a copy of all steps.
    """
    carried = {s.id for s in ancestors(traced.d_states)}
    joined = _joined_rows(traced)
    in_loop = [row.symbols for row in joined if row.id in carried]
    using = users(ancestors(traced.roots))
    kept = {root.id for root in traced.roots if root is not None}
    orders: dict[int, list[int]] = {}
    for row in joined:
        if row.id in carried or row.id in kept or not all(_takes_parts(u, row) for u in using[row.id]):
            continue
        for others in in_loop:
            run = _common_run(row.symbols, others)
            first = len(run) > 1 and others[: len(run)] == run
            if len(run) in (len(row.symbols), len(others)) or not (first or others[-len(run) :] == run):
                continue
            at = next(i for i, part in enumerate(row.symbols) if part is run[0])
            own, every = list(range(at, at + len(run))), range(len(row.symbols))
            rest = [i for i in every if i not in own]
            orders[row.id] = [*rest, *own] if first else [*own, *rest]

    def rule(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
        row = next((i for i in symbol.symbols if i.id in orders), None)
        if row is None:
            return None
        # The parts come from the loop, which reads no product of theirs: this pass has left them alone.
        order, widths = orders[row.id], [part.width for part in row.symbols]
        starts = [sum(widths[:i]) for i in range(len(widths))]
        moved = words.concatenate([row.symbols[i] for i in order], axis=1)
        if symbol.inputs[0] is row and symbol.op == "matmul":
            cuts = [(slice(starts[i], starts[i] + widths[i]), slice(None)) for i in order]
            matrix = words.concatenate([words.getitem(inputs[1], index=cut) for cut in cuts], axis=0)
            return words.matmul(moved, matrix)
        is_sum = symbol.op == "sum"
        result = words.sum(moved, axis=(0,), keepdims=False) if is_sum else words.matmul(inputs[0], moved)
        places = [order.index(i) for i in range(len(widths))]
        new_starts = [sum(widths[i] for i in order[:place]) for place in places]
        back = [columns(result, start, start + w) for start, w in zip(new_starts, widths, strict=True)]
        return words.concatenate(back, axis=0 if is_sum else 1)

    traced.take(rewrite(traced.roots, rule))


def _takes_parts(user: Symbol, row: Symbol) -> bool:
    """Whether `user` is a product or a sum over rows that can be taken of each part of a row."""
    if user.op == "sum":
        return user.static == {"axis": (0,), "keepdims": False}
    if user.op != "matmul":
        return False
    left, right = user.inputs
    if right is row:
        return left is not row and _sums_with(left, right)
    return left is row and right.ndim == 2 and not right.is_row


def _common_run(parts: list[Symbol], others: list[Symbol]) -> list[Symbol]:
    """The longest stretch of parts that stands in the same order among others, each there once."""
    best: list[Symbol] = []
    for start in range(len(parts)):
        for at in range(len(others)):
            length = 0
            while parts[start + length : start + length + 1] == others[at + length : at + length + 1] != []:
                length += 1
            best = max(best, parts[start : start + length], key=len)
    return best


def sums_of_parts(traced: Trace) -> None:
    """The sum over all rows of parts side by side is that of each part: a kernel adds up what it computes."""

    def rule(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
        x = inputs[0] if inputs else None
        if symbol.op != "sum" or symbol.static != {"axis": (0,), "keepdims": False}:
            return None
        if not (type(x) is Symbol and x.op == "concatenate" and x.is_row and x.ndim == 2):
            return None
        return words.concatenate([words.sum(part, axis=(0,), keepdims=False) for part in x.inputs], axis=0)

    traced.take(rewrite(traced.roots, rule))
