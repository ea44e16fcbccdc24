"""Precision, recall and F1 of each class, and their means."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tinyseq.errors import ShapeError
from tinyseq.evaluation.spans import Score

NO_SCORE = Score(0.0, 0.0, 0.0, 0)


def class_scores(wanted: Sequence[str], found: Sequence[str]) -> dict[str, Score]:
    """The score of each class that is wanted or found, in alphabetical order.

    A figure whose denominator is 0 is 0. Raises ShapeError unless there is one found for each wanted.
    """
    if len(wanted) != len(found):
        raise ShapeError(f"class_scores(): {len(found)} found, but {len(wanted)} wanted.")
    right = Counter(a for a, b in zip(wanted, found, strict=True) if a == b)
    actual, predicted = Counter(wanted), Counter(found)
    return {
        name: Score(
            right[name] / predicted[name] if predicted[name] else 0.0,
            right[name] / actual[name] if actual[name] else 0.0,
            2 * right[name] / (predicted[name] + actual[name]),
            actual[name],
        )
        for name in sorted(actual.keys() | predicted.keys())
    }


def means(scores: Mapping[str, Score]) -> dict[str, Score]:
    """The mean of the classes' scores, "macro", and that weighed by their support, "weighted"."""
    total = sum(score.support for score in scores.values())
    if not scores:
        return {"macro": NO_SCORE, "weighted": NO_SCORE}

    def mean(weights: Sequence[float]) -> Score:
        columns = [[score[i] for score in scores.values()] for i in range(3)]
        a, b, c = (sum(w * x for w, x in zip(weights, column, strict=True)) for column in columns)
        return Score(a, b, c, total)

    shares = [score.support / total if total else 0.0 for score in scores.values()]
    return {"macro": mean([1 / len(scores)] * len(scores)), "weighted": mean(shares)}


def confusions(wanted: Sequence[str], found: Sequence[str]) -> Counter[tuple[str, str]]:
    """How often each class, the first, was taken for each, the second; being right counts, too."""
    return Counter(zip(wanted, found, strict=True))
