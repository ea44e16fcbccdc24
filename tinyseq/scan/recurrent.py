"""Recurrent: a cell as a layer."""

from typing import Any

from tinyseq.contracts import Cell, Layer
from tinyseq.errors import ConfigError
from tinyseq.scan.run import scan


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
