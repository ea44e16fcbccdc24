"""A head that also asks for small and slowly changing features."""

from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.contracts import Head, Metric
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import VariationalDropout
from tinyseq.sequences import Sequences, packed


class ActivationPenalty(Head):
    """`head`, whose loss in training has two penalties of the features added.

        loss + ar * mean(d^2) + tar * mean((h_t+1 - h_t)^2)

    h: the encoder's features, d: the same after variational dropout with probability `dropout`, which is also
    what the head gets. In evaluation there is neither penalty nor dropout. Sources: Merity, McCann and Socher
    (2017); Merity et al. (2018), section 4.6.
    """

    def __init__(self, head: Head, ar: float = 2.0, tar: float = 1.0, dropout: float = 0.0) -> None:
        if not isinstance(head, Head):
            raise ConfigError(f"ActivationPenalty takes a Head, not {type(head).__name__}.")
        for name, value in (("ar", ar), ("tar", tar)):
            if not value >= 0:
                raise ConfigError(f"ActivationPenalty({name}={value!r}): it must be 0 or more.")
        self.head, self.ar, self.tar = head, ar, tar
        self.drop = VariationalDropout(dropout)
        vars(self)["causal"] = head.causal

    def __getattr__(self, name: str) -> Any:
        """What else a head has, as its criterion, is the one's inside."""
        if name == "head" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.head, name)

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The head's loss, in training with the penalties."""
        if not self.training:
            return self.head.loss(features, targets)
        raw = packed(features)
        dropped = self.drop(raw)
        penalty = (
            self.ar * (dropped.data * dropped.data).mean() + self.tar * _squared_changes(raw)
        ) * self._scale(targets)
        loss = self.head.loss(dropped if isinstance(features, Sequences) else dropped.to_padded(), targets)
        total: Tensor = loss + penalty
        return total

    def _scale(self, targets: Any) -> float:
        """A sum over targets takes penalties for each of them."""
        summed = getattr(getattr(self.head, "criterion", None), "reduction", "mean") == "sum"
        return self.weight(targets) if summed else 1.0

    def predict(self, features: Any) -> Any:
        """The head's answer."""
        return self.head.predict(features)

    def meet(self, encoder: Any) -> None:
        """Let the head know where the features come from."""
        self.head.meet(encoder)

    def metrics(self) -> dict[str, Metric]:
        """The head's metrics."""
        return self.head.metrics()

    def weight(self, targets: Any) -> float:
        """What the head's mean divides by."""
        return self.head.weight(targets)


def _squared_changes(xs: Sequences) -> Any:
    """The mean square of the differences between the steps of a sequence; 0 without a second step."""
    layout = xs.layout
    later = np.arange(layout.batch, layout.total)
    if not len(later):
        return 0.0
    offsets, times = np.asarray(layout.offsets), layout.times[later]
    earlier = later - offsets[times] + offsets[times - 1]
    steps = xs.data[layout.batch :] - ops.take(xs.data, earlier, axis=0)
    return (steps * steps).mean()
