"""Reading one step after the other, where the next step is not known before the last was read."""

from collections.abc import Callable
from typing import Any

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.sequences.batch import Sequences


def stream(layer: Any, state: Any) -> Callable[[Tensor], Tensor]:
    """A function that reads one more step of every sequence with `layer`, going on from `state`.

    It takes rows (batch, ...) and gives rows (batch, width). A layer may have its own `stream(state)`, as
    Recurrent and models have; one with `scan` is run over sequences of length 1; any other is its own stream.
    """
    if hasattr(layer, "stream"):
        found: Callable[[Tensor], Tensor] = layer.stream(state)
        return found
    if not hasattr(layer, "scan"):
        return layer  # type: ignore[no-any-return]

    def step(rows: Tensor) -> Tensor:
        nonlocal state
        ys, state = layer.scan(Sequences.from_padded(ops.expand_dims(rows, 1)), state)
        last: Tensor = ys.last()
        return last

    return step
