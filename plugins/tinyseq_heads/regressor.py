"""The head that answers with numbers, for each step or for each sequence."""

from typing import Any

from tinyseq.contracts import Head, Loss
from tinyseq.engine import Tensor
from tinyseq.nn import Linear
from tinyseq.nn.init import Initializer
from tinyseq.registry import losses
from tinyseq.sequences import packed
from tinyseq_heads.pooling import Pooling, meet_pooling, pooling_of


class Regressor(Head):
    """Numbers from the features of each step, or, with a `pooling`, of each sequence: features @ W + b.

    targets: numbers (steps, outputs) for each sequence, or (batch, outputs) with a pooling, as in Classifier.
    `loss` is squared-error unless another is given; `init` fills W.
    """

    def __init__(
        self,
        input_size: int,
        outputs: int,
        *,
        pooling: str | Pooling | None = None,
        loss: Loss | None = None,
        init: str | Initializer = "glorot_uniform",
    ) -> None:
        self.input_size = input_size
        self.outputs = outputs
        self.pooling: Any = None if pooling is None else pooling_of(pooling, input_size)
        self.projection = Linear(input_size, outputs, init=init)
        self.criterion: Any = loss if loss is not None else losses["squared-error"]()

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The loss of the numbers `targets`."""
        loss: Tensor = self.criterion(self.predict(features), targets)
        return loss

    def predict(self, features: Any) -> Any:
        """The numbers, (steps, outputs) for each sequence, or (batch, outputs) with a pooling."""
        return self.projection(features if self.pooling is None else self.pooling(packed(features)))

    def meet(self, encoder: Any) -> None:
        """Let the pooling know what it pools."""
        meet_pooling(self.pooling, encoder)
