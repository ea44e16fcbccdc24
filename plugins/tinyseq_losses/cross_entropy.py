"""Cross-entropy: how surprised the predictions are by the targets, in nats."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyseq import Sequences, Tensor, ops, primitive
from tinyseq.backend.blocks import by_rows
from tinyseq.contracts import Loss, Reduction, count_targets
from tinyseq.contracts.pairing import (
    beside,
    check_classes,
    check_ignored,
    check_list,
    check_reduction,
    paired,
    reduced,
)
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.ops.half import in_float32


class CrossEntropy(Loss):
    """-log softmax(predictions)[target], for classes that exclude each other.

    predictions: unnormalised scores (..., classes); targets: integers (...); Sequences or Tensors. With class
    weights w and label smoothing e, a row with target y costs

        (1 - e) w[y] (-log p[y]) + e / classes * sum over c of w[c] (-log p[c])

    and "mean" divides by the sum of the w[y]: without weights, the number of rows. Rows whose target is
    `ignore_index` do not count; if none counts, the loss is 0 with gradient 0.

    Raises DataError, naming the place, for a target that is no class. Source of label smoothing: Szegedy et
    al. (2016), section 7.
    """

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ConfigError(f"CrossEntropy: label_smoothing is a share in [0, 1], not {label_smoothing}.")
        check_list("CrossEntropy", "class_weights", class_weights)
        weights = None if class_weights is None else tuple(float(w) for w in class_weights)
        if weights is not None and not all(0 <= w < float("inf") for w in weights):
            raise ConfigError(f"CrossEntropy: class_weights are finite and not negative; got {weights}.")
        self.label_smoothing = label_smoothing
        self.class_weights = weights
        self.ignore_index = check_ignored("CrossEntropy", ignore_index)
        self.reduction = check_reduction("CrossEntropy", reduction)

    def forward(self, predictions: Any, targets: Any) -> Any:
        """The loss of all rows, reduced; see the class for the shapes."""
        logits, labels = paired("CrossEntropy", predictions, targets)
        classes = logits.shape[-1]
        if self.class_weights is not None and len(self.class_weights) != classes:
            raise ShapeError(
                f"CrossEntropy has {len(self.class_weights)} class_weights, the predictions {classes} "
                "classes: give one weight for each class."
            )
        check_classes("CrossEntropy", targets, classes, self.ignore_index)
        ignored = None if self.ignore_index is None else labels == self.ignore_index
        if ignored is not None:
            labels = ops.where(ignored, 0, labels)

        losses = ops.softmax_cross_entropy(logits, labels)
        weights = None
        if self.class_weights is not None:
            weights = ops.take(beside(logits, self.class_weights, logits.dtype), labels, axis=0)
            losses = losses * weights
        if self.label_smoothing:
            share = self.label_smoothing / classes
            even = [share * w for w in self.class_weights or [1.0] * classes]
            spread = soft_cross_entropy(logits, beside(logits, even, logits.dtype))
            losses = (1 - self.label_smoothing) * losses + spread
        if ignored is not None:
            losses = ops.where(ignored, 0, losses)
            weights = ops.where(ignored, 0, ops.ones_like(losses) if weights is None else weights)
        return reduced(losses, weights, self.reduction, predictions)

    def weight(self, targets: Any) -> float:
        """The number of targets that are not ignored, or the sum of their class weights."""
        if self.ignore_index is None and self.class_weights is None:
            return count_targets(targets)  # of their shape: a device is not asked
        rows = targets.data if isinstance(targets, Sequences) else targets
        labels = rows.numpy() if isinstance(rows, Tensor) else np.asarray(rows)
        if self.ignore_index is not None:
            labels = labels[labels != self.ignore_index]
        if self.class_weights is None:
            return labels.size
        check_classes("CrossEntropy", targets, len(self.class_weights), self.ignore_index)
        return float(np.asarray(self.class_weights)[labels].sum())

    @property
    def is_surprise(self) -> bool:
        """Whether it is -log p of the targets: without smoothing and class weights."""
        return not self.label_smoothing and self.class_weights is None


@in_float32
@primitive
def soft_cross_entropy(xp: Any, logits: Any, weights: Any) -> Any:
    """Sum over classes c of weights[c] (-log softmax(logits)[c]); weights: (classes,), constant."""

    def losses(x: Any) -> Any:
        top = xp.stop_gradient(x.max(axis=-1, keepdims=True))
        z = x - top
        log_sum = xp.log(xp.exp(z).sum(axis=-1, keepdims=True))
        return (weights * (log_sum - z)).sum(axis=-1), top, log_sum

    y, top, log_sum = by_rows(xp, losses, logits)

    def gradient(x: Any, top: Any, log_sum: Any, g: Any) -> Any:
        return xp.expand_dims(g, -1) * (weights.sum() * xp.exp(x - top - log_sum) - weights)

    return y, lambda g: (by_rows(xp, gradient, logits, top, log_sum, g), None)
