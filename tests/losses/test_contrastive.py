"""Losses of pairs against nested loops, and at the edges."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tinyseq_losses.contrastive import ContrastiveLoss, InfoNCE
from tinyseq_losses.similarity import SIMILARITIES

from tinyseq import Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.testing import check_gradients

seeds = st.integers(0, 2**32 - 1)


@given(batch=st.integers(1, 5), margin=st.sampled_from([0.5, 2.0]), seed=seeds)
def test_contrastive_equals_the_nested_loop(backend: str, batch: int, margin: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, batch, 3))
    together = rng.integers(0, 2, batch)
    losses = []
    for x, y, same in zip(a, b, together, strict=True):
        d = math.dist(x, y)
        losses.append(d * d / 2 if same else max(margin - d, 0) ** 2 / 2)
    pair = Tensor(a), Tensor(b)
    for reduction, expected in (("none", losses), ("sum", math.fsum(losses)), ("mean", np.mean(losses))):
        got = ContrastiveLoss(margin=margin, reduction=reduction)(pair, together)  # type: ignore[arg-type]
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12, atol=1e-15)


@given(seed=seeds)
def test_contrastive_derivatives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = Tensor(rng.normal(size=(3, 2)), requires_grad=True)
    steps = rng.normal(size=(3, 2))
    steps *= rng.choice([0.5, 2.0], 3)[:, None] / np.linalg.norm(
        steps, axis=1, keepdims=True
    )  # off the margin
    b = Tensor(a.numpy() + steps, requires_grad=True)
    check_gradients(lambda: ContrastiveLoss()((a, b), np.array([0, 1, 0])), [a, b], seed=seed)


def test_equal_vectors_have_no_direction_to_go_apart() -> None:
    a = Tensor([[1.0, 2.0], [0.0, 0.0]], requires_grad=True)
    loss = ContrastiveLoss(reduction="none")((a, a.detach()), np.array([0, 1]))
    np.testing.assert_allclose(loss.numpy(), [0.5, 0.0])
    loss.sum().backward()
    assert a.grad is not None
    assert (a.grad.numpy() == 0).all()


@given(
    batch=st.integers(1, 5),
    symmetric=st.booleans(),
    grouped=st.booleans(),
    tied=st.booleans(),
    similarity=st.sampled_from(list(SIMILARITIES)),
    seed=seeds,
)
def test_info_nce_equals_the_nested_loop(
    backend: str, batch: int, symmetric: bool, grouped: bool, tied: bool, similarity: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-1, 2, (2, batch, 3)).astype(float) if tied else rng.normal(size=(2, batch, 3))
    groups = rng.integers(0, 3, batch) if grouped else np.arange(batch)

    def s(x: Any, y: Any) -> float:
        lengths = math.hypot(*x) * math.hypot(*y)
        return {
            "cosine": float(x @ y) / lengths if lengths else 0.0,
            "dot": float(x @ y),
            "negative-euclidean": -math.dist(x, y),
            "negative-squared-euclidean": -(math.dist(x, y) ** 2),
        }[similarity] / 0.5

    losses = []
    for i in range(batch):
        others = [j for j in range(batch) if j == i or groups[j] != groups[i]]
        forth = -math.log(math.exp(s(a[i], b[i])) / math.fsum(math.exp(s(a[i], b[j])) for j in others))
        back = -math.log(math.exp(s(a[i], b[i])) / math.fsum(math.exp(s(a[j], b[i])) for j in others))
        losses.append((forth + back) / 2 if symmetric else forth)
    for reduction, expected in (("none", losses), ("sum", math.fsum(losses)), ("mean", np.mean(losses))):
        loss = InfoNCE(
            similarity=similarity,
            temperature=0.5,
            symmetric=symmetric,
            reduction=reduction,  # type: ignore[arg-type]
        )
        got = loss(Tensor(a), Tensor(b), groups if grouped else None)
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-10, atol=1e-12)


@example(batch=2, symmetric=True, seed=268435457)  # draws a row of length 0.0099
@given(batch=st.integers(2, 4), symmetric=st.booleans(), seed=seeds)
def test_info_nce_derivatives(batch: int, symmetric: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2, batch, 3))
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    rows *= np.maximum(1, 0.5 / lengths)  # a cosine of short rows bends more than differences can follow
    a, b = (Tensor(v, requires_grad=True) for v in rows)
    loss = InfoNCE(temperature=0.5, symmetric=symmetric)
    groups = rng.integers(0, 3, batch)
    check_gradients(lambda: loss(a, b, groups), [a, b], seed=seed, tolerance=1e-6)


@pytest.mark.parametrize("groups", [None, [0, 0, 0]])
def test_without_negatives_loss_and_gradient_are_zero(backend: str, groups: Any) -> None:
    rows = 1 if groups is None else 3
    x = Tensor(np.ones((rows, 2), "f4"), requires_grad=True)
    loss = InfoNCE()(x, Tensor(np.eye(3, 2, dtype="f4")[:rows]), None if groups is None else np.array(groups))
    loss.backward()
    assert loss.item() == 0
    assert x.grad is not None
    assert (x.grad.numpy() == 0).all()


def test_unnormalised_and_zero_vectors_stay_finite() -> None:
    a = Tensor([[1e4, 0.0], [0.0, 0.0], [-1e4, 1.0]], requires_grad=True)
    for similarity in SIMILARITIES:
        loss = InfoNCE(similarity=similarity, temperature=1.0)(
            a, Tensor([[0.0, 1e4], [0.0, 0.0], [1.0, 0.0]])
        )
        loss.backward()
        assert np.isfinite(loss.numpy())
    assert a.grad is not None
    assert np.isfinite(a.grad.numpy()).all()


def test_requests_that_make_no_sense() -> None:
    x, y = Tensor(np.ones((2, 3))), Tensor(np.ones((3, 3)))
    with pytest.raises(ShapeError, match=r"ContrastiveLoss pairs row i .* shapes \(2, 3\) and \(3, 3\)"):
        ContrastiveLoss()((x, y), np.zeros(2, int))
    with pytest.raises(DataError, match=r"one target for each of 2 pairs; got shape \(3,\)"):
        ContrastiveLoss()((x, x), np.zeros(3, int))
    with pytest.raises(DataError, match="the target -1 at position 1 is none of the 2 classes"):
        ContrastiveLoss()((x, x), np.array([1, -1]))
    with pytest.raises(ConfigError, match="margin is finite and positive, not 0"):
        ContrastiveLoss(margin=0)
    with pytest.raises(ShapeError, match="InfoNCE pairs row i"):
        InfoNCE()(x, y)
    with pytest.raises(DataError, match=r"one group for each of 2 rows; got shape \(1,\)"):
        InfoNCE()(x, x, np.zeros(1, int))
    with pytest.raises(ConfigError, match="temperature is finite and positive, not -1"):
        InfoNCE(temperature=-1)
