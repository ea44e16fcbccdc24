"""Figures carried as sums and counts: the same for every split, padding and order of the data."""

import math
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.contracts import Metric
from tinyseq.contracts.pairing import check_classes, check_ignored, paired
from tinyseq.engine import no_grad
from tinyseq.errors import ConfigError, ShapeError


class Perplexity(Metric):
    """exp of the mean surprise per token: V for a model that knows nothing about which of V symbols comes.

    `update(scores, targets)` takes scores (..., classes), log-probabilities or unnormalised, and integer
    targets (...), as Sequences or arrays. Scores are normalised in float64, so that rounding does not add up.
    Targets equal to `ignore_index` do not count. `unit` says what a token is: figures per character and per
    word cannot be compared, nor merged. NaN before any token.
    """

    higher_is_better = False

    def __init__(self, unit: str = "token", *, ignore_index: int | None = None) -> None:
        self.unit = unit
        self.ignore_index = check_ignored("Perplexity", ignore_index)
        self.nats = 0.0  # of surprise, over all tokens
        self.count = 0  # of tokens

    @no_grad()
    def update(self, scores: Any, targets: Any) -> None:
        """Take in one batch. Raises DataError for a target that is no class."""
        rows, labels = paired("Perplexity", scores, targets)
        check_classes("Perplexity", targets, rows.shape[-1], self.ignore_index)
        counted = _counted(labels, self.ignore_index)
        safe = labels if self.ignore_index is None else ops.where(labels == self.ignore_index, 0, labels)
        nats = ops.softmax_cross_entropy(rows.astype("float64"), safe).numpy()
        self.nats += float(nats[counted].sum())
        self.count += int(counted.sum())

    def merge(self, other: "Perplexity") -> None:
        """Take in all that `other` has seen. Raises ConfigError if its unit is another."""
        if other.unit != self.unit:
            raise ConfigError(f"A perplexity per {other.unit} cannot be merged into one per {self.unit}.")
        self.nats += other.nats
        self.count += other.count

    def value(self) -> float:
        """The perplexity of everything seen so far; infinite beyond the largest float."""
        if not self.count:
            return math.nan
        try:
            return math.exp(self.nats / self.count)
        except OverflowError:
            return math.inf

    def __repr__(self) -> str:
        return f"perplexity {self.value():.4g} per {self.unit} ({self.count:,} {self.unit}s)"


class Accuracy(Metric):
    """The share of targets that were predicted.

    `update(predictions, targets)` takes scores (..., classes), of which the first highest is the prediction,
    or predicted classes, integers (...), and integer targets (...), as Sequences or arrays. Targets equal to
    `ignore_index` do not count. NaN before any target.
    """

    def __init__(self, *, ignore_index: int | None = None) -> None:
        self.ignore_index = check_ignored("Accuracy", ignore_index)
        self.correct = 0
        self.count = 0

    @no_grad()
    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch. Raises DataError for a target that is no class, or below 0."""
        rows, labels = paired("Accuracy", predictions, targets)
        scored = rows.dtype.kind not in "iu"
        predicted = ops.argmax(rows, axis=-1) if scored else rows
        if predicted.shape != labels.shape:
            raise ShapeError(
                f"Accuracy: predictions of shape {rows.shape} do not fit targets of shape {labels.shape}: "
                "give scores (..., classes) or predicted classes (...)."
            )
        # a target that is none of the classes would only ever lower the figure
        check_classes("Accuracy", targets, rows.shape[-1] if scored else None, self.ignore_index)
        counted = _counted(labels, self.ignore_index)
        self.correct += int((predicted == labels).numpy()[counted].sum())
        self.count += int(counted.sum())

    def merge(self, other: "Accuracy") -> None:
        """Take in all that `other` has seen."""
        self.correct += other.correct
        self.count += other.count

    def value(self) -> float:
        """The share over everything seen so far."""
        return self.correct / self.count if self.count else math.nan

    def __repr__(self) -> str:
        return f"accuracy {self.value():.4f} ({self.correct:,} of {self.count:,})"


def _counted(labels: Any, ignore_index: int | None) -> np.ndarray[Any, Any]:
    """Which targets count, on the host."""
    ids: np.ndarray[Any, Any] = labels.numpy()
    return np.ones(ids.shape, bool) if ignore_index is None else ids != ignore_index
