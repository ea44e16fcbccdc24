"""Losses of pairs: vectors that belong together come near, others go apart."""

from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.contracts import Loss, Reduction
from tinyseq.contracts.pairing import beside, check_classes, check_reduction, reduced
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, DataError
from tinyseq_losses.similarity import SIMILARITIES, TINY, Similarity, check_vectors, named


class ContrastiveLoss(Loss):
    """y d^2 / 2 + (1 - y) max(margin - d, 0)^2 / 2, d the euclidean distance within a pair.

    predictions: (a, b), both (batch, width), row beside row; targets: integers (batch,), 1 for a pair that
    belongs together and 0 for one that does not. Source: Hadsell, Chopra and LeCun (2006), equation 4, where
    y is the complement.
    """

    def __init__(self, *, margin: float = 1.0, reduction: Reduction = "mean") -> None:
        if not 0 < margin < float("inf"):
            raise ConfigError(f"ContrastiveLoss: margin is finite and positive, not {margin}.")
        self.margin = margin
        self.reduction = check_reduction("ContrastiveLoss", reduction)

    def forward(self, predictions: tuple[Tensor, Tensor], targets: Any) -> Any:
        """The loss of all pairs, reduced; (batch,) with reduction "none"."""
        a, b = predictions
        check_vectors("ContrastiveLoss", a, b)
        labels = targets if isinstance(targets, Tensor) else beside(a, targets)
        if labels.shape != (len(a),):
            raise DataError(
                f"ContrastiveLoss needs one target for each of {len(a)} pairs; got shape {labels.shape}."
            )
        check_classes("ContrastiveLoss", labels, 2, None)
        squares = ops.sum(ops.square(a - b), -1)
        near = ops.sqrt(ops.maximum(squares, TINY * TINY))  # with gradient 0 where the vectors are equal
        apart = ops.square(ops.relu(self.margin - near))
        return reduced(ops.where(labels == 1, squares, apart) * 0.5, None, self.reduction, a)


class InfoNCE(Loss):
    """-log softmax(s(a_i, b) / temperature)[i]: each anchor picks its partner among those of the batch.

    predictions, targets: anchors and partners, (batch, width); row i belongs to row i. `groups`, integers
    (batch,), keeps rows of one group from being each other's negatives. `symmetric` also lets each partner
    pick its anchor, and takes the mean of both. A batch of one has loss 0.
    Sources: van den Oord et al. (2018), equation 4; as multiple negatives ranking: Henderson et al. (2017).
    """

    def __init__(
        self,
        *,
        similarity: str | Similarity = "cosine",
        temperature: float = 0.05,
        symmetric: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        if not 0 < temperature < float("inf"):
            raise ConfigError(f"InfoNCE: temperature is finite and positive, not {temperature}.")
        self.similarity: Similarity = named("similarity", similarity, SIMILARITIES)
        self.temperature = temperature
        self.symmetric = symmetric
        self.reduction = check_reduction("InfoNCE", reduction)

    def forward(self, predictions: Tensor, targets: Any, groups: Any = None) -> Any:
        """The loss of all anchors, reduced; (batch,) with reduction "none"."""
        partners = targets if isinstance(targets, Tensor) else beside(predictions, targets)
        check_vectors("InfoNCE", predictions, partners)
        scores = self.similarity(predictions, partners) * (1 / self.temperature)
        if groups is not None:
            same = np.asarray(groups.numpy() if isinstance(groups, Tensor) else groups)
            if same.shape != (len(predictions),):
                raise DataError(
                    f"InfoNCE needs one group for each of {len(predictions)} rows; got shape {same.shape}."
                )
            left_out = (same[:, None] == same[None, :]) & ~np.eye(len(same), dtype=bool)
            scores = ops.where(beside(scores, left_out), float(np.finfo(scores.dtype).min) / 2, scores)
        right = beside(scores, np.arange(len(predictions)))
        losses = ops.softmax_cross_entropy(scores, right)
        if self.symmetric:
            losses = 0.5 * (losses + ops.softmax_cross_entropy(ops.transpose(scores), right))
        return reduced(losses, None, self.reduction, predictions)
