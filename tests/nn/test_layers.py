"""Layers: values against their formulas, gradients against differences, refusals word for word."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Tensor, nn, ops
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.sequences import Sequences
from tinyseq.testing import check_gradients

seeds = st.integers(0, 2**32 - 1)
leading = st.lists(st.integers(1, 4), max_size=3).map(tuple)
LENGTHS = [2, 4, 1]


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def batch(*features: int, dtype: Any = np.float64) -> Sequences:
    rng = np.random.default_rng(1)
    return Sequences.from_list([rng.normal(size=(n, *features)).astype(dtype) for n in LENGTHS])


def perturbed(layer: nn.Module, seed: int = 0) -> Any:
    """The layer in float64 with random values everywhere, so that no gradient hides behind a 0 or a 1."""
    rng = np.random.default_rng(seed)
    layer.to("float64").load_state_dict({k: rng.normal(size=v.shape) for k, v in layer.state_dict().items()})
    return layer


POSITIONWISE: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(3, 5),
    "linear-no-bias": lambda: nn.Linear(3, 5, bias=False),
    "layer-norm": lambda: nn.LayerNorm(3),
    "residual": lambda: nn.Residual(nn.Linear(3, 3)),
    "sequential": lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)),
    "sequential-empty": lambda: nn.Sequential(),
    "dropout-eval": lambda: nn.Dropout(0.5).eval(),
}


@pytest.mark.parametrize("name", POSITIONWISE)
def test_first_and_second_derivatives(name: str, backend: str) -> None:
    layer = perturbed(POSITIONWISE[name]())
    x = leaf(2, 4, 3)
    check_gradients(lambda: ops.tanh(layer(x)), [x, *layer.parameters()])


@pytest.mark.parametrize("name", POSITIONWISE)
def test_sequences_give_sequences_of_the_same_rows(name: str, backend: str) -> None:
    layer = perturbed(POSITIONWISE[name]())
    xs = batch(3)
    ys = layer(xs)
    assert ys.layout is xs.layout
    for x, y in zip(xs.to_list(), ys.to_list(), strict=True):
        np.testing.assert_allclose(y.numpy(), layer(x).numpy(), rtol=1e-12, atol=1e-15)


@given(shape=leading, sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)), bias=st.booleans(), seed=seeds)
def test_linear_is_its_formula(
    shape: tuple[int, ...], sizes: tuple[int, int], bias: bool, seed: int, backend: str
) -> None:
    layer = perturbed(nn.Linear(*sizes, bias=bias), seed)
    x = leaf(*shape, sizes[0], seed=seed)
    expected = np.einsum("...i,io->...o", x.numpy(), layer.weight.numpy())
    expected = expected + (layer.bias.numpy() if bias else 0)
    assert layer(x).shape == (*shape, sizes[1])
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12, atol=1e-13)


def test_linear_starts_as_asked() -> None:
    assert not nn.Linear(2, 3).bias.numpy().any()  # type: ignore[union-attr]
    assert np.array_equal(nn.Linear(2, 2, init="identity").weight.numpy(), np.eye(2))
    assert (nn.Linear(2, 3, init=nn.init.ones).weight.numpy() == 1).all()


@given(shape=leading, size=st.integers(1, 6), seed=seeds, eps=st.sampled_from([1e-5, 1e-2]))
def test_layer_norm_is_its_formula(
    shape: tuple[int, ...], size: int, seed: int, eps: float, backend: str
) -> None:
    layer = perturbed(nn.LayerNorm(size, eps=eps), seed)
    x = leaf(*shape, size, seed=seed)
    values = x.numpy()
    centred = values - values.mean(-1, keepdims=True)
    expected = (
        centred / np.sqrt(values.var(-1, keepdims=True) + eps) * layer.weight.numpy() + layer.bias.numpy()
    )
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-9, atol=1e-11)


@given(shape=leading, size=st.integers(2, 6), seed=seeds)
def test_layer_norm_derivatives(shape: tuple[int, ...], size: int, seed: int) -> None:
    layer = perturbed(nn.LayerNorm(size, eps=0.1), seed)
    x = leaf(*shape, size, seed=seed)
    check_gradients(lambda: ops.tanh(layer(x)), [x, layer.weight, layer.bias], seed=seed)


def test_layer_norm_at_extremes(backend: str) -> None:
    layer = nn.LayerNorm(4)
    flat = layer(Tensor(np.full((2, 4), 7.0, np.float32)))
    assert not flat.numpy().any()
    large = Tensor(np.array([[1e4, -1e4, 1e4, -1e4]], np.float32), requires_grad=True)
    y = layer(large)
    np.testing.assert_allclose(y.numpy(), [[1, -1, 1, -1]], rtol=1e-6)
    (y * y).sum().backward()
    assert large.grad is not None
    assert np.isfinite(large.grad.numpy()).all()


@given(rows=st.integers(1, 7), width=st.integers(1, 4), shape=leading, seed=seeds)
def test_embedding_reads_rows_and_gathers_their_gradients(
    rows: int, width: int, shape: tuple[int, ...], seed: int, backend: str
) -> None:
    rng = np.random.default_rng(seed)
    layer = perturbed(nn.Embedding(rows, width), seed)
    ids = rng.integers(0, rows, shape)
    g = rng.normal(size=(*shape, width))
    y = layer(ids)
    y.backward(Tensor(g))
    expected = np.zeros((rows, width))
    for at in np.ndindex(shape):
        expected[ids[at]] += g[at]
        assert np.array_equal(y.numpy()[at], layer.weight.numpy()[ids[at]])
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, atol=1e-12)


def test_embedding_derivatives() -> None:
    layer = perturbed(nn.Embedding(5, 3))
    check_gradients(lambda: ops.tanh(layer([[0, 1, 1], [4, 0, 1]])), [layer.weight])


def test_embedding_of_sequences(backend: str) -> None:
    layer = nn.Embedding(6, 2)
    ids = [np.array([1, 5]), np.array([0, 0, 3])]
    for row, found in zip(ids, layer(Sequences.from_list(ids)).to_list(), strict=True):
        assert np.array_equal(found.numpy(), layer.weight.numpy()[row])


@pytest.mark.parametrize(("bad", "place"), [(6, 1), (-1, 2), (2**40, 0)])
def test_embedding_refuses_ids_without_a_row(bad: int, place: int, backend: str) -> None:
    layer = nn.Embedding(6, 2)
    ids = [np.array([1, 5]), np.array([0, 2, 3])]
    ids[1][place] = bad
    what = r"is outside of Embedding\(6, 2\), whose ids run from 0 to 5: give it a row for every id\."
    with pytest.raises(DataError, match=rf"^Id {bad} in sequence 1 at position {place} {what}"):
        layer(Sequences.from_list(ids))
    with pytest.raises(DataError, match=rf"^Id {bad} at index 0, {place} {what}"):
        layer(Tensor(ids[1][None]))
    with pytest.raises(DataError, match=rf"^Id {bad} at index {place} {what}"):
        layer(ids[1].tolist())


def test_embedding_takes_no_floats_and_no_ids_at_all() -> None:
    with pytest.raises(DataError, match=r"looks up rows by integer ids, not by float32 values"):
        nn.Embedding(6, 2)(Tensor([0.0, 1.0]))
    assert nn.Embedding(6, 2)(np.zeros((0, 3), int)).shape == (0, 3, 2)


def test_dropout_keeps_the_mean_and_its_own_scale(backend: str) -> None:
    tinyseq.seed(0)
    y = nn.Dropout(0.25)(Tensor(np.ones((200, 200), np.float32)))
    assert y.dtype == np.float32
    assert set(np.unique(y.numpy())) == {np.float32(0), np.float32(4 / 3)}
    np.testing.assert_allclose((y.numpy() == 0).mean(), 0.25, atol=0.01)


def test_dropout_masks_the_gradient_as_the_value(backend: str) -> None:
    x = leaf(5, 6)
    y = nn.Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy() * x.numpy(), y.numpy())


def test_dropout_on_sequences_draws_no_padding(backend: str) -> None:
    xs = batch(8)
    tinyseq.seed(5)
    ys = nn.Dropout(0.5)(xs)
    tinyseq.seed(5)
    expected = nn.Dropout(0.5)(xs.data)
    assert np.array_equal(ys.data.numpy(), expected.numpy())


def test_dropout_repeats_with_the_seed_and_differs_without() -> None:
    x = Tensor(np.ones((20, 20), np.float32))
    tinyseq.seed(3)
    first, second = nn.Dropout(0.5)(x), nn.Dropout(0.5)(x)
    tinyseq.seed(3)
    assert np.array_equal(nn.Dropout(0.5)(x).numpy(), first.numpy())
    assert not np.array_equal(first.numpy(), second.numpy())


def test_dropout_is_the_identity_in_evaluation_and_for_zero() -> None:
    x = leaf(3)
    assert nn.Dropout(0.9).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, 2, float("nan")])
def test_dropout_takes_probabilities(p: float) -> None:
    with pytest.raises(ConfigError, match=r"p is a probability in \[0, 1\)"):
        nn.Dropout(p)


def test_residual_refuses_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"the shapes are \(2, 3\) and \(2, 4\): use a layer with equal"):
        nn.Residual(nn.Linear(3, 4))(leaf(2, 3))


@pytest.mark.parametrize("layer", [nn.Linear(3, 5), nn.LayerNorm(3)], ids=["linear", "layer-norm"])
def test_a_wrong_last_axis_is_named(layer: nn.Module) -> None:
    name = "Linear(3, 5)" if isinstance(layer, nn.Linear) else "LayerNorm(3)"
    for x in (leaf(3, 4), leaf()):
        with pytest.raises(ShapeError) as caught:
            layer(x)
        assert str(caught.value) == (
            f"{name} takes 3 features on the last axis; this input has shape {x.shape}."
        )


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a layer takes Sequences or a Tensor, not ndarray: make it"):
        nn.Linear(3, 5)(np.ones((2, 3)))


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3"])
def test_sizes_are_positive_integers(size: Any) -> None:
    for make in (lambda: nn.Linear(size, 2), lambda: nn.Embedding(2, size), lambda: nn.LayerNorm(size)):
        with pytest.raises(ConfigError, match="sizes are integers of 1 or more"):
            make()


def test_layer_norm_op_names_misfits() -> None:
    with pytest.raises(
        ShapeError, match=r"of shape \(2, 3\) needs weight and bias of shape \(3,\); got \(2,\)"
    ):
        ops.layer_norm(leaf(2, 3), leaf(2), leaf(3))


def test_an_embedding_begins_by_its_number_of_rows() -> None:
    """Letters: as torch's. Words: rows of length 1, as most of them are hardly ever learnt."""
    tinyseq.seed(0)
    few, many = (nn.Embedding(rows, 48).weight.numpy() for rows in (256, 257))
    np.testing.assert_allclose([few.std(), many.std()], [1, 48**-0.5], rtol=0.03)
    assert nn.Embedding(257, 48, init="zeros").weight.numpy().max() == 0
