"""Squared error: numbers to be hit, such as the next values of a series."""

from typing import Any

from tinyseq import ops
from tinyseq.contracts import Loss, Reduction
from tinyseq.contracts.pairing import check_reduction, paired, reduced
from tinyseq.errors import ShapeError


class SquaredError(Loss):
    """(predictions - targets)^2, element by element: the mean squared error by default.

    predictions and targets: numbers of the same shape (...), as Sequences or Tensors; they are not broadcast.
    "mean" is over all elements. Raises ShapeError for shapes that differ.
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        self.reduction = check_reduction("SquaredError", reduction)

    def forward(self, predictions: Any, targets: Any) -> Any:
        """The loss of all elements, reduced."""
        x, y = paired("SquaredError", predictions, targets)
        if x.shape != y.shape:
            raise ShapeError(
                f"SquaredError: predictions of shape {x.shape} and targets of shape {y.shape} differ; give "
                "one target for each number, as in targets[..., None] for one number at each step."
            )
        y = y if y.dtype == x.dtype else y.astype(x.dtype)
        return reduced(ops.square(x - y), None, self.reduction, predictions)
