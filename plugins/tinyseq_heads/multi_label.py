"""The head that answers many yes-or-no questions at each step, such as which keys of a piano sound next."""

from typing import Any

from tinyseq.contracts import Head, Loss, Metric
from tinyseq.engine import Tensor
from tinyseq.evaluation import BinaryNats
from tinyseq.nn import Linear
from tinyseq.nn.init import Initializer
from tinyseq.registry import losses


class MultiLabel(Head):
    """Log-odds of every label from the features of each step: features @ W + b.

    targets: 0 and 1 (or shares) of shape (..., labels). The loss is the binary cross-entropy of a step,
    summed over its labels: with the next frame as target, the negative log-likelihood per frame. `loss`, if
    another is given, has to be a mean over labels as well as steps. `init` fills W.
    """

    def __init__(
        self,
        input_size: int,
        labels: int,
        *,
        loss: Loss | None = None,
        init: str | Initializer = "glorot_uniform",
    ) -> None:
        self.input_size = input_size
        self.labels = labels
        self.projection = Linear(input_size, labels, init=init)
        self.criterion: Any = loss if loss is not None else losses["binary-cross-entropy"]()

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The loss per step."""
        loss: Tensor = self.criterion(self.projection(features), targets) * self.labels
        return loss

    def predict(self, features: Any) -> Any:
        """The log-odds (..., labels), positive for a likely label; ops.sigmoid makes them probabilities."""
        return self.projection(features)

    def metrics(self) -> dict[str, Metric]:
        """The negative log-likelihood per step."""
        return {"nats": BinaryNats()}
