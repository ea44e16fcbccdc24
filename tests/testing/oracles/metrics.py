"""Metrics of all batches at once, by their definitions, and numbers to try them on."""

import functools
import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Batches = list[tuple[Any, Any]]


def scored(metric: Any, rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    return rng.normal(size=(rows, 4)), rng.integers(0, 4, rows)


def perplexity(metric: Any, batches: Batches) -> float:
    nats = [
        math.log(math.fsum(math.exp(v - row[y]) for v in row))
        for scores, ys in batches
        for row, y in zip(scores, ys, strict=True)
    ]
    return math.exp(math.fsum(nats) / len(nats))


def accuracy(metric: Any, batches: Batches) -> float:
    hits = [int(np.argmax(row)) == y for scores, ys in batches for row, y in zip(scores, ys, strict=True)]
    return sum(hits) / len(hits)


def macro_f1(metric: Any, batches: Batches) -> float:
    pairs = [
        (int(np.argmax(row)), int(y)) for scores, ys in batches for row, y in zip(scores, ys, strict=True)
    ]
    scores = []
    for c in range(metric.classes):
        right = sum(p == y == c for p, y in pairs)
        both = sum(p == c for p, _ in pairs) + sum(y == c for _, y in pairs)
        if both:
            scores.append(2 * right / both)
    return sum(scores) / len(scores)


def words(metric: Any, rng: np.random.Generator, rows: int) -> tuple[list[str], list[str]]:
    """Strings of a and b, often alike."""
    wanted = ["".join(rng.choice(list("ab"), 1 + int(rng.integers(3)))) for _ in range(rows)]
    return [w if rng.random() < 0.5 else w[::-1] + "b" for w in wanted], wanted


def tokens(metric: Any, rng: np.random.Generator, rows: int) -> tuple[list[list[str]], list[list[str]]]:
    """Lists of a and b, often alike."""
    written, wanted = words(metric, rng, rows)
    return list(map(list, written)), list(map(list, wanted))


def distance(a: str, b: str) -> int:
    @functools.cache
    def between(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(
            between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        )

    return between(len(a), len(b))


def error_rate(metric: Any, batches: Batches) -> float:
    pairs = [pair for batch in batches for pair in zip(*batch, strict=True)]
    return sum(distance(*pair) for pair in pairs) / sum(len(wanted) for _, wanted in pairs)


def exact_match(metric: Any, batches: Batches) -> float:
    same = [found == wanted for batch in batches for found, wanted in zip(*batch, strict=True)]
    return sum(same) / len(same)


def graded(metric: Any, rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    """Scores with ties, and whether each is a positive; both kinds are there."""
    return rng.integers(0, 4, rows + 2) / 4, np.append(rng.integers(0, 2, rows), [0, 1])


def auc(metric: Any, batches: Batches) -> float:
    scores, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    duels = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a in scores[targets == 1].tolist()
        for b in scores[targets == 0].tolist()
    ]
    return sum(duels) / len(duels)


def recall(metric: Any, batches: Batches) -> float:
    hits = []
    for scores, answers in batches:
        for row, answer in zip(scores.tolist(), answers.tolist(), strict=True):
            rivals = sum(score >= row[answer] for i, score in enumerate(row) if i != answer)
            hits.append(rivals < metric.k)
    return sum(hits) / len(hits)


def tags(metric: Any, rng: np.random.Generator, rows: int) -> tuple[list[list[str]], list[list[str]]]:
    """One sequence of each length up to `rows`, with predictions that are right half of the time."""
    wanted = [rng.choice(metric.tags, n + 1).tolist() for n in range(rows)]
    found = [[t if rng.random() < 0.5 else str(rng.choice(metric.tags)) for t in seq] for seq in wanted]
    return found, wanted


def answers(metric: Any, rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    """Log-odds of three questions, and whether each is on."""
    return rng.normal(size=(rows, 3)), rng.integers(0, 2, (rows, 3))


def binary_nats(metric: Any, batches: Batches) -> float:
    nats, rows = 0.0, 0
    for odds, targets in batches:
        for row, ys in zip(odds.tolist(), targets.tolist(), strict=True):
            nats += sum(math.log(1 + math.exp(-v if y else v)) for v, y in zip(row, ys, strict=True))
            rows += 1
    return nats / rows
