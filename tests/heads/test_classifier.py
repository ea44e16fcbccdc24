"""The classifier: its poolings sequence by sequence, its loss, what it learns."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_heads.classifier import Classifier
from tinyseq_heads.pooling import AttentionPooling, pooling_of

import tinyseq
from tinyseq import Sequences, Tensor, ops
from tinyseq.errors import ConfigError
from tinyseq.testing import check_gradients

lengths = st.lists(st.integers(1, 4), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)


def pooled(name: str, x: Any, attention: AttentionPooling | None = None) -> Any:
    """The pooling of one sequence (steps, features), from its definition."""
    if attention is None:
        return {"last": x[-1], "mean": x.sum(0) / len(x), "max": x.max(0)}[name]
    assert attention.hidden.bias is not None
    w, b = attention.hidden.weight.numpy(), attention.hidden.bias.numpy()
    u = attention.context.numpy()[:, 0]
    powers = np.exp([float(u @ np.tanh(step @ w + b)) for step in x])
    return (powers[:, None] * x).sum(0) / powers.sum()


@pytest.mark.parametrize("name", ["last", "mean", "max", "attention"])
@given(lengths=lengths, seed=seeds)
def test_pooling_is_that_of_each_sequence_alone(
    backend: str, name: str, lengths: list[int], seed: int
) -> None:
    tinyseq.seed(seed)
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(n, 3)) for n in lengths]
    pooling: Any = pooling_of(name, 3)
    attention = pooling.to("float64") if name == "attention" else None
    got = pooling(Sequences.from_list(sequences)).numpy()
    np.testing.assert_allclose(got, [pooled(name, x, attention) for x in sequences], rtol=1e-10, atol=1e-12)


@given(lengths=lengths, seed=seeds)
def test_attention_derivatives_and_weights(lengths: list[int], seed: int) -> None:
    tinyseq.seed(seed)
    rng = np.random.default_rng(seed)
    pooling = AttentionPooling(2).to("float64")
    xs = Sequences.from_list([rng.normal(size=(n, 2)) for n in lengths])
    leaf = Tensor(xs.data.numpy(), requires_grad=True)
    check_gradients(
        lambda: pooling(xs.with_data(leaf)), [leaf, *pooling.parameters()], seed=seed, tolerance=1e-6
    )
    weights = pooling.weights(xs)
    np.testing.assert_allclose(weights.sum().numpy(), 1, rtol=1e-12)
    assert (weights.data.numpy() > 0).all()


def test_attention_to_extreme_features_stays_finite(backend: str) -> None:
    pooling = AttentionPooling(2)
    pooling.context.data *= 1e4
    x = Tensor([[1e4, -1e4], [0.0, 0.0], [1e4, 1e4]], requires_grad=True)
    y = pooling(Sequences.from_list([x]))
    ops.sum(y).backward()
    assert np.isfinite(y.numpy()).all()
    assert x.grad is not None
    assert np.isfinite(x.grad.numpy()).all()


@given(lengths=lengths, seed=seeds)
def test_predictions_and_loss_are_those_of_a_softmax(backend: str, lengths: list[int], seed: int) -> None:
    tinyseq.seed(seed)
    rng = np.random.default_rng(seed)
    head = Classifier(3, 4, pooling="mean").to("float64")
    features = [rng.normal(size=(n, 3)) for n in lengths]
    targets = rng.integers(0, 4, len(lengths))
    w, b = head.projection.weight.numpy(), head.projection.bias.numpy()  # type: ignore[union-attr]
    scores = np.array([x.mean(0) @ w + b for x in features])
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    xs = Sequences.from_list(features)
    np.testing.assert_allclose(head.predict(xs).numpy(), log_p, rtol=1e-10)
    expected = -log_p[np.arange(len(targets)), targets].mean()
    assert head.loss(xs, targets).item() == pytest.approx(expected, rel=1e-10)
    metrics = head.metrics()
    for metric in metrics.values():
        metric.update(head.predict(xs), targets)
    assert metrics["accuracy"].value() == (log_p.argmax(1) == targets).mean()


def test_a_plain_tensor_is_a_batch_of_equal_lengths() -> None:
    tinyseq.seed(0)
    x = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("f4")
    for pooling in ("last", "mean", "max", "attention"):
        head = Classifier(2, 3, pooling=pooling)
        assert np.array_equal(
            head.predict(Tensor(x)).numpy(), head.predict(Sequences.from_list(list(x))).numpy()
        )


def test_a_pooling_of_ones_own_and_one_that_is_none() -> None:
    head = Classifier(2, 3, pooling=Sequences.first)
    xs = Sequences.from_list([np.ones((2, 2), "f4"), np.ones((1, 2), "f4")])
    assert head.predict(xs).shape == (2, 3)
    with pytest.raises(ConfigError, match="no pooling 'first'; choose from last, ends, mean, max, attention"):
        Classifier(2, 3, pooling="first")
