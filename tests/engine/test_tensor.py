"""What a Tensor is made from, what it answers, and how it refuses."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Tensor, ops
from tinyseq.errors import DataError, GraphError, MixedBackendsError, ShapeError

NO_NUMPY = "to keep the gradient, or take the values out with .numpy()."


@pytest.mark.parametrize(
    ("data", "dtype", "expected"),
    [
        (1.5, None, np.float32),
        ([1.5, 2], None, np.float32),
        (3, None, np.int64),
        ([True], None, np.bool_),
        (np.ones(2), None, np.float64),
        (np.float64(1), None, np.float64),
        (np.ones(2), "float32", np.float32),
        ([1, 2], "float64", np.float64),
    ],
)
def test_dtypes(data: Any, dtype: Any, expected: Any, backend: str) -> None:
    x = Tensor(data, dtype)
    assert x.dtype == expected
    assert type(x.data) is type(Tensor([1.0]).data)  # an array, even of one number
    assert Tensor(x).dtype == expected


def test_an_array_is_copied_and_a_tensors_is_shared() -> None:
    values = np.ones(2)
    x = Tensor(values)
    assert not np.shares_memory(x.data, values)
    assert Tensor(x).data is x.data


def test_what_it_answers(backend: str) -> None:
    x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert (x.shape, x.ndim, x.size, len(x), x.requires_grad) == ((2, 3), 2, 6, 2, False)
    assert [row.shape for row in x] == [(3,), (3,)]
    assert (
        x.T.shape == x.transpose(1, 0).shape == x.transpose((1, 0)).shape == x.reshape(-1, 2).shape == (3, 2)
    )
    assert repr(x[0]) == "Tensor([1., 2., 3.], dtype=float32)"
    one = Tensor(2.0, requires_grad=True)
    assert (float(one), int(one), bool(one), one.item()) == (2.0, 2, True, 2.0)
    assert repr(one) == "Tensor(2., dtype=float32, requires_grad=True)"
    with pytest.raises(TypeError, match="len\\(\\) of a Tensor without axes"):
        len(one)


def test_operators_on_either_side(backend: str) -> None:
    x = Tensor([1.0, 2.0])
    with tinyseq.use(backend) as here:
        y = here.asarray(np.array([3.0, 5.0], np.float32))
    for left, right in ((x, y), (y, x), (x, 3.0), (3.0, x)):
        a, b = (
            v.numpy() if isinstance(v, Tensor) else getattr(v, "get", lambda v=v: v)() for v in (left, right)
        )
        for got, expected in (
            (left + right, a + b),
            (left - right, a - b),
            (left * right, a * b),
            (left / right, a / b),
            (left**right, a**b),
            (left < right, a < b),
            (left >= right, a >= b),
            (left == right, a == b),
            (left != right, a != b),
        ):
            assert isinstance(got, Tensor)
            np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)
            assert got.dtype in (np.float32, np.bool_)
    assert isinstance(y @ x, Tensor)
    assert (~(x > 1) | (x > 1) & (x < 0)).numpy().tolist() == [True, False]


def test_tensors_are_keys_by_identity() -> None:
    x, y = Tensor([1.0]), Tensor([1.0])
    assert len({x, y}) == 2


def test_a_deep_copy_is_another_leaf() -> None:
    x = Tensor([1.0], requires_grad=True)
    other = copy.deepcopy(x)
    (other * 2).sum().backward()
    assert x.grad is None
    assert other.grad.item() == 2


def test_setting_a_gradient() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    x.grad = Tensor(np.array([3.0, 4.0]))
    assert x.grad.dtype == np.float32
    x.grad = np.array([5.0, 6.0])
    assert x.grad.numpy().tolist() == [5, 6]
    with pytest.raises(ShapeError, match=r"a gradient of shape \(1,\) for a Tensor of shape \(2,\)"):
        x.grad = Tensor([1.0])
    with pytest.raises(GraphError, match=r"Only leaves \(made with requires_grad=True\) hold a gradient"):
        (x * 2).grad = x.grad


def assign(x: Tensor) -> None:
    x[0] = 1.0


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda x: [1.0, 2.0] * x,
            TypeError,
            "multiply() takes Tensors, arrays and numbers, not list: make it a Tensor first, "
            "tinyseq.Tensor([...]).",
        ),
        (
            lambda x: ops.sum([1.0, 2.0]),
            TypeError,
            "sum() takes Tensors, arrays and numbers, not list: make it a Tensor first, "
            "tinyseq.Tensor([...]).",
        ),
        (
            lambda x: x * None,
            TypeError,
            "multiply() takes Tensors, arrays and numbers, not NoneType: make it a Tensor first, "
            "tinyseq.Tensor(...).",
        ),
        (
            lambda x: ops.concatenate([x, 1.0]),
            TypeError,
            "concatenate() takes arrays here, not the number 1.0.",
        ),
        (lambda x: np.exp(x), TypeError, f"numpy.exp was handed a Tensor. Use tinyseq.ops.exp {NO_NUMPY}"),
        (lambda x: np.sum(x), TypeError, f"numpy.sum was handed a Tensor. Use tinyseq.ops.sum {NO_NUMPY}"),
        (
            lambda x: np.concatenate([x, x]),
            TypeError,
            f"numpy.concatenate was handed a Tensor. Use tinyseq.ops.concatenate {NO_NUMPY}",
        ),
        (lambda x: np.arctan(x), TypeError, f"numpy.arctan was handed a Tensor. Use tinyseq.ops {NO_NUMPY}"),
        (
            lambda x: np.asarray(x),
            TypeError,
            "A Tensor does not become an array by itself, since that would lose the gradient: compute with "
            "tinyseq.ops, or take the values out with .numpy().",
        ),
        (
            assign,
            GraphError,
            "Tensors are values and cannot be assigned into: build the result with where() or concatenate().",
        ),
        (
            lambda x: x + Tensor(np.zeros((3, 4))),
            ShapeError,
            "add() of shapes (2,), (3, 4): operands could not be broadcast together with shapes (2,) (3,4) ",
        ),
        (
            lambda x: x & x,
            TypeError,
            "& | ~ are for Tensors of booleans, and this one holds float32.",
        ),
        (
            lambda x: Tensor([x, x]),
            TypeError,
            "Tensor() of a list of Tensors: join them with tinyseq.ops.stack() instead.",
        ),
        (
            lambda x: Tensor(np.ma.masked_array([1.0, 2.0], [True, False])),
            DataError,
            "A masked array would lose its mask, of 1 values: give filled(value) of it, or what is not "
            "masked.",
        ),
        (lambda x: Tensor("abc"), TypeError, "Tensor() takes numbers, not str of dtype <U3."),
        (
            lambda x: Tensor([1, 2], requires_grad=True),
            GraphError,
            "Only floating-point Tensors can have gradients; this one holds int64: make it float, as "
            "Tensor(data, 'float32', requires_grad=True) does.",
        ),
    ],
)
def test_common_mistakes(call: Callable[[Tensor], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        call(Tensor([1.0, 2.0]))
    assert str(error.value) == message


def test_two_backends_do_not_mix(cupy: Any, backend: str) -> None:
    device = Tensor([1.0, 2.0])
    with tinyseq.use("numpy"):
        host = Tensor([3.0, 4.0])
        with pytest.raises(MixedBackendsError) as error:
            device * host
        assert str(error.value) == (
            "multiply() was given arrays of two backends (cupy, numpy). Move one of them: model.to('cupy') "
            "moves a model, tinyseq.Tensor(array) moves an array to the backend in use."
        )
        with pytest.raises(MixedBackendsError, match=r"two backends \(cupy, numpy\)"):
            device + host.data
        moved = Tensor(device)
        assert isinstance(moved.data, np.ndarray)
    assert isinstance(Tensor(host).data, cupy.ndarray)
