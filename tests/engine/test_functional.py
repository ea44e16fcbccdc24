"""grad, vjp, jvp, and derivatives of derivatives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Tensor, grad, higher_order, jvp, no_grad, ops, vjp
from tinyseq.errors import GraphError, ShapeError

SEEDS = st.integers(0, 2**32 - 1)


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def layer(x: Any, w: Any) -> Any:
    return ops.softmax(ops.tanh(x @ w) * 3)


def test_grad_leaves_grad_alone_and_takes_one_input_or_several(backend: str) -> None:
    x, w = leaf(2.0), leaf(3.0)
    y = (x * x * w).sum()
    (g,) = grad(y, x, retain_graph=True)
    assert (g.item(), x.grad) == (12, None)
    gx, gw = grad(y, [x, w])
    assert (gx.item(), gw.item()) == (12, 4)


def test_grad_of_several_outputs_sums_them(backend: str) -> None:
    x = leaf(2.0)
    (g,) = grad([x * x, x * 3], x, [[1.0], [10.0]])
    assert g.item() == 34


def test_grad_by_a_value_inside(backend: str) -> None:
    x = leaf(1.0, 2.0)
    first, second = ops.split(x * 2, 2)
    g, unused = grad((first * first).sum(), [first, second], allow_unused=True)
    assert g.item() == 4
    assert unused is None


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda x: grad(x.sum(), [leaf(1.0)]),
            GraphError,
            "the outputs do not depend on input 0 of grad() (shape (1,)). Pass allow_unused=True to get None "
            "for it.",
        ),
        (
            lambda x: grad(x.sum(), [x, Tensor([1.0])]),
            GraphError,
            "input 1 of grad() takes no gradient: make it with requires_grad=True.",
        ),
        (
            lambda x: grad(Tensor(1.0), [x]),
            GraphError,
            "There is nothing to differentiate: no Tensor with requires_grad=True went into this value "
            "(or it was computed under no_grad(), or detached).",
        ),
        (
            lambda x: grad([x, x], [x], [[1.0, 1.0]]),
            ShapeError,
            "grad() got 2 outputs and 1 gradients to start from.",
        ),
        (
            lambda x: grad(x, [x], [1.0]),
            ShapeError,
            "the gradient to start from has shape (1,), the Tensor (2,).",
        ),
        (
            lambda x: (x * 2).backward(),
            ShapeError,
            "the gradient starts from a scalar, but this Tensor has shape (2,). Reduce it first (.mean() or "
            ".sum()), or pass the gradient to start from.",
        ),
        (
            lambda x: grad((x * x).sum(), [x], create_graph=True),
            GraphError,
            "sum() was recorded for first derivatives only. For derivatives of derivatives, run the forward "
            "pass inside `with tinyseq.higher_order():`.",
        ),
        (
            lambda x: jvp(ops.tanh, [x], [[1.0]]),
            ShapeError,
            "jvp() needs tangents of the primals' shapes [(2,)]; got [(1,)].",
        ),
    ],
)
def test_refusals(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        call(leaf(1.0, 2.0))
    assert str(error.value) == message


def test_gradients_have_the_dtype_of_their_leaf(backend: str) -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    wide = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    (x * wide).sum().backward(Tensor(np.float64(1)))
    assert x.grad.dtype == np.float32
    assert wide.grad.dtype == np.float64


@given(seed=SEEDS)
def test_vjp_and_jvp_are_transposes_and_equal_differences(seed: int, backend: str) -> None:
    rng = np.random.default_rng(seed)
    x, w, dx, dw, g = (rng.normal(size=s) for s in ((2, 3), (3, 4), (2, 3), (3, 4), (2, 4)))
    y, pullback = vjp(layer, x, w)
    same, along = jvp(layer, [x, w], [dx, dw])
    gx, gw = (t.numpy() for t in pullback(g))
    np.testing.assert_allclose(y.numpy(), same.numpy(), rtol=1e-12)
    np.testing.assert_allclose(
        (gx * dx).sum() + (gw * dw).sum(), (g * along.numpy()).sum(), rtol=1e-9, atol=1e-12
    )
    step = 1e-5
    moved = [layer(Tensor(x + s * dx), Tensor(w + s * dw)).numpy() for s in (step, -step)]
    np.testing.assert_allclose(along.numpy(), (moved[0] - moved[1]) / (2 * step), rtol=1e-5, atol=1e-7)


def test_vjp_and_jvp_of_what_is_constant_or_linear(backend: str) -> None:
    _, pullback = vjp(lambda x, y: x * 2, [1.0], [2.0])
    gx, gy = pullback([1.0])
    assert (gx.item(), gy.item()) == (2, 0)
    _, pullback = vjp(lambda x: Tensor([7.0]), [1.0])
    assert pullback([1.0])[0].item() == 0
    assert jvp(lambda x: Tensor([7.0]), [[1.0]], [[1.0]])[1].item() == 0
    assert jvp(lambda x, y: x * 2, [[1.0], [2.0]], [[5.0], [6.0]])[1].item() == 10


def test_vjp_and_jvp_bring_their_own_tape(backend: str) -> None:
    with no_grad():
        _, pullback = vjp(ops.square, [3.0])
        assert pullback([1.0])[0].item() == 6
        assert jvp(ops.square, [[3.0]], [[1.0]])[1].item() == 6


def test_the_third_derivative_of_a_polynomial(backend: str) -> None:
    x = leaf(2.0)
    with higher_order():
        y = (3 * x**4 - x * x).sum()
        derivatives = []
        for _ in range(4):
            (g,) = grad(y, x, create_graph=True)
            derivatives.append(g.item())
            y = g.sum()
    assert derivatives == [12 * 8 - 4, 36 * 4 - 2, 72 * 2, 72]


def test_the_third_derivative_of_tanh_of_tanh() -> None:
    def derivatives(at: Any, function: Any, order: int) -> list[Any]:
        x = Tensor(at, requires_grad=True)
        with higher_order():
            y = function(x)
            found = [y.item()]
            for _ in range(order):
                (y,) = grad(y, x, create_graph=True)
                found.append(y.item())
        return found

    chain = lambda x: ops.tanh(2 * ops.tanh(x))
    step = 1e-4
    _, *slopes = derivatives(np.float64(0.4), chain, 3)
    above, below = (derivatives(np.float64(0.4 + s), chain, 2) for s in (step, -step))
    for slope, high, low in zip(slopes, above, below, strict=True):
        np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=1e-6)


def test_a_gradient_penalty_trains_through_the_gradient(backend: str) -> None:
    w, x = leaf(0.5, -1.0), leaf(1.0, 2.0)
    with higher_order():
        y = ops.tanh((w * x).sum())
        (g,) = grad(y, x, create_graph=True)
        ((g * g).sum() + y).backward()
    s = np.tanh(0.5 - 2.0)
    slope = 1 - s * s
    norm = 0.25 + 1.0
    expected = 2 * slope**2 * np.array([0.5, -1.0]) + (
        2 * slope * (-2 * s * slope) * norm + slope
    ) * np.array([1.0, 2.0])
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-10)


def test_create_graph_writes_a_tape_under_no_grad() -> None:
    x = leaf(3.0)
    with higher_order():
        y = (x * x * x).sum()
    with no_grad():
        (g,) = grad(y, x, create_graph=True)
    (h,) = grad(g.sum(), x)
    assert h.item() == 18
