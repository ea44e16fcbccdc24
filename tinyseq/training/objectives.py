"""What a batch costs: the one line of a training loop that differs from task to task."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tinyseq.contracts import count_targets as count_targets
from tinyseq.engine import Tensor
from tinyseq.nn import SequenceModel


class BatchLoss(NamedTuple):
    """The mean loss over a batch's targets, how much they count, and the state to carry into the next batch.

    `targets` is what the mean was divided by: their number, without those that do not count, or the sum of
    their weights. So the mean over all batches is that over all data, however they are cut. `scale`
    multiplies the mean for the gradient alone: Zaremba et al. (2014) sum over the steps of a window.
    `answers`, features and targets, are what the metrics of the model's head are measured on.
    """

    mean: Tensor
    targets: float
    state: Any = None
    scale: float | None = None
    answers: tuple[Any, Any] | None = None


# objective(model, batch, state) -> BatchLoss; the state is None before the first batch of an epoch.
Objective = Callable[[Any, Any, Any], BatchLoss]


def whole_sequences(model: Any, batch: Any, state: Any = None) -> BatchLoss:
    """The loss of a batch `(inputs, targets)` of whole sequences; no state is carried on."""
    inputs, targets = batch
    if getattr(type(model), "loss", None) is not SequenceModel.loss:  # a model with a loss of its own
        return _figured(model, model.loss(inputs, targets), targets)
    features = model(inputs)
    return _figured(model, model.head.loss(features, targets), targets)._replace(answers=(features, targets))


def carried_state(model: Any, batch: Any, state: Any = None) -> BatchLoss:
    """The loss of a batch `(inputs, targets)` of windows that go on where those of the last batch ended.

    The Trainer hands the state on as a constant, so that gradients go back to the start of a window and no
    further: truncated back-propagation through time (Williams & Peng, 1990).
    """
    inputs, targets = batch
    features, state = model.scan(inputs, state)
    found = _figured(model, model.head.loss(features, targets), targets)
    return found._replace(state=state, answers=(features, targets))


def _figured(model: Any, loss: Tensor, targets: Any) -> BatchLoss:
    """The mean behind a loss, which may be a sum over the targets, and how much they count."""
    weight = weight_of(model, targets)
    criterion = getattr(getattr(model, "head", model), "criterion", None)
    if getattr(criterion, "reduction", "mean") != "sum":
        return BatchLoss(loss, weight)
    return BatchLoss(loss * (1 / (weight or 1)), weight, scale=weight or 1)


def weight_of(model: Any, targets: Any) -> float:
    """How much the targets of a batch count in the loss of `model`, or of its head."""
    for part in (model, getattr(model, "head", None)):
        weight = getattr(part, "weight", None)
        if callable(weight) and not isinstance(weight, Tensor):
            return float(weight(targets))
    return count_targets(targets)
