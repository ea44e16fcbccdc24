"""Bounds on gradients: the laws of clipping, and what it must not touch."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Tensor
from tinyseq.errors import ConfigError, NonFiniteError
from tinyseq.nn import Linear, Parameter
from tinyseq.optim import clip_grad_norm, clip_grad_value, grad_norms

shapes = st.lists(st.lists(st.integers(1, 4), max_size=3).map(tuple), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)


def with_gradients(shapes: list[tuple[int, ...]], seed: int, scale: float = 1.0) -> list[Parameter]:
    rng = np.random.default_rng(seed)
    parameters = [Parameter(np.zeros(shape), np.float64) for shape in shapes]
    for parameter in parameters:
        parameter.grad = Tensor(scale * rng.normal(size=parameter.shape))
    return parameters


def joined(parameters: list[Parameter]) -> np.ndarray[Any, Any]:
    return np.concatenate([p.grad.numpy().ravel() for p in parameters if p.grad is not None])


@given(shapes=shapes, seed=seeds, fraction=st.sampled_from([0.01, 0.5, 1.0, 1.5]))
def test_the_joint_norm_is_held_and_the_direction_kept(
    shapes: list[tuple[int, ...]], seed: int, fraction: float, backend: str
) -> None:
    parameters = with_gradients(shapes, seed)
    before = joined(parameters)
    norm = float(np.linalg.norm(before))
    assert clip_grad_norm(parameters, fraction * norm) == pytest.approx(norm, rel=1e-12)
    np.testing.assert_allclose(joined(parameters), before * min(1.0, fraction), rtol=1e-12)


@given(shapes=shapes, seed=seeds, bound=st.sampled_from([0.0, 0.3, 10.0]))
def test_values_are_held(shapes: list[tuple[int, ...]], seed: int, bound: float, backend: str) -> None:
    parameters = with_gradients(shapes, seed)
    before = joined(parameters)
    clip_grad_value(parameters, bound)
    assert np.array_equal(joined(parameters), np.clip(before, -bound, bound))


def test_gradients_within_the_bound_are_the_same_arrays() -> None:
    (parameter,) = with_gradients([(3,)], 0)
    held = parameter.grad
    assert held is not None
    clip_grad_norm([parameter], 1e3)
    assert parameter.grad is not None
    assert parameter.grad.data is held.data


@pytest.mark.parametrize("clip", [lambda ps: clip_grad_norm(ps, 0.1), lambda ps: clip_grad_value(ps, 0.1)])
def test_an_array_that_two_gradients_share_is_not_written_to(clip: Any) -> None:
    a, b = Parameter(np.ones((2, 3))), Parameter(np.ones((2, 3)))
    seed = Tensor(np.ones((2, 3), np.float32))
    (a + b).backward(seed)
    clip([a])
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.numpy() < 1).all()
    assert (b.grad.numpy() == 1).all()
    assert (seed.numpy() == 1).all()


def test_a_tied_parameter_counts_once() -> None:
    (parameter,) = with_gradients([(4,)], 0)
    norm = float(np.linalg.norm(joined([parameter])))
    assert clip_grad_norm([parameter, parameter], norm / 2) == pytest.approx(norm)
    assert np.linalg.norm(joined([parameter])) == pytest.approx(norm / 2)


def test_broadcast_gradients_are_counted_in_full() -> None:
    w = Parameter(np.zeros((3, 4)))
    w.sum().backward()  # its gradient is one number, repeated by strides
    assert clip_grad_norm([w], 1.0) == pytest.approx(np.sqrt(12))


def test_nothing_to_clip() -> None:
    assert clip_grad_norm(Linear(2, 2), 1.0) == 0.0
    clip_grad_value(Linear(2, 2), 1.0)
    assert grad_norms(Linear(2, 2)) == {}


def test_squares_beyond_float32_do_not_make_the_norm_infinite(backend: str) -> None:
    w = Parameter(np.zeros(2))
    w.grad = Tensor(np.array([3e25, 4e25], np.float32))
    assert clip_grad_norm([w], 5.0) == pytest.approx(5e25)
    np.testing.assert_allclose(w.grad.numpy(), [3, 4], rtol=1e-6)


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
def test_a_norm_that_is_not_finite_leaves_the_gradients(bad: float, backend: str) -> None:
    a, b = Parameter(np.zeros(2)), Parameter(np.zeros(1))
    a.grad, b.grad = Tensor([1.0, bad]), Tensor([2.0])
    assert not np.isfinite(clip_grad_norm([a, b], 0.5))
    assert np.array_equal(a.grad.numpy(), np.float32([1, bad]), equal_nan=True)
    assert b.grad.item() == 2.0
    with pytest.raises(NonFiniteError, match=r"the norm of the gradients is (inf|nan): grad_norms\(model\)"):
        clip_grad_norm([a, b], 0.5, error_if_nonfinite=True)


def test_grad_norms_are_by_path(backend: str) -> None:
    layer = Linear(2, 3)
    layer.weight.grad = Tensor(np.full((2, 3), 2.0, np.float32))
    assert grad_norms(layer) == {"weight": pytest.approx(np.sqrt(24))}
    layer(Tensor(np.ones((4, 2), np.float32))).sum().backward()
    assert list(grad_norms(layer)) == ["weight", "bias"]


@pytest.mark.parametrize("bound", [0, -1.0, float("nan")])
def test_the_bound_must_make_sense(bound: float) -> None:
    with pytest.raises(ConfigError, match=r"clip_grad_norm\(max_norm=.*\): it must be above 0"):
        clip_grad_norm([], bound)


def test_clip_value_must_not_be_negative() -> None:
    with pytest.raises(ConfigError, match=r"clip_grad_value\(max_value=-1\): it must be 0 or more"):
        clip_grad_value([], -1)


def test_one_wait_for_the_device(counts: Any) -> None:
    import tinyseq

    with tinyseq.use("cupy"):
        parameters = with_gradients([(3,), (2, 2), ()], 0)
        with counts() as seen:
            clip_grad_norm(parameters, 1e-3)
    assert seen["sync"] == 1
