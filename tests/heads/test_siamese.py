"""The Siamese head: pairs, groups, what it learns and reports."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_heads.siamese import PairRecall, Siamese
from tinyseq_losses.contrastive import InfoNCE
from tinyseq_losses.triplet import MeanClosestTripletLoss, TripletLoss

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.errors import DataError
from tinyseq.nn import Parameter
from tinyseq.optim import Adam


def features(rng: Any, rows: int, width: int = 3) -> Sequences:
    return Sequences.from_list([rng.normal(size=(n, width)) for n in rng.integers(1, 5, rows)])


@given(pairs=st.integers(1, 4), size=st.sampled_from([None, 2]), seed=st.integers(0, 2**32 - 1))
def test_pairs_reach_the_loss_as_unit_vectors(backend: str, pairs: int, size: int | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    xs, groups = features(rng, 2 * pairs), rng.integers(0, 3, pairs)
    for loss in (MeanClosestTripletLoss(), InfoNCE()):
        head = Siamese(3, size, loss=loss).to("float64")
        vectors = head.predict(xs)
        assert vectors.shape == (2 * pairs, size or 3)
        np.testing.assert_allclose((vectors.numpy() ** 2).sum(1), 1, rtol=1e-12)
        expected = loss(vectors[:pairs], vectors[pairs:], groups)
        assert head.loss(xs, np.tile(groups, 2)).item() == expected.item()
    cosines = [float(a @ b) for a, b in zip(*np.split(vectors.numpy(), 2), strict=True)]
    np.testing.assert_allclose(head.similarity(xs).numpy(), cosines, rtol=1e-12, atol=1e-15)


def test_labels_without_pairs() -> None:
    rng = np.random.default_rng(0)
    xs, labels = features(rng, 6), np.array([0, 1, 0, 2, 1, 0])
    loss = TripletLoss(miner="all")
    head = Siamese(3, loss=loss, paired=False)
    assert head.loss(xs, labels).item() == loss(head.predict(xs), labels).item()
    assert list(head.metrics()) == ["active"]
    head.metrics()["active"].update(head.predict(xs), labels)


def test_it_brings_partners_together_and_reports_it() -> None:
    tinyseq.seed(0)
    rng = np.random.default_rng(0)
    groups = np.tile(np.arange(6), 2)
    xs = features(rng, 12)
    xs = xs.with_data(Parameter(xs.data.numpy()))
    head = Siamese(3, 4, loss=MeanClosestTripletLoss(closest="hardest"))
    optimizer = Adam([xs.data, *head.parameters()], lr=0.05)

    def figures() -> dict[str, Any]:
        metrics = head.metrics()
        for metric in metrics.values():
            metric.update(head.predict(xs), groups)
        return {name: metric.value() for name, metric in metrics.items()}

    before = figures()
    for _ in range(80):
        optimizer.zero_grad()
        head.loss(xs, groups).backward()
        optimizer.step()
    assert list(before) == ["recall_at_1", "active"]
    assert before["recall_at_1"] < 1
    assert figures() == {"recall_at_1": 1.0, "active": 0.0}


@given(pairs=st.integers(1, 5), k=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_recall_looks_among_partners_of_other_groups(pairs: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(2 * pairs, 2))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = rng.integers(0, 3, pairs)
    found = 0
    for i in range(pairs):
        own = vectors[i] @ vectors[pairs + i]
        others = [vectors[i] @ vectors[pairs + j] for j in range(pairs) if groups[j] != groups[i]]
        found += sum(other >= own for other in others) < k
    halves = [PairRecall(k), PairRecall(k)]
    for metric in halves:
        metric.update(Tensor(vectors), np.tile(groups, 2))
    halves[0].merge(halves[1])
    assert halves[0].value() == found / pairs


def test_metrics_merge() -> None:
    rng = np.random.default_rng(1)
    head = Siamese(3)
    whole, parts = head.metrics()["active"], head.metrics()["active"]
    for _ in range(3):
        xs, groups = features(rng, 8), np.tile(np.arange(4), 2)
        one = head.metrics()["active"]
        for metric in (whole, one):
            metric.update(head.predict(xs), groups)
        parts.merge(one)
    assert parts.value() == whole.value()
    assert not math.isnan(whole.value())


def test_batches_that_are_no_pairs_are_refused() -> None:
    rng = np.random.default_rng(0)
    head = Siamese(3)
    with pytest.raises(DataError, match="an even number of sequences, anchors and then partners; got 3"):
        head.loss(features(rng, 3), np.zeros(3, int))
    with pytest.raises(DataError, match=r"4 sequences needs as many groups; got shape \(2,\)"):
        head.loss(features(rng, 4), np.zeros(2, int))
    with pytest.raises(DataError, match="Sequences 1 and 3 are a pair, but of the groups 7 and 5"):
        head.loss(features(rng, 4), np.array([0, 7, 0, 5]))
