"""Two readings of every sequence, one from each end."""

from typing import Any

from tinyseq import Cell, Layer, Recurrent, Sequences
from tinyseq.errors import ConfigError
from tinyseq.nn.ends import Ends, reversed_ends
from tinyseq.sequences import concatenate_features, like, packed


class Bidirectional(Layer):
    """At every step, what `forward` made of the steps up to it beside what `backward` made of the rest.

    Both are Cells or layers with a state that read from the first step to the last; `backward` is given every
    sequence reversed. Features: forward's, then backward's. The state is the pair of theirs; each final state
    is the one after that reading's own last step.
    Source: Schuster and Paliwal (1997).
    """

    def __init__(self, forward: Cell | Layer, backward: Cell | Layer) -> None:
        if forward is backward or _cell(forward) is _cell(backward):
            raise ConfigError(
                f"Bidirectional was given the same {type(_cell(forward)).__name__} twice: each direction "
                "needs parameters of its own, so make a second one."
            )
        for name, layer in (("forward", forward), ("backward", backward)):
            if isinstance(layer, Recurrent) and layer.reverse:
                raise ConfigError(
                    f"Bidirectional reverses its second layer itself: pass {name}=Recurrent(cell) without "
                    "reverse=True, or just the cell."
                )
            if not isinstance(layer, Cell) and not hasattr(layer, "scan"):
                raise ConfigError(
                    f"Bidirectional takes Cells, or layers with a state; {name} is a {type(layer).__name__}."
                )
        self.forward_layer: Any = Recurrent(forward) if isinstance(forward, Cell) else forward
        self.backward_layer: Any = backward
        if isinstance(backward, Cell | Recurrent):
            self.backward_layer = Recurrent(_cell(backward), reverse=True)

    sees_ahead = True

    @property
    def ends(self) -> Ends | None:
        """Where the features have read their whole sequence: each direction's at its own last step."""
        ahead, back = getattr(self.forward_layer, "ends", None), getattr(self.backward_layer, "ends", None)
        if not isinstance(self.backward_layer, Recurrent):
            back = reversed_ends(back)
        return None if ahead is None or back is None else ahead + back

    @property
    def input_size(self) -> int:
        """The features of each step that go in."""
        return int(self.forward_layer.input_size)

    @property
    def output_size(self) -> int:
        """The features of each step that come out: those of both directions."""
        return int(self.forward_layer.output_size + self.backward_layer.output_size)

    def initial_state(self, batch_size: int) -> tuple[Any, Any]:
        """The states before the first step and before the last."""
        return self.forward_layer.initial_state(batch_size), self.backward_layer.initial_state(batch_size)

    def forward(self, xs: Any) -> Any:
        """The features of both directions at every step, from their initial states."""
        return self.scan(xs)[0]

    def scan(self, xs: Any, state: Any = None) -> tuple[Any, tuple[Any, Any]]:
        """The features of both directions at every step, and their final states."""
        batch = packed(xs)
        ahead, back = (None, None) if state is None else state
        left, ahead = self.forward_layer.scan(batch, ahead)
        right, back = self._scan_backward(batch, back)
        return like(xs, concatenate_features([left, right])), (ahead, back)

    def _scan_backward(self, batch: Sequences, state: Any) -> tuple[Sequences, Any]:
        if isinstance(
            self.backward_layer, Recurrent
        ):  # walks the packed rows from the end, and copies nothing
            ys, final = self.backward_layer.scan(batch, state)
            return ys, final
        ys, final = self.backward_layer.scan(batch.reverse(), state)
        return ys.reverse(), final


def _cell(layer: Any) -> Any:
    return layer.cell if isinstance(layer, Recurrent) else layer
