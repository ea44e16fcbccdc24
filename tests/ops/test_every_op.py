"""Every op by name: values against NumPy, and its rule in all its uses. conftest.py has the arguments."""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyseq
from tinyseq import Tensor, ops
from tinyseq.engine import primitive
from tinyseq.testing import check_rule

Shape = tuple[int, ...]

# CuPy compiles a kernel for every new combination of dtypes and axes.
few_with_cupy = (
    settings(max_examples=4) if "cupy" in os.environ.get("TINYSEQ_TEST_BACKENDS", "") else settings()
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
SEEDS = st.integers(0, 2**32 - 1)


def softmax(x: Any, axis: Any = -1) -> Any:
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


def scattered(g: Any, index: Any, shape: Shape) -> Any:
    out = np.zeros(shape)
    np.add.at(out, index, g)
    return out


def added_at(g: Any, ids: Any, axis: int, size: int) -> Any:
    out = np.zeros((*g.shape[:axis], size, *g.shape[axis + ids.ndim :]))
    np.add.at(out, (*[slice(None)] * axis, ids), g)
    return out


def added_along_axis(g: Any, ids: Any, axis: int, size: int) -> Any:
    out = np.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]))
    for at in np.ndindex(*g.shape):
        out[(*at[:axis], ids[at], *at[axis + 1 :])] += g[at]
    return out


def normalized(x: Any, weight: Any, bias: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


# What NumPy does not have under the op's own name.
REFERENCES: dict[str, Callable[..., Any]] = {
    "add_along_axis": added_along_axis,
    "argsort": lambda x, axis: np.argsort(x, axis, kind="stable"),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "erf": np.vectorize(math.erf, otypes=[float]),
    "gelu": lambda x, approximate: (
        x * np.vectorize(lambda v: (1 + math.erf(v / 2**0.5)) / 2, otypes=[float])(x)
        if approximate == "none"
        else x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2
    ),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "log_sigmoid": lambda x: -np.log(1 + np.exp(-x)),
    "norm": np.linalg.norm,
    "one_hot": lambda ids, n, dtype: np.eye(n, dtype=dtype)[ids],
    "silu": lambda x: x / (1 + np.exp(-x)),
    "top_k": lambda x, k, axis: [
        np.take(np.flip(f(x, axis), axis), range(k), axis) for f in (np.sort, np.argsort)
    ],
    "add_at": added_at,
    "getitem": lambda x, index: x[index],
    "l2_normalize": lambda x, axis: x / np.linalg.norm(x, axis=axis, keepdims=True),
    "layer_norm": normalized,
    "log_softmax": lambda x, axis: np.log(softmax(x, axis)),
    "logsumexp": lambda x, axis, keepdims: np.log(np.exp(x).sum(axis=axis, keepdims=keepdims)),
    "place": scattered,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": softmax,
    "softmax_cross_entropy": lambda x, t: -np.log(np.take_along_axis(softmax(x), t[..., None], -1))[..., 0],
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "stop_gradient": lambda x: x,
}


def every_op() -> set[str]:
    functions = {name: f for name, f in vars(ops).items() if callable(f) and not name.startswith("_")}
    return {name for name, f in functions.items() if not isinstance(f, type)}


def test_every_op_has_a_case(names_with_a_case: set[str]) -> None:
    assert every_op() == names_with_a_case | {"astype"}


@few_with_cupy
@given(shape=SHAPES, seed=SEEDS)
def test_the_rule_in_all_its_uses(differentiable: Any, backend: str, shape: Shape, seed: int) -> None:
    name, case = differentiable
    args, static = case(np.random.default_rng(seed), shape)
    check_rule(getattr(ops, name), *args, **static)


@few_with_cupy
@given(shape=SHAPES, seed=SEEDS)
def test_values_and_dtypes_are_numpys(either: Any, backend: str, shape: Shape, seed: int) -> None:
    name, case = either
    args, static = case(np.random.default_rng(seed), shape)
    reference = REFERENCES[name] if name in REFERENCES else getattr(np, name)
    expected = reference(*args, **static)
    got = getattr(ops, name)(*[_tensor(a) for a in args], **static)
    several = isinstance(expected, list)
    assert isinstance(got, list | tuple) == several
    for y, wanted in zip(got, expected, strict=True) if several else [(got, expected)]:
        assert y.shape == np.shape(wanted)
        assert y.dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-10, atol=1e-12)


def _tensor(arg: Any) -> Any:
    if isinstance(arg, list) and arg and isinstance(arg[0], np.ndarray):
        return [Tensor(a) for a in arg]
    return Tensor(arg) if isinstance(arg, np.ndarray | np.generic) else arg


@few_with_cupy
@given(shape=SHAPES, seed=SEEDS)
def test_constants_stop_the_gradient(constant: Any, backend: str, shape: Shape, seed: int) -> None:
    name, case = constant
    if name == "one_hot":
        pytest.skip("it takes no floats, which alone have gradients")
    args, static = case(np.random.default_rng(seed), shape)
    leaves = [
        Tensor(a, np.float64, requires_grad=True) if isinstance(a, np.ndarray | np.generic) else a
        for a in args
    ]
    assume(any(isinstance(leaf, Tensor) for leaf in leaves))
    assert not getattr(ops, name)(*leaves, **static).requires_grad


def test_astype_converts_the_gradient_back(backend: str) -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = x * 1.0
    seen = []
    y.register_hook(lambda g: seen.append(g.dtype))
    (y.astype("float64") * 2).sum().backward()
    assert seen == [np.float32]
    assert not x.astype("int32").requires_grad


def test_arrays_without_tensors_give_arrays(either: Any) -> None:
    name, case = either
    args, static = case(np.random.default_rng(0), (2, 3))
    got = getattr(ops, name)(*args, **static)
    assert all(not isinstance(y, Tensor) for y in (got if isinstance(got, list | tuple) else [got]))


def test_every_word_of_a_backend_is_an_op(backend: str) -> None:
    assert (
        set(vars(tinyseq.backend.backend().words)) - {"name", "fused"} <= every_op()
    )  # fused: what this backend has as one kernel


def test_check_rule_finds_each_kind_of_fault() -> None:
    @primitive
    def wrong(xp: Any, x: Any) -> Any:
        return xp.square(x), lambda g: (g * x,)

    @primitive
    def wrong_dtype(xp: Any, x: Any) -> Any:
        return xp.square(x), lambda g: (g * (x * np.float64(2)),)

    @primitive
    def wrong_at_second_order(xp: Any, x: Any) -> Any:
        held = x.data if isinstance(x, Tensor) else x
        return xp.square(x), lambda g: (g * (2 * held),)

    @primitive
    def writes(xp: Any, x: Any) -> Any:
        def pullback(g: Any) -> Any:
            if isinstance(g, np.ndarray):
                g *= 2
                return (g * x,)
            return (2 * g * x,)

        return xp.square(x), pullback

    @primitive
    def wrong_shape(xp: Any, x: Any) -> Any:
        return xp.square(x), lambda g: ((g * (2 * x)).reshape((1, *x.shape)).sum(axis=1),)

    x = np.arange(1.0, 4)
    with pytest.raises(AssertionError, match="derivative of order 1: the gradient says"):
        check_rule(wrong, x)
    with pytest.raises(AssertionError, match="float32 has a gradient of float64"):
        check_rule(wrong_dtype, x)
    with pytest.raises(AssertionError, match="derivative of order 2: the gradient says"):
        check_rule(wrong_at_second_order, x)
    with pytest.raises(ValueError, match="read-only"):
        check_rule(writes, x)
    with pytest.raises(ValueError, match="a pullback gave a gradient of shape"):
        check_rule(wrong_shape, x)
