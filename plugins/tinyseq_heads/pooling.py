"""One vector from the features of a whole sequence."""

import warnings
from collections.abc import Callable
from operator import methodcaller
from typing import Any

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import Linear, Module, Parameter, init
from tinyseq.nn.ends import Ends as EndsOf
from tinyseq.nn.ends import at_ends
from tinyseq.sequences import Sequences, packed

Pooling = Callable[[Sequences], Tensor]


class Last:
    """The last step of each sequence, where a backward reading has only begun."""

    def __call__(self, xs: Sequences) -> Tensor:
        """xs: (steps, width) for each sequence -> (batch, width)."""
        return xs.last()

    def meet(self, encoder: Any) -> None:
        """Warn of features that have read a single step at the last one."""
        ends = getattr(encoder, "ends", None) or ()
        lost = sum(width for width, end in ends if end == "first")
        if lost:
            warnings.warn(
                f'pooling="last" takes the last step, where {lost} of the {sum(width for width, _ in ends)} '
                f"features of {type(encoder).__name__}, which read backward, have read that step only: "
                'pooling="ends" takes each direction where it has read the whole sequence.',
                UserWarning,
                stacklevel=5,
            )


class Ends:
    """Each feature where it has read the whole sequence: the last step, or, if it reads backward, the first.

    As the final states of Keras's and PyTorch's bidirectional layers. Which features read backward, the
    encoder says, in a SequenceModel; or `ends` does, as in `tinyseq.Layer`.
    """

    def __init__(self, ends: EndsOf | None = None) -> None:
        self.ends = ends

    def __call__(self, xs: Sequences) -> Tensor:
        """xs: (steps, width) for each sequence -> (batch, width). Raises ConfigError before it knows."""
        if self.ends is None:
            raise ConfigError(
                'pooling="ends" has not been told which features read backward: put the head into a '
                "SequenceModel with its encoder, or pass pooling=Ends(encoder.ends)."
            )
        total = sum(width for width, _ in self.ends)
        if xs.data.shape[1:] != (total,):
            raise ShapeError(
                f'pooling="ends" knows the ends of {total} features; these have shape '
                f"{xs.data.shape[1:]} at each step."
            )
        return at_ends(xs, self.ends)

    def meet(self, encoder: Any) -> None:
        """Ask the encoder. Raises ConfigError if it does not say."""
        ends = getattr(encoder, "ends", None)
        if ends is None:
            raise ConfigError(
                f'pooling="ends" needs to know which features of {type(encoder).__name__} read backward: let '
                'its last layer say so, as in ends = ((4, "last"), (4, "first")), or choose "mean" or "max".'
            )
        self.ends = ends


SIMPLE: dict[str, Callable[[], Pooling]] = {
    "last": Last,
    "ends": Ends,
    "mean": lambda: methodcaller("mean"),
    "max": lambda: methodcaller("max"),
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
    return SIMPLE[choice]()


def meet_pooling(pooling: Any, encoder: Any) -> None:
    """Let a pooling know what it pools, if it asks."""
    if hasattr(pooling, "meet"):
        pooling.meet(encoder)
