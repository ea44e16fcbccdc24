"""Losses with one fault each."""

import itertools
import math
from typing import Any

import numpy as np

from tinyseq import Sequences, Tensor, ops, primitive
from tinyseq.contracts import Loss
from tinyseq.contracts.pairing import beside, paired, reduced


class Surprise(Loss):
    """A right cross-entropy."""

    def __init__(self, reduction: Any = "mean", ignore: int | None = None) -> None:
        self.reduction = reduction
        self.ignore = ignore

    def costs(self, scores: Tensor, labels: Tensor) -> Tensor:
        costs: Tensor = ops.softmax_cross_entropy(scores, labels)
        return costs

    def forward(self, predictions: Any, targets: Any) -> Any:
        scores, labels = paired("Surprise", predictions, targets)
        if self.ignore is None:
            return reduced(self.costs(scores, labels), None, self.reduction, predictions)
        counted = labels != self.ignore
        costs = ops.where(counted, self.costs(scores, ops.where(counted, labels, 0)), 0)
        return reduced(costs, counted.astype(costs.dtype), self.reduction, predictions)

    def weight(self, targets: Any) -> float:
        rows = targets.data if isinstance(targets, Sequences) else targets
        return int((rows.numpy() != self.ignore).sum())


def surprise(loss: Any, scores: Any, labels: Any) -> Any:
    """Its value by a loop."""
    costs = [
        math.log(math.fsum(math.exp(v - row[y]) for v in row)) if y != loss.ignore else 0.0
        for row, y in zip(scores.tolist(), labels.tolist(), strict=True)
    ]
    counted = sum(y != loss.ignore for y in labels.tolist())
    return {"none": costs, "sum": sum(costs), "mean": sum(costs) / max(1, counted)}[loss.reduction]


@primitive
def squared_gradient(xp: Any, scores: Any, labels: Any) -> Any:
    p = xp.exp(scores - scores.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    d = p - xp.add_along_axis(
        xp.ones_like(xp.expand_dims(labels, -1)), xp.expand_dims(labels, -1), axis=-1, size=p.shape[-1]
    )
    return (d * d).sum(axis=-1), lambda g: (xp.expand_dims(g, -1) * d, None)


class ReportsSquaredGradients(Surprise):  # Thinc, loss.py:168: the gradient is right, the value is not
    def costs(self, scores: Tensor, labels: Tensor) -> Tensor:
        costs: Tensor = squared_gradient(scores, labels)
        return costs


class WrongAxis(Surprise):
    def costs(self, scores: Tensor, labels: Tensor) -> Tensor:
        logs = scores - ops.logsumexp(scores, axis=0, keepdims=True)
        return -ops.take_along_axis(logs, ops.expand_dims(labels, -1), axis=-1).squeeze(-1)


class MeanOfMeans(Surprise):
    def forward(self, predictions: Any, targets: Any) -> Any:
        scores, labels = paired("MeanOfMeans", predictions, targets)
        costs = self.costs(scores, labels)
        if self.reduction == "mean" and not isinstance(predictions, Tensor):
            return predictions.with_data(costs).mean().mean()
        return reduced(costs, None, self.reduction, predictions)


class IgnoredStillCount(Surprise):  # the mean is over all targets
    def forward(self, predictions: Any, targets: Any) -> Any:
        scores, labels = paired("IgnoredStillCount", predictions, targets)
        counted = labels != self.ignore
        costs = ops.where(counted, self.costs(scores, ops.where(counted, labels, 0)), 0)
        return reduced(costs, None, self.reduction, predictions)


class NothingToDivideBy(Surprise):  # all targets ignored: 0 / 0
    def forward(self, predictions: Any, targets: Any) -> Any:
        if self.reduction != "mean":
            return super().forward(predictions, targets)
        scores, labels = paired("NothingToDivideBy", predictions, targets)
        counted = labels != self.ignore
        costs = ops.where(counted, self.costs(scores, ops.where(counted, labels, 0)), 0)
        with np.errstate(invalid="ignore"):
            return costs.sum() / counted.astype(costs.dtype).sum()


class LogOfSoftmax(Surprise):
    def costs(self, scores: Tensor, labels: Tensor) -> Tensor:
        p = ops.take_along_axis(ops.softmax(scores), ops.expand_dims(labels, -1), axis=-1)
        return -ops.log(p).squeeze(-1)


class SumIsAMean(Surprise):
    def forward(self, predictions: Any, targets: Any) -> Any:
        value = super().forward(predictions, targets)
        return value * (1 / len(packed_rows(predictions))) if self.reduction == "sum" else value


def packed_rows(predictions: Any) -> Any:
    return predictions if isinstance(predictions, Tensor) else predictions.data


class Triplets(Loss):
    """A right one: the hinge of b - a + 1 over all triplets, a and b squared distances; their mean."""

    reduction: Any = "mean"

    def positives(self, labels: Any) -> Any:
        return (labels[:, None] == labels[None, :]) & ~np.eye(len(labels), dtype=bool)

    def average(self, total: Tensor, count: int) -> Tensor:
        return total * (1 / max(1, count))

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        labels = targets.numpy()
        difference = ops.expand_dims(predictions, 1) - ops.expand_dims(predictions, 0)
        d = (difference * difference).sum(axis=-1)
        chosen = self.positives(labels)[:, :, None] & (labels[:, None] != labels[None, :])[:, None, :]
        costs = ops.relu(ops.expand_dims(d, 2) - ops.expand_dims(d, 1) + 1)
        return self.average(ops.where(beside(costs, chosen), costs, 0).sum(), int(chosen.sum()))


def all_triplets(loss: Any, vectors: Any, labels: Any) -> float:
    def distance(a: int, b: int) -> float:
        return float(np.sum((vectors[a] - vectors[b]) ** 2))

    costs = [
        max(distance(a, p) - distance(a, n) + 1, 0.0)
        for a, p, n in itertools.product(range(len(labels)), repeat=3)
        if a != p and labels[a] == labels[p] != labels[n]
    ]
    return sum(costs) / max(1, len(costs))


class NanWithoutTriplets(Triplets):  # pytorch-metric-learning #107
    def average(self, total: Tensor, count: int) -> Tensor:
        return total / Tensor(np.asarray(count, total.dtype)) if count else total * float("nan")


class ItsOwnPositive(Triplets):
    def positives(self, labels: Any) -> Any:
        return labels[:, None] == labels[None, :]


def labelled(loss: Any, rng: np.random.Generator, lengths: Any) -> Any:
    rows = sum(lengths)
    return rng.normal(size=(rows, 3)), rng.integers(0, 2, rows)


MINING = {"cases": [{}], "inputs": labelled, "mines": True, "reference": all_triplets}
IGNORING = {"cases": [{"ignore": -1}], "ignored": -1, "reference": surprise}


class WeighsIgnoredTargets(Surprise):
    def weight(self, targets: Any) -> float:
        return int(targets.size)


PLANTS: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("reports squared gradients (Thinc)", "L1", ReportsSquaredGradients, {"reference": surprise}),
    ("softmax over the wrong axis (course copies)", "L1", WrongAxis, {"reference": surprise}),
    ("mean of means", "L3", MeanOfMeans, {}),
    ("sum divided by the rows", "L3", SumIsAMean, {}),
    ("ignored targets in the divisor", "L2", IgnoredStillCount, IGNORING),
    ("all ignored: 0 / 0", "L2", NothingToDivideBy, IGNORING),
    ("ignored targets in weight()", "L5", WeighsIgnoredTargets, IGNORING),
    ("log of softmax in two steps", "L4", LogOfSoftmax, {"reference": surprise}),
    ("no triplet: NaN (metric learning #107)", "M1", NanWithoutTriplets, MINING),
    ("a row is its own positive", "M1", ItsOwnPositive, MINING),
]
PLANTS = [(what, law, loss, {"cases": [{}], **declared}) for what, law, loss, declared in PLANTS]
RIGHT: list[tuple[Any, dict[str, Any]]] = [
    (Surprise, {"cases": [{}, {"reduction": "none"}], "reference": surprise}),
    (Surprise, IGNORING),
    (Triplets, MINING),
]
