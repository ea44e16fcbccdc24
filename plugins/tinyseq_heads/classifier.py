"""The head that puts each sequence into a class."""

from typing import Any

from tinyseq import ops
from tinyseq.contracts import Head, Loss, Metric
from tinyseq.engine import Tensor
from tinyseq.evaluation import Accuracy, MacroF1
from tinyseq.nn import Linear
from tinyseq.nn.init import Initializer
from tinyseq.registry import losses
from tinyseq.sequences import packed
from tinyseq_heads.pooling import Pooling, meet_pooling, pooling_of


class Classifier(Head):
    """Scores for every class from one vector for each sequence: pooled features @ W + b.

    pooling: "last", "ends", "mean", "max", "attention", or a function of Sequences. "last" suits a recurrence
    that reads forward: of a bidirectional one, the last step has read nothing backward. "ends" takes each
    direction where it has read the whole sequence, in a SequenceModel, whose encoder says where that is.
    `loss` is cross-entropy unless another is given; `init` fills W.
    """

    def __init__(
        self,
        input_size: int,
        classes: int,
        *,
        pooling: str | Pooling = "last",
        loss: Loss | None = None,
        init: str | Initializer = "glorot_uniform",
    ) -> None:
        self.input_size = input_size
        self.classes = classes
        self.pooling: Any = pooling_of(pooling, input_size)
        self.projection = Linear(input_size, classes, init=init)
        self.criterion: Any = loss if loss is not None else losses["cross-entropy"]()

    def scores(self, features: Any) -> Tensor:
        """Unnormalised scores (batch, classes) of features (steps, input_size) for each sequence."""
        scores: Tensor = self.projection(self.pooling(packed(features)))
        return scores

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The loss of the classes `targets`, integers (batch,)."""
        loss: Tensor = self.criterion(self.scores(features), targets)
        return loss

    def predict(self, features: Any) -> Tensor:
        """Log-probabilities (batch, classes)."""
        log_p: Tensor = ops.log_softmax(self.scores(features))
        return log_p

    def meet(self, encoder: Any) -> None:
        """Let the pooling know what it pools."""
        meet_pooling(self.pooling, encoder)

    def metrics(self) -> dict[str, Metric]:
        """Accuracy and macro F1, without the targets that the loss ignores."""
        ignored = getattr(self.criterion, "ignore_index", None)
        return {
            "accuracy": Accuracy(ignore_index=ignored),
            "macro_f1": MacroF1(self.classes, ignore_index=ignored),
        }
