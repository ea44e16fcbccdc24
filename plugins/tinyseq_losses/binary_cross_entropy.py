"""Binary cross-entropy: questions that are answered yes or no, each by itself."""

from typing import Any

from tinyseq import ops
from tinyseq.backend import words_of
from tinyseq.contracts import Loss, Reduction
from tinyseq.contracts.pairing import check_classes, check_reduction, paired, reduced
from tinyseq.errors import ConfigError, DataError, ShapeError


class BinaryCrossEntropy(Loss):
    """-y log p - (1 - y) log(1 - p) for p = sigmoid(predictions): classes that do not exclude each other.

    predictions: unnormalised scores (...); targets of the same shape: 0 and 1, booleans, or shares in [0,
    1]; Sequences or Tensors. `positive_weight` multiplies the first term, for positives that are rare.
    "mean" is over all elements: times the number of questions it is the loss per row.

    Raises DataError for targets outside [0, 1], except for floats on a device, which are not read back.
    """

    def __init__(self, *, positive_weight: float = 1.0, reduction: Reduction = "mean") -> None:
        if not 0 < positive_weight < float("inf"):
            raise ConfigError(
                f"BinaryCrossEntropy: positive_weight is finite and positive, not {positive_weight}."
            )
        self.positive_weight = positive_weight
        self.reduction = check_reduction("BinaryCrossEntropy", reduction)

    def forward(self, predictions: Any, targets: Any) -> Any:
        """The loss of all elements, reduced."""
        x, y = paired("BinaryCrossEntropy", predictions, targets)
        if x.shape != y.shape:
            raise ShapeError(
                f"BinaryCrossEntropy: predictions of shape {x.shape} and targets of shape {y.shape} "
                "differ; give one target for each score."
            )
        if y.dtype.kind in "iu":
            check_classes("BinaryCrossEntropy", targets, 2, None)
        elif y.dtype.kind == "f" and words_of(y.data).name == "numpy" and y.size:
            low, high = float(y.data.min()), float(y.data.max())
            if not (low >= 0 and high <= 1):
                raise DataError(f"BinaryCrossEntropy: targets are shares in [0, 1], not [{low:g}, {high:g}].")
        y = y if y.dtype == x.dtype else y.astype(x.dtype)
        # softplus(x) - x is softplus(-x) too, but would round away the small losses of certain answers
        losses = self.positive_weight * y * ops.softplus(-x) + (1 - y) * ops.softplus(x)
        return reduced(losses, None, self.reduction, predictions)
