"""Initial values: exact where they are exact, bounds and moments where they are drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import Linear, init
from tinyseq.registry import registries

NAMES = ["orthogonal", "identity", "glorot_uniform", "unit_rows", "uniform", "normal", "zeros", "ones"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_dtype_and_memory(name: str, dtype: type) -> None:
    values = init.get(name)((3, 5), dtype)
    assert values.shape == (3, 5)
    assert values.dtype == dtype
    assert values.flags.c_contiguous
    assert values.flags.writeable
    assert init.get(name)((3, 5)).dtype == np.float32


@pytest.mark.parametrize("name", ["orthogonal", "glorot_uniform", "unit_rows", "uniform", "normal"])
def test_the_same_seed_gives_the_same_numbers(name: str) -> None:
    draw = init.get(name)
    tinyseq.seed(11)
    first, second = draw((4, 4)), draw((4, 4))
    tinyseq.seed(11)
    assert np.array_equal(draw((4, 4)), first)
    assert not np.array_equal(first, second)


@given(rows=st.integers(1, 12), columns=st.integers(1, 12), gain=st.sampled_from([1.0, 0.5, 3.0]))
def test_orthogonal_vectors_of_the_shorter_side(rows: int, columns: int, gain: float) -> None:
    w = init.orthogonal((rows, columns), np.float64, gain=gain)
    gram = w.T @ w if rows >= columns else w @ w.T
    np.testing.assert_allclose(gram, gain**2 * np.eye(min(rows, columns)), atol=1e-13 * gain**2)


def test_orthogonal_matrices_are_drawn_evenly() -> None:
    """QR alone prefers a sign: the mean of the diagonal tells (Mezzadri, 2007)."""
    tinyseq.seed(0)
    corner = [init.orthogonal((2, 2), np.float64)[0, 0] for _ in range(2000)]
    assert abs(np.mean(corner)) < 4 * np.sqrt(0.5 / 2000)  # cos of a uniform angle has variance 1/2


def test_orthogonal_with_more_axes_has_orthonormal_columns() -> None:
    w = init.orthogonal((2, 3, 4), np.float64).reshape(6, 4)
    np.testing.assert_allclose(w.T @ w, np.eye(4), atol=1e-13)


def test_unit_rows_have_a_mean_square_of_one() -> None:
    tinyseq.seed(0)
    rows = init.unit_rows((2000, 48), np.float64)
    assert np.abs(rows).max() <= np.sqrt(3 / 48)
    np.testing.assert_allclose((rows**2).sum(1).mean(), 1, atol=4 * np.sqrt(0.8 / 48 / 2000))
    assert init.unit_rows((3, 0)).shape == (3, 0)


def test_identity() -> None:
    assert np.array_equal(init.identity((3, 3)), np.eye(3))
    assert np.array_equal(init.identity((2, 3), gain=0.5), [[0.5, 0, 0], [0, 0.5, 0]])


def test_glorot_uniform_fills_its_bounds() -> None:
    tinyseq.seed(0)
    w = init.glorot_uniform((200, 100), np.float64)
    limit = np.sqrt(6 / 300)
    assert np.abs(w).max() <= limit
    assert np.abs(w).max() > 0.99 * limit
    np.testing.assert_allclose(w.var(), 2 / 300, rtol=0.05)


def test_uniform_and_normal_keep_to_their_options() -> None:
    tinyseq.seed(0)
    u = init.uniform((100, 100), low=2.0, high=4.0)
    assert u.min() >= 2
    assert u.max() <= 4
    np.testing.assert_allclose(u.mean(), 3, atol=0.05)
    n = init.normal((100, 100), mean=-1.0, std=0.1)
    np.testing.assert_allclose([n.mean(), n.std()], [-1, 0.1], rtol=0.05)


def test_zeros_and_ones() -> None:
    assert not init.zeros((3,)).any()
    assert (init.ones((3,)) == 1).all()


def test_get_takes_functions_as_they_are() -> None:
    assert init.get(init.normal) is init.normal


def test_an_unknown_name_is_answered_with_a_near_one() -> None:
    with pytest.raises(ConfigError, match=r"no initialiser 'orthogonl'.* Did you mean 'orthogonal'"):
        init.get("orthogonl")
    with pytest.raises(ConfigError, match=r"choose from orthogonal, identity, .* pass a function"):
        init.get("xyz")


@pytest.mark.parametrize("name", ["orthogonal", "glorot_uniform"])
def test_a_vector_has_no_fans(name: str) -> None:
    with pytest.raises(ShapeError, match=rf"init.{name}\(\) needs a shape \(inputs, outputs\), not \(3,\)"):
        init.get(name)((3,))


def test_identity_is_for_matrices() -> None:
    with pytest.raises(ShapeError, match=r"identity\(\) makes matrices .* not shape \(2, 2, 2\)"):
        init.identity((2, 2, 2))


def test_an_initializer_of_a_plugin_is_found_by_its_name() -> None:
    tinyseq.register("initializer", "all-twos")(lambda shape, dtype=np.float32: np.full(shape, 2, dtype))
    try:
        assert (Linear(2, 3, init="all-twos").weight.numpy() == 2).all()
    finally:
        registries["initializer"].remove("all-twos")
