"""Layers equal PyTorch's: values and gradients in float64."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Tensor, nn

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")


def assert_agrees(
    layer: Any, peer: Any, x: np.ndarray[Any, Any], weights: list[tuple[str, str, bool]]
) -> None:
    """Values and gradients, for weights (name here, name there, whether theirs is the transpose)."""
    rng = np.random.default_rng(0)
    layer.to("float64")
    for mine, theirs, transposed in weights:
        values = rng.normal(size=getattr(layer, mine).shape)
        layer.load_state_dict(layer.state_dict() | {mine: values})
        getattr(peer, theirs).data = torch.tensor(values.T if transposed else values)
    floating = x.dtype.kind == "f"
    ours = Tensor(x, requires_grad=floating)
    other = torch.tensor(x, requires_grad=floating)
    y, z = layer(ours), peer(other)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-10)
    g = rng.normal(size=y.shape)
    y.backward(Tensor(g))
    z.backward(torch.tensor(g))
    pairs = [(getattr(layer, a).grad, getattr(peer, b).grad, t) for a, b, t in weights]
    pairs += [(ours.grad, other.grad, False)] if floating else []
    for mine, theirs, transposed in pairs:
        expected = theirs.numpy().T if transposed else theirs.numpy()
        np.testing.assert_allclose(mine.numpy(), expected, rtol=1e-9, atol=1e-10)


leading = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
seeds = st.integers(0, 2**32 - 1)


@given(shape=leading, size=st.integers(2, 6), eps=st.sampled_from([1e-5, 1e-1]), seed=seeds)
def test_layer_norm(shape: tuple[int, ...], size: int, eps: float, seed: int, backend: str) -> None:
    x = np.random.default_rng(seed).normal(size=(*shape, size))
    peer = torch.nn.LayerNorm(size, eps=eps, dtype=torch.float64)
    assert_agrees(
        nn.LayerNorm(size, eps=eps), peer, x, [("weight", "weight", False), ("bias", "bias", False)]
    )


@given(shape=leading, sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)), seed=seeds)
def test_linear(shape: tuple[int, ...], sizes: tuple[int, int], seed: int, backend: str) -> None:
    x = np.random.default_rng(seed).normal(size=(*shape, sizes[0]))
    peer = torch.nn.Linear(*sizes, dtype=torch.float64)
    assert_agrees(nn.Linear(*sizes), peer, x, [("weight", "weight", True), ("bias", "bias", False)])


@given(shape=leading, rows=st.integers(1, 6), seed=seeds)
def test_embedding(shape: tuple[int, ...], rows: int, seed: int, backend: str) -> None:
    ids = np.random.default_rng(seed).integers(0, rows, shape)
    peer = torch.nn.Embedding(rows, 3, dtype=torch.float64)
    assert_agrees(nn.Embedding(rows, 3), peer, ids, [("weight", "weight", False)])
