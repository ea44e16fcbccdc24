"""One vector from the features of a whole sequence."""

from collections.abc import Callable
from operator import methodcaller
from typing import Any

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Linear, Module, Parameter, init
from tinyseq.sequences import Sequences, packed

Pooling = Callable[[Sequences], Tensor]

SIMPLE: dict[str, Pooling] = {
    "last": methodcaller("last"),
    "mean": methodcaller("mean"),
    "max": methodcaller("max"),
}


class AttentionPooling(Module):
    """The mean of the steps, weighed by how much each one matters: softmax over t of u . tanh(W x_t + b).

    Source: Yang et al. (2016), equations 8 to 10.
    """

    def __init__(self, input_size: int) -> None:
        self.hidden = Linear(input_size, input_size)
        self.context = Parameter(init.glorot_uniform((input_size, 1)))

    def forward(self, xs: Any) -> Tensor:
        """xs: (steps, input_size) for each sequence -> (batch, input_size)."""
        xs = packed(xs)
        pooled: Tensor = xs.with_data(xs.data * self.weights(xs).data).sum()
        return pooled

    def weights(self, xs: Sequences) -> Sequences:
        """The weight of each step, (steps, 1) for each sequence, summing to 1 over its steps."""
        scores = xs.with_data(ops.tanh(self.hidden(xs.data)) @ self.context)
        powers = scores.map(lambda s: ops.exp(s - xs.spread(scores.max().detach())))
        return powers.map(lambda p: p / xs.spread(powers.sum()))


def pooling_of(choice: str | Pooling, input_size: int) -> Pooling:
    """The pooling of this name, "attention" with Parameters of its own, or the function itself.

    Raises ConfigError for a name that is none.
    """
    if callable(choice):
        return choice
    if choice == "attention":
        return AttentionPooling(input_size)
    if choice not in SIMPLE:
        raise ConfigError(
            f"There is no pooling {choice!r}; choose from {', '.join(SIMPLE)}, attention, or pass a "
            "function of Sequences."
        )
    return SIMPLE[choice]
