"""Inputs that are rows of a table: each row of the table is multiplied once, not once for each of its tokens.

With fewer rows than tokens, as for characters, take(table, ids) @ w is better take(table @ w, ids), and its
gradient first adds up what belongs to each row of the table.
"""

from typing import Any

from tinyseq import ops
from tinyseq.backend.symbols import Symbol
from tinyseq.contracts import Cell
from tinyseq.engine import Tensor
from tinyseq.nn import Module
from tinyseq.scan.graph import rewrite, until_stable, words
from tinyseq.scan.tracing.trace import Trace
from tinyseq.sequences import Sequences

WORTH_IT = 2  # tokens for each row of the table; docs/decisions/training-step.md has the measurements


class LookUp(Module):
    """`cell` on ids: its input is the row of `table` that belongs to each."""

    def __init__(self, table: Tensor, cell: Cell) -> None:
        self.table = table
        self.cell = cell

    @property
    def lives_with(self) -> Cell:
        """The module that stays while this is made anew for every batch."""
        return self.cell

    def step(self, ids: Tensor, state: Any) -> tuple[Any, Any]:
        """One step of the cell; ids: (rows,)."""
        return self.cell.step(ops.take(self.table, ids, axis=0), state)


def on_table(cell: Cell, xs: Sequences) -> tuple[LookUp, Sequences] | None:
    """The cell on ids, and the ids, if xs are rows of a table of which most are needed more than once."""
    if xs.looked_up is None or WORTH_IT * len(xs.looked_up[0]) > xs.layout.total:
        return None
    table, ids = xs.looked_up
    return LookUp(table, cell), xs.with_data(ids)


def table_products(traced: Trace) -> None:
    """Products of looked-up rows become looked-up rows of products."""
    traced.take(until_stable(lambda roots: rewrite(roots, _rule), traced.roots))


def _rule(symbol: Symbol, inputs: tuple[Any, ...]) -> Symbol | None:
    if symbol.op == "matmul":
        a, b = inputs
        if a.op == "take" and not b.is_row:  # rows of a table, times a matrix
            table, ids = a.inputs
            return words.take(words.matmul(table, b), ids, axis=0)
        if a.op == "transpose" and a.inputs[0].op == "take" and b.is_row:  # the gradient of that matrix
            table, ids = a.inputs[0].inputs
            return words.matmul(words.transpose(table, (1, 0)), _added(b, ids, table.shape[0]))
    if symbol.op == "add_at":
        g, ids = inputs
        size = symbol.static["size"]
        if g.op == "matmul" and not g.inputs[1].is_row:  # the gradient of the table
            return words.matmul(_added(g.inputs[0], ids, size), g.inputs[1])
        if g.op == "add" and all(type(i) is Symbol and i.shape == g.shape for i in g.inputs):
            return words.add(*[_added(i, ids, size) for i in g.inputs])
    return None


def _added(g: Symbol, ids: Symbol, size: int) -> Symbol:
    return words.add_at(g, ids, axis=0, size=size)
