"""Triplets against pytorch-metric-learning: what each miner chooses, and what it costs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_losses.triplet import TripletLoss

from tinyseq import Tensor

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")
distances = pytest.importorskip(
    "pytorch_metric_learning.distances", reason="needs pytorch-metric-learning: pip install '.[test-peers]'"
)
from pytorch_metric_learning import losses, miners, reducers  # noqa: E402

SIMILARITIES: dict[str, Any] = {
    "negative-euclidean": distances.LpDistance(normalize_embeddings=False),
    "negative-squared-euclidean": distances.LpDistance(normalize_embeddings=False, power=2),
    "cosine": distances.CosineSimilarity(),
    "dot": distances.DotProductSimilarity(normalize_embeddings=False),
}


def chosen(kind: str, distance: Any, margin: float) -> tuple[Any, dict[str, str]]:
    """Their miner, and our arguments for the same."""
    if kind == "batch-hard":
        return miners.BatchHardMiner(distance=distance), {"miner": "hardest", "positives": "hardest"}
    names = {"all": "all", "semi-hard": "semihard", "hard": "hard", "easy": "easy"}
    theirs = miners.TripletMarginMiner(margin, names[kind], distance=distance)
    return theirs, {"miner": kind}


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", ["batch-hard", "semi-hard", "hard", "easy"])
@given(margin=st.sampled_from([0.1, 0.5, 2.0]), seed=st.integers(0, 2**32 - 1))
def test_mined_triplets_cost_the_same(similarity: str, kind: str, margin: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(10, 4)), rng.integers(0, 3, 10)
    distance = SIMILARITIES[similarity]
    miner, options = chosen(kind, distance, margin)
    ours = Tensor(x, requires_grad=True)
    loss = TripletLoss(similarity=similarity, margin=margin, **options)(ours, labels)  # type: ignore[arg-type]
    theirs, groups = torch.tensor(x, requires_grad=True), torch.tensor(labels)
    triplets = miner(theirs.detach(), groups)
    if not len(triplets[0]):
        assert loss.item() == 0
        return
    peer = losses.TripletMarginLoss(margin, distance=distance, reducer=reducers.MeanReducer())
    value = peer(theirs, groups, triplets)
    assert loss.item() == pytest.approx(value.item(), rel=1e-6, abs=1e-9)
    loss.backward()
    value.backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-5, atol=1e-7)
