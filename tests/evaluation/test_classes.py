"""Macro F1 from its definition, class by class."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Sequences, Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.evaluation import BinaryNats, MacroF1


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_equals_the_definition_for_any_split(backend: str, lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = [rng.normal(size=(n, 4)) for n in lengths]
    targets = [rng.integers(-1, 4, n) for n in lengths]  # -1 is ignored
    pairs = [
        (int(s.argmax()), int(y))
        for ss, ys in zip(scores, targets, strict=True)
        for s, y in zip(ss, ys, strict=True)
    ]
    pairs = [(p, y) for p, y in pairs if y >= 0]
    figures = []
    for c in range(4):
        right = sum(p == y == c for p, y in pairs)
        predicted, wanted = sum(p == c for p, _ in pairs), sum(y == c for _, y in pairs)
        if predicted + wanted:
            precision, recall = right / max(1, predicted), right / max(1, wanted)
            figures.append(2 * precision * recall / (precision + recall) if right else 0.0)
    whole, parts = MacroF1(4, ignore_index=-1), MacroF1(4, ignore_index=-1)
    whole.update(Sequences.from_list(scores), Sequences.from_list(targets))
    for s, y in zip(scores[::-1], targets[::-1], strict=True):
        one = MacroF1(4, ignore_index=-1)
        one.update(Tensor(s).numpy().argmax(1), y)
        parts.merge(one)
    if figures:
        assert whole.value() == pytest.approx(np.mean(figures), rel=1e-12)
        assert parts.value() == whole.value()
    else:
        assert math.isnan(whole.value())


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="classes is a whole number, 1 or more, not 0"):
        MacroF1(0)
    with pytest.raises(ConfigError, match="MacroF1 of 3 classes cannot be merged into 2"):
        MacroF1(2).merge(MacroF1(3))
    with pytest.raises(DataError, match="the target 2 at position 0 is none of the 2 classes"):
        MacroF1(2).update(np.array([0]), np.array([2]))
    with pytest.raises(DataError, match="the target 5 at position 0 is none of the 2 classes"):
        MacroF1(2).update(np.array([5]), np.array([0]))
    with pytest.raises(ShapeError, match=r"do not fit targets of shape \(3,\)"):
        MacroF1(2).update(np.array([1, 0]), np.array([1, 0, 1]))


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
def test_binary_nats_are_a_mean_over_rows_for_any_split(backend: str, lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = [3 * rng.normal(size=(n, 3)) for n in lengths]
    targets = [rng.integers(0, 2, (n, 3)) for n in lengths]
    nats = math.fsum(
        math.log1p(math.exp(-x if y else x))
        for s, t in zip(scores, targets, strict=True)
        for x, y in zip(s.ravel().tolist(), t.ravel().tolist(), strict=True)
    )
    whole, parts = BinaryNats(), BinaryNats()
    whole.update(Sequences.from_list(scores), Sequences.from_list(targets))
    for s, t in zip(scores, targets, strict=True):
        one = BinaryNats()
        one.update(s, t)
        parts.merge(one)
    assert whole.value() == pytest.approx(nats / sum(lengths), rel=1e-12)
    assert parts.value() == pytest.approx(whole.value(), rel=1e-12)


def test_binary_nats_of_nothing_and_of_extremes() -> None:
    metric = BinaryNats()
    assert math.isnan(metric.value())
    metric.update(np.array([[1e4, -1e4]], "f4"), np.array([[1, 1]]))
    assert metric.value() == 1e4
    with pytest.raises(ShapeError, match=r"log-odds of shape \(1, 2\) and targets of shape \(1, 3\) differ"):
        metric.update(np.zeros((1, 2)), np.zeros((1, 3)))
