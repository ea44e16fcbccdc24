"""Figures about classes that are not equally frequent."""

import math
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.contracts import Metric
from tinyseq.contracts.pairing import check_classes, check_count, check_ignored, paired
from tinyseq.engine import no_grad
from tinyseq.errors import ConfigError, ShapeError


class MacroF1(Metric):
    """The mean of the F1 of all classes that were predicted or to be predicted, frequent or not.

    `update(predictions, targets)` takes scores (..., classes) or predicted classes, integers (...), and
    integer targets (...), as Sequences or arrays. Targets equal to `ignore_index` do not count. NaN before
    any target.
    """

    def __init__(self, classes: int, *, ignore_index: int | None = None) -> None:
        self.classes = check_count("MacroF1", "classes", classes)
        self.ignore_index = check_ignored("MacroF1", ignore_index)
        self.confusion = np.zeros((classes, classes), np.int64)  # target, prediction

    @no_grad()
    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch. Raises DataError for a target that is no class."""
        rows, labels = paired("MacroF1", predictions, targets)
        check_classes("MacroF1", targets, self.classes, self.ignore_index)
        predicted = rows if rows.dtype.kind in "iu" else ops.argmax(rows, axis=-1)
        if predicted.shape != labels.shape:
            raise ShapeError(
                f"MacroF1: predictions of shape {rows.shape} do not fit targets of shape {labels.shape}: "
                "give scores (..., classes) or predicted classes (...)."
            )
        check_classes("MacroF1", predicted, self.classes, None)
        wanted, found = labels.numpy(), predicted.numpy()
        counted = np.ones(wanted.shape, bool) if self.ignore_index is None else wanted != self.ignore_index
        np.add.at(self.confusion, (wanted[counted], found[counted]), 1)

    def merge(self, other: "MacroF1") -> None:
        """Take in all that `other` has seen. Raises ConfigError for another number of classes."""
        if other.classes != self.classes:
            raise ConfigError(f"MacroF1 of {other.classes} classes cannot be merged into {self.classes}.")
        self.confusion += other.confusion

    def report(self) -> np.ndarray[Any, Any]:
        """The F1 of each class, NaN for one that was neither predicted nor to be predicted: (classes,)."""
        both = self.confusion.sum(0) + self.confusion.sum(1)
        scores = np.full(self.classes, np.nan)
        np.divide(2.0 * self.confusion.diagonal(), both, out=scores, where=both > 0)
        return scores

    def value(self) -> float:
        """The mean over the classes seen so far."""
        scores = self.report()
        seen = scores[~np.isnan(scores)]
        return float(seen.mean()) if seen.size else math.nan


class BinaryNats(Metric):
    """The negative log-likelihood per row of labels that are each on or off, in nats.

    `update(log_odds, targets)` takes log-odds (..., labels) and targets of the same shape, 0 and 1, as
    Sequences or arrays. NaN before any row.
    """

    higher_is_better = False

    def __init__(self) -> None:
        self.nats = 0.0
        self.count = 0  # of rows

    @no_grad()
    def update(self, log_odds: Any, targets: Any) -> None:
        """Take in one batch."""
        scores, labels = paired("BinaryNats", log_odds, targets)
        if scores.shape != labels.shape or scores.ndim < 1:
            raise ShapeError(
                f"BinaryNats: log-odds of shape {scores.shape} and targets of shape {labels.shape} differ."
            )
        x, y = scores.astype("float64"), labels.astype("float64")
        self.nats += float((y * ops.softplus(-x) + (1 - y) * ops.softplus(x)).sum().item())
        self.count += math.prod(scores.shape[:-1])

    def merge(self, other: "BinaryNats") -> None:
        """Take in all that `other` has seen."""
        self.nats += other.nats
        self.count += other.count

    def value(self) -> float:
        """The mean over everything seen so far."""
        return self.nats / self.count if self.count else math.nan
