"""Values and gradients where formulas break: overflow, ties, zeros, infinities, nothing at all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinyseq import Tensor, grad, higher_order, ops
from tinyseq.errors import DataError, ShapeError

INF = np.inf
FAR = [-1e4, -1.0, 0.0, 1.0, 1e4]
E_1 = float(np.exp(-1))
SIGMOID_1 = 1 / (1 + E_1)


def gradient(function: Callable[..., Any], *arrays: Any, dtype: Any = np.float32) -> tuple[Any, ...]:
    """The value, and the gradients of its sum."""
    leaves = [Tensor(a, dtype, requires_grad=True) for a in arrays]
    y = function(*leaves)
    (y * 1).sum().backward()
    return (y.numpy(), *[leaf.grad.numpy() for leaf in leaves])


@pytest.mark.parametrize(
    ("name", "at", "value", "slope"),
    [
        ("tanh", FAR, np.tanh(FAR), [0, 1 - np.tanh(1) ** 2, 1, 1 - np.tanh(1) ** 2, 0]),
        (
            "sigmoid",
            FAR,
            [0, 1 - SIGMOID_1, 0.5, SIGMOID_1, 1],
            [0, *[SIGMOID_1 * (1 - SIGMOID_1), 0.25, SIGMOID_1 * (1 - SIGMOID_1)], 0],
        ),
        ("relu", FAR, [0, 0, 0, 1, 1e4], [0, 0, 0, 1, 1]),
        (
            "softplus",
            FAR,
            [0, np.log1p(E_1), np.log(2), 1 + np.log1p(E_1), 1e4],
            [0, 1 - SIGMOID_1, 0.5, SIGMOID_1, 1],
        ),
        ("abs", FAR, [1e4, 1, 0, 1, 1e4], [-1, -1, 0, 1, 1]),
        ("square", FAR, [1e8, 1, 0, 1, 1e8], [-2e4, -2, 0, 2, 2e4]),
        ("exp", [-1e4, 0.0], [0, 1], [0, 1]),
        ("expm1", [-1e4, 0.0, 1e-7], [-1, 0, 1e-7], [0, 1, 1]),
        ("log1p", [0.0, 1e-7, 1e4], [0, 1e-7, np.log(10001)], [1, 1, 1 / 10001]),
        ("sign", FAR, [-1, -1, 0, 1, 1], [0] * 5),
        (
            "log_sigmoid",
            FAR,
            [-1e4, -1 - np.log1p(E_1), -np.log(2), -np.log1p(E_1), 0],
            [1, SIGMOID_1, 0.5, 1 - SIGMOID_1, 0],
        ),
        ("silu", FAR[::4], [0, 1e4], [0, 1]),
        ("gelu", FAR[::4], [0, 1e4], [0, 1]),
        ("elu", FAR, [-1, E_1 - 1, 0, 1, 1e4], [0, E_1, 1, 1, 1]),
        ("leaky_relu", FAR, [-100, -0.01, 0, 1, 1e4], [0.01, 0.01, 0.01, 1, 1]),
        ("hard_sigmoid", FAR, [0, 1 / 3, 0.5, 2 / 3, 1], [0, 1 / 6, 1 / 6, 1 / 6, 0]),
        ("erf", FAR[::4], [-1, 1], [0, 0]),
    ],
)
def test_one_argument(name: str, at: Any, value: Any, slope: Any, backend: str) -> None:
    y, g = gradient(getattr(ops, name), at)
    np.testing.assert_allclose(y, value, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(g, slope, rtol=1e-6, atol=1e-7)


def test_clip_passes_the_gradient_at_its_bounds(backend: str) -> None:
    y, g = gradient(lambda x: ops.clip(x, -1, 1), FAR)
    np.testing.assert_array_equal(y, [-1, -1, 0, 1, 1])
    np.testing.assert_array_equal(g, [0, 1, 1, 1, 0])
    assert ops.clip(Tensor([-2, 3]), 0).dtype == np.int64  # one bound leaves integers integers


def test_clip_refuses_arrays_as_bounds(backend: str) -> None:
    with pytest.raises(
        TypeError, match=r"clip\(\) takes numbers as bounds; for arrays write minimum\(maximum\(x"
    ):
        ops.clip(Tensor([1.0]), Tensor([0.0]))


def test_ties_share_the_gradient(backend: str) -> None:
    _, a, b = gradient(ops.maximum, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    np.testing.assert_array_equal(a, [0.5, 0, 1])
    np.testing.assert_array_equal(b, [0.5, 1, 0])
    _, a, b = gradient(ops.minimum, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    np.testing.assert_array_equal(a, [0.5, 1, 0])
    np.testing.assert_array_equal(b, [0.5, 0, 1])
    for extreme in (ops.max, ops.min):
        _, g = gradient(lambda x, f=extreme: f(x, axis=1), [[2.0, 2.0, 2.0, 2.0]])
        np.testing.assert_array_equal(g, [[0.25, 0.25, 0.25, 0.25]])


def test_the_smallest_of_unsigned_integers(backend: str) -> None:
    assert ops.min(Tensor(np.array([3, 0, 200], np.uint8))).item() == 0


def test_power_at_zero(backend: str) -> None:
    for p, slope in ((0, 0), (1, 1), (2, 0), (3, 0)):
        y, g = gradient(lambda x, p=p: x**p, [0.0])
        np.testing.assert_array_equal(y, [0.0**p])
        np.testing.assert_array_equal(g, [slope])
    _, by_x, by_p = gradient(ops.power, [0.0, 0.0, 0.0], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(by_x, [0, 1, 0])
    np.testing.assert_array_equal(by_p, [0, 0, 0])
    _, by_p = gradient(lambda p: 0**p, [1.0, 2.0])
    np.testing.assert_array_equal(by_p, [0, 0])
    _, by_p = gradient(lambda p: 2**p, [3.0])
    np.testing.assert_allclose(by_p, [8 * np.log(2)], rtol=1e-6)
    assert by_p.dtype == np.float32


def test_where_keeps_what_was_not_chosen_out_of_the_gradient(backend: str) -> None:
    x = Tensor([0.0, 4.0], requires_grad=True)
    ops.where(x > 0, ops.log(ops.where(x > 0, x, 1)), 0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 0.25])


LOGITS = [[1e4, -1e4, 0.0], [-INF, 0.0, 0.0], [5.0, 5.0, 5.0]]


def test_softmax_of_extremes(backend: str) -> None:
    wanted = [[1, 0, 0], [0, 0.5, 0.5], [1 / 3] * 3]
    y, g = gradient(ops.softmax, LOGITS)
    np.testing.assert_allclose(y, wanted, rtol=1e-6)
    np.testing.assert_allclose(g, np.zeros((3, 3)), atol=1e-7)  # the sum is always 1
    np.testing.assert_array_equal(ops.softmax(Tensor([-INF, -INF])).numpy(), [0, 0])


def test_log_softmax_of_extremes(backend: str) -> None:
    x = Tensor(LOGITS, requires_grad=True)
    y = ops.log_softmax(x)
    wanted = [[0, -2e4, -1e4], [-INF, -np.log(2), -np.log(2)], [-np.log(3)] * 3]
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-6)
    y[:, 1].sum().backward()
    np.testing.assert_allclose(
        x.grad.numpy(), [[-1, 1, 0], [0, 0.5, -0.5], [-1 / 3, 2 / 3, -1 / 3]], atol=1e-6
    )


def test_logsumexp_of_extremes(backend: str) -> None:
    y, g = gradient(lambda x: ops.logsumexp(x, axis=-1), LOGITS)
    np.testing.assert_allclose(y, [1e4, np.log(2), 5 + np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(g, [[1, 0, 0], [0, 0.5, 0.5], [1 / 3] * 3], rtol=1e-6)
    y, g = gradient(ops.logsumexp, [-INF, -INF])
    assert y == -INF
    np.testing.assert_array_equal(g, [0, 0])
    assert ops.logsumexp(Tensor([INF, 0.0])).item() == INF


def test_cross_entropy_of_extremes(backend: str) -> None:
    targets = Tensor([1, 1, 0])
    y, g = gradient(lambda x: ops.softmax_cross_entropy(x, targets), LOGITS)
    np.testing.assert_allclose(y, [2e4, np.log(2), np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(g, [[1, -1, 0], [0, -0.5, 0.5], [-2 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


def test_cross_entropy_of_large_logits_keeps_small_differences(backend: str) -> None:
    y, _ = gradient(lambda x: ops.softmax_cross_entropy(x, Tensor([0])), [[1e4, 1e4 + 0.5]])
    np.testing.assert_allclose(y, [np.log1p(np.exp(0.5))], rtol=1e-5)


def test_cross_entropy_wants_one_target_for_each_row(backend: str) -> None:
    with pytest.raises(ShapeError) as error:
        ops.softmax_cross_entropy(Tensor(np.zeros((2, 3))), Tensor([[1], [2]]))
    assert str(error.value) == (
        "softmax_cross_entropy() of logits (2, 3) needs targets of shape (2,), one class for each row; "
        "got (2, 1)."
    )


def test_the_zero_vector_has_no_direction_and_a_finite_gradient(backend: str) -> None:
    y, g = gradient(ops.l2_normalize, [[0.0, 0.0], [3e4, 4e4]])
    np.testing.assert_allclose(y, [[0, 0], [0.6, 0.8]], rtol=1e-6)
    assert np.isfinite(g).all()


def test_the_mean_of_nothing_is_nan_and_its_sum_zero(backend: str) -> None:
    x = Tensor(np.zeros((0, 3)), requires_grad=True)
    assert np.isnan(x.mean().item())
    assert x.sum().item() == 0
    x.sum().backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize(
    ("op", "value"), [(ops.max, -INF), (ops.min, INF), (ops.logsumexp, -INF), (ops.prod, 1), (ops.norm, 0)]
)
def test_reductions_over_nothing_give_their_neutral_element(op: Any, value: float, backend: str) -> None:
    x = Tensor(np.zeros((2, 0)), requires_grad=True)
    for axis, shape in ((1, (2,)), (None, ())):
        y = op(x, axis=axis)
        assert y.shape == shape
        assert (y.numpy() == value).all()
        (g,) = grad(y.sum(), [x])
        assert g.shape == (2, 0)
    assert op(x, axis=1, keepdims=True).shape == (2, 1)


def test_the_largest_integer_of_none_is_the_least_that_there_is(backend: str) -> None:
    none = Tensor(np.zeros((0, 2), np.int32))
    assert (none.max(axis=0).numpy() == np.iinfo(np.int32).min).all()
    assert (none.min(axis=0).numpy() == np.iinfo(np.int32).max).all()
    assert none.max(axis=0).dtype == np.int32


def test_lengths_and_deviations_of_zero_have_gradient_zero(backend: str) -> None:
    for op in (ops.norm, ops.std, lambda x: ops.norm(x, 3, axis=0)):
        y, g = gradient(op, [0.0, 0.0, 0.0])
        assert y == 0
        np.testing.assert_array_equal(g, [0, 0, 0])


def test_a_product_with_zeros_has_the_gradient_of_the_others(backend: str) -> None:
    for at, slope in (([2.0, 0.0, 3.0], [0, 6, 0]), ([0.0, 5.0, 0.0, 1.0], [0, 0, 0, 0])):
        y, g = gradient(ops.prod, at)
        assert y == 0
        np.testing.assert_array_equal(g, slope)


def test_logaddexp_of_extremes(backend: str) -> None:
    y, a, b = gradient(ops.logaddexp, [-INF, -INF, 1e4], [-INF, 0.0, 0.0])
    np.testing.assert_array_equal(y, [-INF, 0, 1e4])
    np.testing.assert_array_equal(a, [0.5, 0, 1])
    np.testing.assert_array_equal(b, [0.5, 1, 0])
    assert ops.logaddexp(Tensor([INF]), Tensor([INF])).item() == INF


def test_the_largest_come_first_in_order_and_nan_before_them(backend: str) -> None:
    values, indices = ops.top_k(Tensor([1.0, 3.0, 3.0, np.nan, 0.0]), 4)
    np.testing.assert_array_equal(values.numpy(), [np.nan, 3, 3, 1])
    np.testing.assert_array_equal(indices.numpy(), [3, 1, 2, 0])
    y, g = gradient(ops.sort, [3.0, 1.0, 2.0])
    np.testing.assert_array_equal(y, [1, 2, 3])
    np.testing.assert_array_equal(g, [1, 1, 1])


def test_take_reads_a_list(backend: str) -> None:
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = ops.take(x, [2, 0, 0])
    np.testing.assert_array_equal(y.numpy(), [3, 1, 1])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 0, 1])


def test_zero_to_the_zero_is_flat_in_every_direction(backend: str) -> None:
    x, p = (Tensor(np.zeros(1), requires_grad=True) for _ in range(2))
    with higher_order():
        y = (x**p).sum()
    first = grad(y, [x, p], create_graph=True)
    for g in first:
        assert g.item() == 0
        second = grad(g.sum(), [x, p], allow_unused=True, retain_graph=True)
        assert all(h is None or h.item() == 0 for h in second)


def test_one_hot_looks_at_its_indices(backend: str) -> None:
    for wrong in ([3], [-1]):
        with pytest.raises(DataError, match="one_hot\\(\\) takes indices from 0 to 2"):
            ops.one_hot(Tensor(wrong), 3)
    with pytest.raises(DataError, match="integer indices, not float32"):
        ops.one_hot(Tensor([1.0]), 3)


def test_scalars_go_through_reductions_and_shapes(backend: str) -> None:
    _, g = gradient(
        lambda x: x.sum() * x.mean() + x.reshape(1, 1).squeeze() * ops.expand_dims(x, 0).max(), 3.0
    )
    assert g.shape == ()
    assert g == 12


def test_integers_become_floats_where_numpys_do(backend: str) -> None:
    ids = Tensor([[1, 2], [3, 4]])
    assert ids.sum().dtype == ids.max().dtype == np.int64
    assert ids.mean().dtype == ops.tanh(ids).dtype == (ids / 2).dtype == np.float64
    assert (ids * 2).dtype == np.int64
    x = Tensor([1.0, 2.0], requires_grad=True)
    (x * ids).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.numpy(), [4, 6])


def test_padding_with_a_large_or_infinite_value_loses_nothing(backend: str) -> None:
    x = np.array([1.2345, 2.0], np.float32)
    for value in (1e8, -INF):
        y, g = gradient(lambda x, v=value: ops.pad(x, 1, constant_values=v)[1:3], x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(g, [1, 1])


def test_numpys_scalars_do_not_widen(backend: str) -> None:
    x = Tensor([1.0, 2.0])
    for y in (x * np.float64(2), np.float64(2) * x, x ** np.float64(2), ops.where(x > 1, x, np.float64(0))):
        assert y.dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.sum(axis=2), "sum() of shapes (2, 3), axis=2, keepdims=False: axis 2 is out of bounds"),
        (lambda x: ops.flip(x, 2), "flip() of shapes (2, 3), axis=2: there is no axis 2 among 2"),
        (lambda x: ops.take(x, 0, 2), "axis=2: there is no axis 2 among 2"),
        (
            lambda x: x.reshape(5),
            "reshape() of shapes (2, 3), shape=(5,): cannot reshape",
        ),
        (lambda x: ops.split(x, 2, axis=1), "split() cannot divide axis 1 of (2, 3) into 2 equal parts."),
        (lambda x: ops.concatenate([]), "concatenate() needs at least one array."),
        (lambda x: ops.pad(x, -1), "pad() takes widths of 0 or more, got -1."),
        (lambda x: x @ x, "matmul() of shapes (2, 3), (2, 3): "),
        (
            lambda x: ops.tensordot(x, x, 1),
            "tensordot() of shapes (2, 3), (2, 3) cannot sum over axes (1,) and (0,): their lengths differ.",
        ),
        (lambda x: ops.einsum("ij,j->i", x, x), "'j' names 1 axes, where there are 2."),
        (lambda x: ops.einsum("ij,jk->ik", x, x), "the index 'j' has the lengths 3 and 2."),
        (lambda x: ops.einsum("ij->ik", x), "no operand has the index 'k' of the result."),
        (lambda x: ops.top_k(x, 4), "top_k() of 4 elements along axis 1 of (2, 3): it has 3."),
        (lambda x: ops.repeat(x, [1, 2, 3], 0), "repeat() along axis 0 of (2, 3) takes one count"),
        (lambda x: ops.tril(x[0]), "tril() takes matrices (..., rows, columns), got (3,)."),
        (lambda x: ops.norm(x, "nuc"), "norm(ord='nuc') of shape (2, 3) over axis None"),
    ],
)
def test_refusals_name_the_op_and_the_shapes(call: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(ShapeError) as error:
        call(Tensor(np.zeros((2, 3))))
    assert message in str(error.value)


def test_an_index_out_of_bounds_stays_an_index_error() -> None:
    with pytest.raises(IndexError, match=r"getitem\(\) of shapes \(2,\), index=5: index 5 is out of bounds"):
        Tensor([1.0, 2.0])[5]


@pytest.mark.parametrize("target", [-1, 3])
def test_a_target_that_is_no_class_is_refused(target: int) -> None:
    """-1 would be read as the last class, in silence."""
    with pytest.raises(DataError, match=f"targets from 0 to 2, one of 3 classes; got .*{target}"):
        ops.softmax_cross_entropy(np.zeros((2, 3)), np.array([1, target]))
    assert ops.softmax_cross_entropy(np.zeros((0, 3)), np.zeros(0, int)).shape == (0,)
