"""Recurrent: a cell as a layer."""

from collections.abc import Callable
from typing import Any

from tinyseq.contracts import Cell, Layer
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, RandomStepError
from tinyseq.nn.ends import Ends
from tinyseq.scan.running.run import scan
from tinyseq.scan.running.stream import CompiledStream, EagerStream


class Recurrent(Layer):
    """`cell` run along every sequence, from the first step to the last, or from the last to the first."""

    def __init__(
        self,
        cell: Cell,
        *,
        reverse: bool = False,
        compiled: bool | None = None,
        checkpoint: int | None = None,
    ) -> None:
        if not isinstance(cell, Cell):
            raise ConfigError(
                f"Recurrent takes a Cell, such as LSTM(input_size, hidden_size), not {type(cell).__name__}."
            )
        self.cell = cell
        self.reverse = reverse
        self.compiled = compiled
        self.checkpoint = checkpoint

    @property
    def sees_ahead(self) -> bool:
        """Whether a step's output depends on later steps."""
        return self.reverse

    @property
    def ends(self) -> Ends:
        """Where the features have read their whole sequence."""
        return ((self.output_size, "first" if self.reverse else "last"),)

    @property
    def input_size(self) -> int:
        """The features of each step that go in."""
        return self.cell.input_size

    @property
    def output_size(self) -> int:
        """The features of each step that come out."""
        return self.cell.output_size

    def initial_state(self, batch_size: int) -> Any:
        """The cell's state before the first step."""
        return self.cell.initial_state(batch_size)

    def forward(self, xs: Any) -> Any:
        """The cell's outputs at every step, from its initial state."""
        return self.scan(xs)[0]

    def scan(self, xs: Any, state: Any = None) -> tuple[Any, Any]:
        """The outputs at every step and the final state; see `tinyseq.scan`."""
        return scan(
            self.cell, xs, state, reverse=self.reverse, compiled=self.compiled, checkpoint=self.checkpoint
        )

    def stream(self, state: Any) -> Callable[[Tensor], Tensor]:
        """A function that reads one more step of every sequence, going on from `state`, without a tape.

        Raises ConfigError in reverse, where the last step would have to be known first.
        """
        if self.reverse:
            raise ConfigError(
                "Recurrent(reverse=True) begins with the last step, so it cannot read a stream."
            )
        if self.compiled is not False:
            try:
                return CompiledStream(self.cell, state)
            except RandomStepError:
                if self.compiled:
                    raise
        return EagerStream(self.cell, state)


Cell.runner = Recurrent
