"""What an experiment found out, and the figures of a model on data that it has not seen."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from tinyseq.contracts import Metric
from tinyseq.engine import no_grad


class Outcome(NamedTuple):
    """One figure of one model on test data, beside the figure of a baseline; what a recipe gives back."""

    model: str
    metric: str
    value: float
    baseline: float
    lower_is_better: bool = False
    losses: tuple[float, ...] = ()
    """The training loss of each epoch, if the model was trained."""

    @property
    def beats_baseline(self) -> bool:
        """Whether the figure is better than the baseline's."""
        return self.value < self.baseline if self.lower_is_better else self.value > self.baseline

    def __str__(self) -> str:
        return f"{self.model}: {self.metric} {self.value:.4f} (baseline {self.baseline:.4f})"


def measure(model: Any, batches: Iterable[tuple[Any, Any]]) -> dict[str, Metric]:
    """The metrics of the model's head over batches (inputs, targets), computed as in evaluation."""
    metrics: dict[str, Metric] = model.head.metrics()
    with no_grad(), model.evaluating():
        for inputs, targets in batches:
            predictions = model.predict(inputs)
            for metric in metrics.values():
                metric.update(predictions, targets)
    return metrics
