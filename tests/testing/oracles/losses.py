"""Losses by their definitions, and numbers to try them on."""

import itertools
import math
from typing import Any

import numpy as np

from oracles.cells import sigmoid
from tinyseq.sequences import Layout, Sequences

Array = np.ndarray[Any, Any]
Lengths = tuple[int, ...]


def cross_entropy(loss: Any, predictions: Array, targets: Array) -> Any:
    costs, divisor = [], 0.0
    for row, y in zip(predictions.tolist(), targets.tolist(), strict=True):
        if y == loss.ignore_index:
            costs.append(0.0)
            continue
        nats = [math.log(math.fsum(math.exp(v - u) for v in row)) for u in row]
        weights = loss.class_weights or [1.0] * len(row)
        even = math.fsum(w * n for w, n in zip(weights, nats, strict=True)) / len(row)
        costs.append((1 - loss.label_smoothing) * weights[y] * nats[y] + loss.label_smoothing * even)
        divisor += weights[y]
    return {"none": costs, "sum": math.fsum(costs), "mean": math.fsum(costs) / max(divisor, 1e-300)}[
        loss.reduction
    ]


def shares(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Array, Array]:
    rows = sum(lengths)
    return rng.normal(size=(rows, 2)), rng.uniform(size=(rows, 2))


def binary(loss: Any, predictions: Array, targets: Array) -> Any:
    costs = [
        [
            -loss.positive_weight * y * math.log(sigmoid(x)) - (1 - y) * math.log(1 - sigmoid(x))
            for x, y in pairs
        ]
        for pairs in (zip(*rows, strict=True) for rows in zip(predictions, targets, strict=True))
    ]
    return {"none": costs, "sum": np.sum(costs), "mean": np.mean(costs)}[loss.reduction]


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / math.sqrt(float(a @ a) * float(b @ b)))


def labelled(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Array, Array]:
    rows = sum(lengths)
    return rng.normal(size=(rows, 3)), rng.integers(0, 2, rows)


def triplets(loss: Any, vectors: Array, labels: Array) -> float:
    """The hinge over every triplet, or the closest allowed one, or the mean: by trying all of them."""
    options = loss._init_arguments[1]
    miners = (
        [options.get("miner", "closest-negative")]
        if "Mean" not in type(loss).__name__
        else ["mean", "closest-negative"]
    )
    total, count = 0.0, 0
    for miner in miners:
        pairs = 0
        for a, anchor in enumerate(vectors):
            for p, positive in enumerate(vectors):
                if a == p or labels[a] != labels[p]:
                    continue
                pairs += 1
                s_p = cosine(anchor, positive)
                s_n = [cosine(anchor, other) for n, other in enumerate(vectors) if labels[n] != labels[a]]
                if miner == "closest-negative":
                    s_n = sorted(s for s in s_n if s <= s_p)[-1:]
                elif miner == "mean":
                    s_n = [math.fsum(s_n) / len(s_n)] if s_n else []
                total += math.fsum(max(s - s_p + 0.25, 0.0) for s in s_n)
                count += len(s_n)
        if len(miners) > 1:
            count = pairs
    return total / count if count else 0.0


def pairs(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[tuple[Array, Array], Array]:
    rows = sum(lengths)
    return (rng.normal(size=(rows, 3)), rng.normal(size=(rows, 3))), rng.integers(0, 2, rows)


def measured(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Array, Array]:
    return rng.normal(size=(sum(lengths), 2)), rng.normal(size=(sum(lengths), 2))


def contrastive(loss: Any, predictions: tuple[Array, Array], targets: Array) -> Any:
    costs = []
    for a, b, y in zip(*predictions, targets, strict=True):
        d = math.dist(a, b)
        costs.append(d * d / 2 if y else max(loss.margin - d, 0) ** 2 / 2)
    return {"none": costs, "mean": math.fsum(costs) / len(costs)}[loss.reduction]


def partners(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Array, Array]:
    rows = sum(lengths)
    return rng.normal(size=(rows, 3)), rng.normal(size=(rows, 3))


def info_nce(loss: Any, anchors: Array, partners: Array) -> float:
    s = [[cosine(a, b) / loss.temperature for b in partners] for a in anchors]
    n = len(s)
    costs = [math.log(math.fsum(math.exp(v) for v in s[i])) - s[i][i] for i in range(n)]
    if loss.symmetric:
        turned = [math.log(math.fsum(math.exp(s[j][i]) for j in range(n))) - s[i][i] for i in range(n)]
        costs = [(a + b) / 2 for a, b in zip(costs, turned, strict=True)]
    return math.fsum(costs) / (n if loss.reduction == "mean" else 1)


def tagged(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    layout, total = Layout(lengths), sum(lengths)
    return Sequences(rng.normal(size=(total, 3)), layout), Sequences(rng.integers(0, 3, total), layout)


def crf(loss: Any, emissions: list[Array], tags: list[Array]) -> Any:
    start, end, transitions = loss.start.numpy(), loss.end.numpy(), loss.transitions.numpy()

    def score(scores: Array, path: Any) -> float:
        steps = math.fsum(scores[t, y] for t, y in enumerate(path))
        return float(
            start[path[0]]
            + steps
            + sum(transitions[a, b] for a, b in itertools.pairwise(path))
            + end[path[-1]]
        )

    costs = [
        math.log(
            math.fsum(
                math.exp(score(scores, path)) for path in itertools.product(range(3), repeat=len(scores))
            )
        )
        - score(scores, ys)
        for scores, ys in zip(emissions, tags, strict=True)
    ]
    return {"none": costs, "sum": sum(costs), "mean": sum(costs) / sum(map(len, tags))}[loss.reduction]


def spoken(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    """Labels for half of the steps, so that equal neighbours fit in as well."""
    scores = Sequences(rng.normal(size=(sum(lengths), 3)), Layout(lengths))
    return scores, Sequences.from_list([rng.integers(1, 3, (n + 1) // 2) for n in lengths])


def ctc(loss: Any, scores: list[Array], labels: list[Array]) -> Any:
    def reads(path: tuple[int, ...]) -> list[int]:
        return [label for label, _ in itertools.groupby(path) if label != loss.blank]

    costs = []
    for rows, wanted in zip(scores, labels, strict=True):
        p = [[math.exp(v) / math.fsum(math.exp(u) for u in row) for v in row] for row in rows.tolist()]
        paths = itertools.product(range(3), repeat=len(p))
        found = [path for path in paths if reads(path) == wanted.tolist()]
        costs.append(-math.log(math.fsum(math.prod(p[t][y] for t, y in enumerate(path)) for path in found)))
    return {"none": costs, "sum": sum(costs), "mean": sum(costs) / sum(map(len, labels))}[loss.reduction]
