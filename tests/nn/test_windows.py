"""Convolution and attention over ragged batches against loops over single sequences; ways past a layer."""

from typing import Any

import numpy as np
import pytest
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.gru import GRU

from tinyseq import Recurrent, Sequences, Tensor
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import (
    Concatenate,
    Convolution,
    Embedding,
    Highway,
    Linear,
    MultiHeadAttention,
    Residual,
    SequenceModel,
    Sequential,
)
from tinyseq.testing import check_gradients

LENGTHS = [3, 5, 1, 5]


def batch(width: int, lengths: list[int] = LENGTHS) -> Sequences:
    rng = np.random.default_rng(0)
    return Sequences.from_list([rng.normal(size=(n, width)) for n in lengths])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 6])
@pytest.mark.parametrize("lengths", [LENGTHS, [4, 4]])
def test_a_convolution_is_a_sum_over_a_window(
    width: int, causal: bool, lengths: list[int], backend: str
) -> None:
    layer = Convolution(3, 2, width, causal=causal).to("float64")
    layer.bias.data[...] = 0.5  # type: ignore[union-attr]
    xs = batch(3, lengths)
    blocks = layer.weight.numpy().reshape(width, 3, 2)
    first = width - 1 if causal else width // 2
    for x, y in zip(xs.to_list(), layer(xs).to_list(), strict=True):
        rows = x.numpy()
        for t in range(len(rows)):
            want = np.full(2, 0.5)
            for k in range(width):
                at = t + k - first
                if 0 <= at < len(rows):
                    want = want + rows[at] @ blocks[k]
            np.testing.assert_allclose(y.numpy()[t], want, rtol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [LENGTHS, [4, 4]])
def test_attention_is_its_formula_in_every_sequence(causal: bool, lengths: list[int], backend: str) -> None:
    layer, size, heads = MultiHeadAttention(6, 3, causal=causal).to("float64"), 2, 3
    xs = batch(6, lengths)
    w = {name: p.numpy() for name, p in layer.named_parameters()}
    affine = lambda x, name: x @ w[f"{name}.weight"] + w[f"{name}.bias"]
    for x, y in zip(xs.to_list(), layer(xs).to_list(), strict=True):
        q, k, v = (affine(x.numpy(), name) for name in ("queries", "keys", "values"))
        out = np.zeros((len(q), 6))
        for j in range(heads):
            part = slice(j * size, (j + 1) * size)
            for t in range(len(q)):
                seen = range(t + 1) if causal else range(len(q))
                scores = np.array([q[t, part] @ k[u, part] / np.sqrt(size) for u in seen])
                weights = np.exp(scores) / np.exp(scores).sum()
                out[t, part] = sum(a * v[u, part] for a, u in zip(weights, seen, strict=True))
        np.testing.assert_allclose(y.numpy(), affine(out, "output"), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("layer", [lambda: Convolution(4, 2), lambda: MultiHeadAttention(4, 2)])
def test_derivatives(layer: Any, order: int) -> None:
    made, xs = layer().to("float64"), batch(4, [2, 3])
    x = Tensor(xs.data.numpy(), requires_grad=True)
    check_gradients(
        lambda: (made(xs.with_data(x)).data ** 2).sum(), [x, *made.parameters()], order=order, tolerance=1e-6
    )


@pytest.mark.parametrize("layer", [None, Recurrent(GRU(3, 3))])
def test_a_highway_mixes_by_its_gate(layer: Any) -> None:
    highway, xs = Highway(3, layer, bias=0.3).to("float64"), batch(3)
    w = {name: p.numpy() for name, p in highway.named_parameters()}
    assert (w["gate.bias"] == np.float32(0.3)).all()
    x = xs.data.numpy()
    y = np.maximum(x @ w["inner.weight"] + w["inner.bias"], 0) if layer is None else layer(xs).data.numpy()
    t = 1 / (1 + np.exp(-(x @ w["gate.weight"] + w["gate.bias"])))
    np.testing.assert_allclose(highway(xs).data.numpy(), t * y + (1 - t) * x, rtol=1e-12)


def test_features_side_by_side() -> None:
    xs = batch(3)
    wide, narrow = Convolution(3, 4, 5).to("float64"), Convolution(3, 2, 1).to("float64")
    found = Concatenate(Sequential(), wide, narrow)(xs)
    parts = [xs.data, wide(xs).data, narrow(xs).data]
    np.testing.assert_array_equal(found.data.numpy(), np.concatenate([p.numpy() for p in parts], 1))
    both = Bidirectional(GRU(3, 2), GRU(3, 1))
    assert Concatenate(both, Recurrent(GRU(3, 4))).ends == ((2, "last"), (1, "first"), (4, "last"))


def test_sizes_are_checked_when_the_model_is_made() -> None:
    head = Linear(9, 2)
    SequenceModel(Embedding(5, 3), Concatenate(Sequential(), Convolution(3, 6)), head)
    with pytest.raises(ConfigError, match="Linear in the head takes 9 features, but is given 10"):
        SequenceModel(Embedding(5, 3), Concatenate(Sequential(), Convolution(3, 7)), head)
    with pytest.raises(ConfigError, match="Highway in the encoder takes 4 features, but is given 3"):
        SequenceModel(Embedding(5, 3), Highway(4), head)
    with pytest.raises(ConfigError, match="takes 5 features, but is given 3"):
        SequenceModel(Embedding(5, 3), Residual(Convolution(5, 5)), head)


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match=r"MultiHeadAttention\(5, 2\)"):
        MultiHeadAttention(5, 2)
    with pytest.raises(ConfigError, match="sizes are integers"):
        Convolution(3, 2, 0)
    with pytest.raises(ShapeError, match=r"Convolution\(3, 2\) takes 3 features"):
        Convolution(3, 2)(batch(4))
    with pytest.raises(ShapeError, match="Highway mixes its input"):
        Highway(3, Linear(3, 4))(batch(3, [2]).map(lambda x: x.astype("float32")))
    with pytest.raises(ConfigError, match="Concatenate needs at least one layer"):
        Concatenate()


def test_what_sees_ahead_is_no_encoder_of_a_language_model() -> None:
    import tinyseq

    head = tinyseq.heads["language-model"](4, 5)
    for layer in (Convolution(4, 4), MultiHeadAttention(4, 2)):
        with pytest.raises(ConfigError, match="predicts what comes next"):
            SequenceModel(Embedding(5, 4), layer, head)
    for layer in (Convolution(4, 4, causal=True), MultiHeadAttention(4, 2, causal=True)):
        SequenceModel(Embedding(5, 4), layer, head)
