"""The head that predicts the next token."""

from typing import Any

from tinyseq import ops
from tinyseq.contracts import Head, Loss, Metric
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError
from tinyseq.evaluation import Accuracy, Perplexity
from tinyseq.nn import Embedding, Linear, Parameter
from tinyseq.nn import init as initial
from tinyseq.nn.init import Initializer
from tinyseq.nn.layers import positionwise
from tinyseq.registry import losses


class LanguageModelHead(Head):
    """Scores for every symbol of a vocabulary from the features of each position: features @ W + b.

    With `tied`, the embedding that the model reads its input with, W is the transpose of its table, one
    Parameter for both; that needs features as wide as the embedding. `loss` is cross-entropy unless another
    is given. `unit` is what the perplexity is per; `init` fills a W of its own. Source of
    tying: Press and Wolf (2017).

    Raises ConfigError for an embedding that does not fit.
    """

    causal = True

    def __init__(
        self,
        input_size: int,
        vocabulary_size: int,
        *,
        tied: Embedding | None = None,
        loss: Loss | None = None,
        unit: str = "token",
        init: str | Initializer = "glorot_uniform",
    ) -> None:
        self.input_size = input_size
        self.vocabulary_size = vocabulary_size
        self.unit = unit
        if tied is None:
            self.projection: Linear | None = Linear(input_size, vocabulary_size, init=init)
        else:
            if (tied.num_embeddings, tied.embedding_size) != (vocabulary_size, input_size):
                raise ConfigError(
                    f"LanguageModelHead({input_size}, {vocabulary_size}) cannot share the table of "
                    f"Embedding({tied.num_embeddings}, {tied.embedding_size}): that needs the same "
                    "vocabulary and features as wide as the embedding; change the sizes or leave out tied."
                )
            self.projection = None
            self.bias = Parameter(initial.zeros((vocabulary_size,)))
        self.tied = tied
        self.criterion: Any = loss if loss is not None else losses["cross-entropy"]()

    def scores(self, features: Any) -> Any:
        """Unnormalised scores (..., vocabulary_size) of features (..., input_size)."""
        if self.projection is not None:
            return self.projection(features)
        return positionwise(self._from_table, features)

    def _from_table(self, x: Tensor) -> Tensor:
        assert self.tied is not None
        scores: Tensor = ops.matmul(x, ops.transpose(self.tied.weight)) + self.bias
        return scores

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The loss of the next tokens `targets`, integers (...)."""
        loss: Tensor = self.criterion(self.scores(features), targets)
        return loss

    def predict(self, features: Any) -> Any:
        """Log-probabilities (..., vocabulary_size) of the next token."""
        return positionwise(ops.log_softmax, self.scores(features))

    def metrics(self) -> dict[str, Metric]:
        """Perplexity and accuracy, without the targets that the loss ignores."""
        ignored = getattr(self.criterion, "ignore_index", None)
        return {
            "perplexity": Perplexity(self.unit, ignore_index=ignored),
            "accuracy": Accuracy(ignore_index=ignored),
        }
