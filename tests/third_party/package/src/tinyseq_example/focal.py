"""Focal loss."""

from typing import Any

from tinyseq import Loss
from tinyseq.contracts import Reduction
from tinyseq.contracts.pairing import check_classes, check_reduction, paired, reduced
from tinyseq.errors import ConfigError
from tinyseq.ops import expm1, power, softmax_cross_entropy


class FocalLoss(Loss):
    """Cross-entropy that cares less about what is already right: -(1 - p)^gamma log p, with p = p[target].

    predictions: unnormalised scores (..., classes); targets: integers (...); Sequences or Tensors. Source:
    Lin et al. (2017), equation 4.

    Raises DataError, naming the place, for a target that is no class.
    """

    api = 1
    version = 1

    def __init__(self, *, gamma: float = 2.0, reduction: Reduction = "mean") -> None:
        if not 1 <= gamma < float("inf"):
            raise ConfigError(f"FocalLoss: gamma is 1 or more, not {gamma}; for 0, use cross-entropy.")
        self.gamma = gamma
        self.reduction = check_reduction("FocalLoss", reduction)

    def forward(self, predictions: Any, targets: Any) -> Any:
        """The loss of all rows, reduced."""
        scores, labels = paired("FocalLoss", predictions, targets)
        check_classes("FocalLoss", targets, scores.shape[-1], ignore_index=None)
        surprise = softmax_cross_entropy(scores, labels)
        doubt = -expm1(-surprise)  # 1 - p, without rounding to 0 where p is nearly 1
        return reduced(power(doubt, self.gamma) * surprise, None, self.reduction, predictions)
