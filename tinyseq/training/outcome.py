"""What an experiment found out, and the figures of a model on data that it has not seen."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from tinyseq.contracts import Metric
from tinyseq.engine import Tensor, no_grad
from tinyseq.errors import ShapeError
from tinyseq.sequences import Sequences


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


def predictions(model: Any, batches: Any) -> list[Any]:
    """The model's answer for each example of a LengthBatches, in the order of the data.

    What belongs to one example: a row of a Tensor (as an array), an element of Sequences or of a list.
    """
    lengths = [batches.length(example) for example in batches.examples]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    found: list[Any] = [None] * len(lengths)
    for start in range(0, len(order), batches.batch_size):
        cut = order[start : start + batches.batch_size]
        batch = batches.collate([batches.examples[i] for i in cut])
        answers = model.predict(batch[0] if isinstance(batch, tuple) else batch)
        if isinstance(answers, Sequences):
            answers = answers.to_list()
        if len(answers) != len(cut):
            raise ShapeError(
                f"predictions(): {len(answers)} answers for {len(cut)} examples: there is not one for each."
            )
        for i, answer in zip(cut, answers, strict=True):
            found[i] = answer.numpy() if isinstance(answer, Tensor) else answer
    return found


def measure(model: Any, batches: Iterable[tuple[Any, Any]]) -> dict[str, Metric]:
    """The metrics of the model's head over batches (inputs, targets), computed as in evaluation."""
    metrics: dict[str, Metric] = model.head.metrics()
    with no_grad(), model.evaluating():
        for inputs, targets in batches:
            predictions = model.predict(inputs)
            for metric in metrics.values():
                metric.update(predictions, targets)
    return metrics
