"""Sequences to write: each ends with a symbol that says so."""

from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.backend import to_numpy
from tinyseq.contracts import Metric
from tinyseq.contracts.pairing import beside, check_classes
from tinyseq.errors import DataError
from tinyseq.evaluation.edits import pairs
from tinyseq.sequences import Sequences


def shifted(targets: Sequences, first: int) -> Sequences:
    """The symbol before each one: `first`, and then all but the last of each sequence."""
    layout, ids = targets.layout, targets.data
    start = beside(ids, np.full(layout.batch, first), ids.dtype)
    if layout.steps == 1:
        return targets.with_data(start)
    if layout.is_dense:
        return targets.with_data(ops.concatenate([start, ids[: -layout.batch]]))
    before = np.arange(layout.batch, layout.total) - np.repeat(layout.sizes[:-1], layout.sizes[1:])
    return targets.with_data(ops.concatenate([start, ops.take(ids, beside(ids, before), axis=0)]))


def check_targets(name: str, targets: Sequences, sequences: int, symbols: int, end: int) -> None:
    """Raise DataError unless there is one target of symbols for each sequence, and each ends with `end`."""
    if targets.data.ndim != 1 or targets.dtype.kind not in "iu":
        raise DataError(
            f"{name} writes integer ids, one at each step; these targets are {targets.dtype} of shape "
            f"{targets.data.shape[1:]} at each step."
        )
    if targets.batch_size != sequences:
        raise DataError(f"{name} goes by {sequences} sequences, but there are {targets.batch_size} targets.")
    check_classes(name, targets, symbols, None)
    last = to_numpy(targets.last().data)
    wrong = np.flatnonzero(last != end)
    if wrong.size:
        raise DataError(
            f"{name}: target {wrong[0]} ends with {last[wrong[0]]}, not with the end symbol {end}: append it "
            "to every target, so that the model learns where to stop."
        ).about(wrong[0], len(last))


class WithoutEnd(Metric):
    """A metric of sequences whose targets count up to their end symbol, as predictions come without it."""

    def __init__(self, metric: Metric, end: int) -> None:
        self.metric = metric
        self.higher_is_better = metric.higher_is_better
        self.end = end

    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch."""
        both = pairs(type(self.metric).__name__, predictions, targets)
        wanted = [ids[: ids.index(self.end)] if self.end in ids else ids for _, ids in both]
        self.metric.update([predicted for predicted, _ in both], wanted)

    def merge(self, other: "WithoutEnd") -> None:
        """Take in all that `other` has seen."""
        self.metric.merge(other.metric)

    def value(self) -> Any:
        """The figure of the metric inside."""
        return self.metric.value()
