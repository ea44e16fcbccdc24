"""A mixture of softmaxes."""

from typing import Any

import tinyseq
from tinyseq import Head, Loss, Metric, Tensor
from tinyseq.nn import Linear, positionwise
from tinyseq.ops import expand_dims, log_softmax, logsumexp, tanh


class MixtureOfSoftmaxes(Head):
    """The next token from several softmaxes, weighed by a prior.

        log p = log(sum over k of pi_k softmax(v_k W + b))

    pi = softmax(features P + q), v_k = tanh(features L_k + m_k). One softmax cannot give a matrix of
    log-probabilities a higher rank than the features have; a mixture can. Source: Yang et al. (2018),
    section 2.3. The loss is cross-entropy, unless another is given.
    """

    api = 1
    version = 1

    def __init__(
        self, input_size: int, vocabulary_size: int, *, softmaxes: int = 3, loss: Loss | None = None
    ) -> None:
        self.input_size, self.softmaxes = input_size, softmaxes
        self.prior = Linear(input_size, softmaxes)
        self.latent = Linear(input_size, softmaxes * input_size)
        self.projection = Linear(input_size, vocabulary_size)
        self.criterion: Any = loss if loss is not None else tinyseq.losses["cross-entropy"]()

    def predict(self, features: Any) -> Any:
        """Log-probabilities (..., vocabulary_size) of features (..., input_size)."""
        return positionwise(self._log_p, features)

    def _log_p(self, x: Tensor) -> Tensor:
        vectors = tanh(self.latent(x)).reshape((*x.shape[:-1], self.softmaxes, self.input_size))
        each = log_softmax(self.projection(vectors))
        prior = expand_dims(log_softmax(self.prior(x)), -1)
        log_p: Tensor = logsumexp(prior + each, axis=-2)
        return log_p

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The loss of the next tokens `targets`, integers (...)."""
        loss: Tensor = self.criterion(self.predict(features), targets)
        return loss

    def metrics(self) -> dict[str, Metric]:
        """Perplexity."""
        return {"perplexity": tinyseq.metrics["perplexity"]()}
