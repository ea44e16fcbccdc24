"""One step at a time without a tape: compiled once, into memory that serves every step."""

from typing import Any

from tinyseq.contracts import Cell
from tinyseq.engine import Tensor, make_tensor, no_grad
from tinyseq.errors import RandomStepError, ShapeError
from tinyseq.noise import StepNoise, drawn_by
from tinyseq.scan.memory.workspace import rows_of
from tinyseq.scan.running.compiled import program_for
from tinyseq.scan.state import flatten, rebuild
from tinyseq.sequences import Layout


class CompiledStream:
    """Reads one more step of every sequence with each call: (batch, input_size) -> (batch, output_size).

    Nothing is kept but the state, so there is nothing to differentiate. The cell's configuration counts as it
    is when the stream begins, the values of its Parameters as they are at each step.
    """

    def __init__(self, cell: Cell, state: Any) -> None:
        leaves = [leaf.data for leaf in flatten(state)]
        like = cell.zeros(leaves[0].shape[0], cell.input_size)
        with no_grad():
            self._program, _, self._parameters = program_for(cell.step, like, state)
        if self._program.traced.draws:
            raise RandomStepError("A compiled stream has no noise: call eval(), or leave out compiled=True.")
        self._shape = like.shape
        rows = rows_of((like.shape[0],), False)
        self._workspace = self._program.workspace(rows)
        states = [self._workspace.all[store.name] for store in self._program.storage.state_stores]
        self._before = [array[rows.ends(first=True)] for array in states]
        self._after = [array[rows.ends(first=False)] for array in states]
        for after, leaf in zip(self._after, leaves, strict=True):
            after[...] = leaf.reshape(after.shape)

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape != self._shape:
            raise ShapeError(f"this stream reads rows of shape {self._shape} at each step, not {x.shape}.")
        for before, after in zip(self._before, self._after, strict=True):
            before[...] = after
        parameters = [parameter.data for parameter in self._parameters]
        (y,) = self._program.compute(self._workspace, [x.data], parameters)
        return make_tensor(y, None)


class EagerStream:
    """The same by the cell's step itself."""

    def __init__(self, cell: Cell, state: Any) -> None:
        leaves = [leaf.detach() for leaf in flatten(state)]
        self._cell, self._state = cell, rebuild(state, iter(leaves))
        self._noise = StepNoise(Layout([1] * leaves[0].shape[0]))

    @no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        self._noise.go_on()
        with drawn_by(self._noise):
            y, self._state = self._cell.step(x, self._state)
        result: Tensor = y
        return result
