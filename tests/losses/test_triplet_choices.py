"""The hardest positives, and triplets that are given, against nested loops."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_losses.similarity import SIMILARITIES
from tinyseq_losses.triplet import COSTS, MeanClosestTripletLoss, TripletLoss

from tinyseq import Tensor
from tinyseq.errors import ConfigError, ShapeError


def alike(kind: str, a: Any, b: Any) -> float:
    return {
        "dot": float(a @ b),
        "cosine": float(a @ b) / math.hypot(*a) / math.hypot(*b),
        "negative-euclidean": -math.dist(a, b),
        "negative-squared-euclidean": -(math.dist(a, b) ** 2),
    }[kind]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@given(batch=st.integers(1, 7), margin=st.sampled_from([0.0, 0.25, 2.0]), seed=st.integers(0, 2**32 - 1))
def test_batch_hard_takes_the_hardest_positive_and_negative_of_each_anchor(
    similarity: str, batch: int, margin: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors, labels = rng.normal(size=(batch, 3)), rng.integers(0, 3, batch)
    costs = []
    for i in range(batch):
        near = [alike(similarity, vectors[i], vectors[j]) for j in range(batch) if labels[j] != labels[i]]
        own = [
            alike(similarity, vectors[i], vectors[j])
            for j in range(batch)
            if i != j and labels[j] == labels[i]
        ]
        if own and near:
            costs.append(max(max(near) - min(own) + margin, 0))
    loss = TripletLoss(similarity=similarity, miner="hardest", positives="hardest", margin=margin)
    right = math.fsum(costs) / max(1, len(costs))
    assert loss(Tensor(vectors), labels).item() == pytest.approx(right, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("combination", list(itertools.product(SIMILARITIES, COSTS)), ids="-".join)
@given(rows=st.integers(1, 6), margin=st.sampled_from([0.0, 0.25, 2.0]), seed=st.integers(0, 2**32 - 1))
def test_triplets_of_ones_own_all_count(
    combination: tuple[str, str], rows: int, margin: float, seed: int
) -> None:
    similarity, cost = combination
    triplets = np.random.default_rng(seed).normal(size=(3, rows, 4))
    gaps = [alike(similarity, a, n) - alike(similarity, a, p) for a, p, n in zip(*triplets, strict=True)]
    costs = [max(g + margin, 0) if cost == "hinge" else np.logaddexp(0, g) for g in gaps]
    a, p, n = map(Tensor, triplets)
    for miner in ("closest-negative", "all", "easy"):  # none of which has anything to choose
        loss = TripletLoss(similarity=similarity, miner=miner, cost=cost, margin=margin, reduction="none")
        assert loss(a, (p, n)).numpy()[:, 0] == pytest.approx(costs, rel=1e-9, abs=1e-12)
    assert loss.report(a, (p, n)).mined == rows


def test_triplets_of_ones_own_that_make_no_sense() -> None:
    a = Tensor(np.ones((2, 3)))
    with pytest.raises(ConfigError, match=r"loss\(anchors, \(positives, negatives\)\), without groups"):
        TripletLoss()(a, (a, a), np.arange(2))
    with pytest.raises(ConfigError, match=r"loss\(anchors, \(positives, negatives\)\)"):
        TripletLoss()(a, (a, a, a))
    with pytest.raises(ShapeError, match=r"got shapes \(2, 3\) and \(1, 3\)"):
        TripletLoss()(a, (a, a[:1]))
    with pytest.raises(ConfigError, match=r"give triplets of your own to TripletLoss"):
        MeanClosestTripletLoss()(a, (a, a))
    with pytest.raises(ConfigError, match=r"positives is 'all' or 'hardest', not 'easiest'"):
        TripletLoss(positives="easiest")  # type: ignore[arg-type]
