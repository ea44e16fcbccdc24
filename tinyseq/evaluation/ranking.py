"""Scores that are to put what belongs together above what does not."""

import math
from typing import Any

import numpy as np

from tinyseq.contracts import Metric
from tinyseq.contracts.pairing import check_count
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, DataError

Array = np.ndarray[Any, Any]


class AUC(Metric):
    """The area under the ROC curve: how likely a positive scores higher than a negative; a tie is half.

    `update(scores, targets)` takes scores (rows,) and targets (rows,), 1 (or True) for a positive and 0 for a
    negative. All scores are kept, as the figure depends on their order. NaN without a positive or a negative.
    """

    def __init__(self) -> None:
        self.positives: list[Array] = []
        self.negatives: list[Array] = []

    def update(self, scores: Any, targets: Any) -> None:
        """Take in one batch."""
        values, labels = _scored("AUC", scores, targets)
        self.positives.append(values[labels])
        self.negatives.append(values[~labels])

    def merge(self, other: "AUC") -> None:
        """Take in all that `other` has seen."""
        self.positives += other.positives
        self.negatives += other.negatives

    def curve(self) -> tuple[Array, Array, Array]:
        """The ROC curve: false positives, true positives (as shares), and the threshold of each point.

        Positive is what scores the threshold or more: all different scores in turn, after infinity, which
        nothing reaches. Shares are NaN without a positive or a negative.
        """
        high, low = self._sorted()
        thresholds: Array = np.r_[np.inf, np.unique(np.r_[high, low])[::-1]]
        false: Array = len(low) - np.searchsorted(low, thresholds)
        true: Array = len(high) - np.searchsorted(high, thresholds)
        return false / (len(low) or math.nan), true / (len(high) or math.nan), thresholds

    def value(self) -> float:
        """The area over everything seen so far."""
        high, low = self._sorted()
        if not (high.size and low.size):
            return math.nan
        below = np.searchsorted(low, high, "left").sum()
        not_above = np.searchsorted(low, high, "right").sum()
        return float(below + not_above) / (2 * high.size * low.size)

    def _sorted(self) -> tuple[Array, Array]:
        """The scores of positives, and of negatives, in ascending order."""
        high, low = (
            np.sort(np.concatenate([np.empty(0), *parts])) for parts in (self.positives, self.negatives)
        )
        return high, low


class RecallAtK(Metric):
    """The share of queries whose right answer is among the k that score highest; ties count against it.

    `update(scores, answers)` takes scores (queries, candidates) and the number of each query's right
    candidate, integers (queries,). NaN before any query.
    """

    def __init__(self, k: int = 1) -> None:
        self.k = check_count("RecallAtK", "k", k)
        self.found = 0
        self.count = 0

    def update(self, scores: Any, answers: Any) -> None:
        """Take in one batch of queries."""
        values, right = _host(scores), _host(answers)
        if values.ndim != 2 or right.shape != values.shape[:1] or right.dtype.kind not in "iu":
            raise DataError(
                f"RecallAtK takes scores (queries, candidates) and an integer for each query; got shapes "
                f"{values.shape} and {right.shape}, {right.dtype}."
            )
        if right.size and not (right.min() >= 0 and right.max() < values.shape[1]):
            raise DataError(f"RecallAtK: an answer is outside of 0..{values.shape[1] - 1}, the candidates.")
        own = np.take_along_axis(values, right[:, None], axis=1)
        better = (values >= own).sum(1) - 1  # itself is not better
        self.found += int((better < self.k).sum())
        self.count += len(right)

    def merge(self, other: "RecallAtK") -> None:
        """Take in all that `other` has seen. Raises ConfigError for another k."""
        if other.k != self.k:
            raise ConfigError(f"Recall at {other.k} cannot be merged into recall at {self.k}.")
        self.found += other.found
        self.count += other.count

    def value(self) -> float:
        """The share over everything seen so far."""
        return self.found / self.count if self.count else math.nan


def best_threshold(scores: Any, targets: Any) -> float:
    """The threshold t for which `score > t` agrees with the most targets: choose it on validation data only.

    scores, targets: (rows,), as for AUC. Of equally good thresholds, the middle of the widest gap between
    scores is taken. Raises DataError without any row.
    """
    values, labels = _scored("best_threshold()", scores, targets)
    if not values.size:
        raise DataError("best_threshold() needs at least one score.")
    order = np.argsort(values, kind="stable")
    values, labels = values[order], labels[order]
    # a cut before row i calls rows i and later positive; it must not divide equal scores
    right = np.r_[0, np.cumsum(~labels)] + np.r_[np.cumsum(labels[::-1])[::-1], 0]
    edges = np.r_[values[0] - 1, values, values[-1] + 1]
    gaps = np.diff(edges)
    allowed = gaps > 0
    best = np.flatnonzero(allowed & (right == right[allowed].max()))
    cut = best[gaps[best].argmax()]
    return float((edges[cut] + edges[cut + 1]) / 2)


def _host(values: Any) -> Array:
    return values.numpy() if isinstance(values, Tensor) else np.asarray(values)


def _scored(name: str, scores: Any, targets: Any) -> tuple[Array, Array]:
    """Scores as float64 and targets as booleans, on the host. Raises DataError if they do not go together."""
    values, labels = _host(scores).astype(np.float64), _host(targets)
    if values.ndim != 1 or values.shape != labels.shape:
        raise DataError(
            f"{name} takes scores (rows,) and as many targets; got shapes {values.shape} and {labels.shape}."
        )
    if np.isnan(values).any():
        at = int(np.isnan(values).argmax())
        raise DataError(f"{name}: score {at} is NaN.").about(at, len(values))
    if not np.isin(labels, (0, 1)).all():
        raise DataError(f"{name}: targets are 0 and 1, or booleans.")
    return values, labels.astype(bool)
