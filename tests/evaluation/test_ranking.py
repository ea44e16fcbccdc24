"""Ranking figures against all pairs, one by one."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Tensor
from tinyseq.errors import ConfigError, DataError
from tinyseq.evaluation import AUC, RecallAtK, best_threshold

rows = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=12)


@given(rows=rows, cut=st.integers(0, 12))
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]], cut: int) -> None:
    high, low = ([s for s, y in rows if y is positive] for positive in (True, False))
    auc, rest = AUC(), AUC()
    for metric, part in ((auc, rows[:cut]), (rest, rows[cut:])):
        metric.update(np.array([s for s, _ in part], float), np.array([y for _, y in part], bool))
    auc.merge(rest)
    if high and low:
        in_order = sum((a > b) + (a == b) / 2 for a in high for b in low)
        assert auc.value() == pytest.approx(in_order / (len(high) * len(low)), rel=1e-12)
    else:
        assert math.isnan(auc.value())


@given(rows=rows)
def test_the_roc_curve_has_a_point_for_each_threshold(rows: list[tuple[int, bool]]) -> None:
    auc = AUC()
    auc.update(np.array([s for s, _ in rows], float), np.array([y for _, y in rows]))
    false, true, thresholds = auc.curve()
    assert thresholds.tolist() == [math.inf, *sorted({s for s, _ in rows}, reverse=True)]
    for share, positive in ((true, True), (false, False)):
        scores = [s for s, y in rows if y is positive]
        found = [sum(s >= t for s in scores) / len(scores) if scores else math.nan for t in thresholds]
        np.testing.assert_allclose(share, found, rtol=1e-12)
    np.testing.assert_allclose(np.trapezoid(true, false), auc.value(), rtol=1e-12)


@given(
    queries=st.integers(1, 6),
    candidates=st.integers(1, 5),
    k=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_recall_counts_queries_whose_answer_is_near_the_top(
    backend: str, queries: int, candidates: int, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores, answers = rng.integers(0, 4, (queries, candidates)) / 2, rng.integers(0, candidates, queries)
    found = [
        sum(s >= row[y] for j, s in enumerate(row) if j != y) < k
        for row, y in zip(scores, answers, strict=True)
    ]
    metric = RecallAtK(k)
    for i in range(queries):
        one = RecallAtK(k)
        one.update(Tensor(scores[i : i + 1]), Tensor(answers[i : i + 1]))
        metric.merge(one)
    assert metric.value() == np.mean(found)
    assert math.isnan(RecallAtK().value())


@given(rows=rows)
def test_no_threshold_is_better_than_the_best(rows: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([s for s, _ in rows], float), np.array([y for _, y in rows])
    chosen = best_threshold(scores, labels)
    right = lambda t: int(((scores > t) == labels).sum())
    assert right(chosen) == max(right(t) for t in np.arange(-4, 4, 0.5))


def test_the_threshold_stands_in_the_middle_of_the_gap() -> None:
    assert best_threshold([0.0, 1.0, 5.0, 6.0], [0, 0, 1, 1]) == 3.0
    assert best_threshold(Tensor([0.2]), [True]) == pytest.approx(-0.3)


def test_inputs_that_do_not_go_together() -> None:
    cases: list[tuple[Any, str]] = [
        (lambda: AUC().update([1.0], [0, 1]), r"got shapes \(1,\) and \(2,\)"),
        (lambda: AUC().update([1.0], [2]), "targets are 0 and 1"),
        (lambda: AUC().update([0.0, np.nan], [0, 1]), "score 1 is NaN"),
        (lambda: best_threshold([], []), "at least one score"),
        (lambda: RecallAtK().update(np.zeros((2, 3)), np.zeros(3, int)), r"shapes \(2, 3\) and \(3,\)"),
        (lambda: RecallAtK().update(np.zeros((2, 3)), np.array([0, 3])), r"outside of 0\.\.2"),
    ]
    for call, message in cases:
        with pytest.raises(DataError, match=message):
            call()
    with pytest.raises(ConfigError, match="k is a whole number, 1 or more, not 0"):
        RecallAtK(0)
    with pytest.raises(ConfigError, match="Recall at 5 cannot be merged into recall at 1"):
        RecallAtK().merge(RecallAtK(5))
