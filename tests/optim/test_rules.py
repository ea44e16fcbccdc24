"""Update rules against their textbook formulas, one number at a time."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Tensor
from tinyseq.nn import Parameter
from tinyseq.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

Step = Callable[[float, float, int], float]


def sgd(lr: float, momentum: float = 0, nesterov: bool = False, weight_decay: float = 0) -> Step:
    v = 0.0

    def step(w: float, g: float, t: int) -> float:
        nonlocal v
        g += weight_decay * w
        v = momentum * v + g
        return w - lr * (g + momentum * v if nesterov else v)

    return step


def rmsprop(
    lr: float, alpha: float = 0.99, eps: float = 1e-8, momentum: float = 0, weight_decay: float = 0
) -> Step:
    s = v = 0.0

    def step(w: float, g: float, t: int) -> float:
        nonlocal s, v
        g += weight_decay * w
        s = alpha * s + (1 - alpha) * g * g
        v = momentum * v + g / (math.sqrt(s) + eps)
        return w - lr * v

    return step


def adagrad(
    lr: float,
    lr_decay: float = 0,
    eps: float = 1e-10,
    initial_accumulator_value: float = 0,
    weight_decay: float = 0,
) -> Step:
    s = initial_accumulator_value

    def step(w: float, g: float, t: int) -> float:
        nonlocal s
        g += weight_decay * w
        s += g * g
        return w - lr / (1 + (t - 1) * lr_decay) * g / (math.sqrt(s) + eps)

    return step


def adam(
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    decoupled: bool = False,
) -> Step:
    m = s = 0.0
    b1, b2 = betas

    def step(w: float, g: float, t: int) -> float:
        nonlocal m, s
        if decoupled:
            w -= lr * weight_decay * w
        else:
            g += weight_decay * w
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * g * g
        return w - lr * (m / (1 - b1**t)) / (math.sqrt(s / (1 - b2**t)) + eps)

    return step


def adamw(lr: float, weight_decay: float = 1e-2, **options: Any) -> Step:
    return adam(lr, weight_decay=weight_decay, decoupled=True, **options)


CASES: list[tuple[type[Optimizer], Callable[..., Step], dict[str, Any]]] = [
    (SGD, sgd, {"lr": 0.1}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (RMSprop, rmsprop, {"lr": 0.01}),
    (RMSprop, rmsprop, {"lr": 0.01, "alpha": 0.5, "eps": 0.1, "momentum": 0.7, "weight_decay": 0.1}),
    (Adagrad, adagrad, {"lr": 0.1}),
    (
        Adagrad,
        adagrad,
        {"lr": 0.1, "lr_decay": 0.1, "eps": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1},
    ),
    (Adam, adam, {"lr": 0.1}),
    (Adam, adam, {"lr": 0.1, "betas": (0.5, 0.7), "eps": 0.1, "weight_decay": 0.1}),
    (AdamW, adamw, {"lr": 0.1}),
    (AdamW, adamw, {"lr": 0.1, "betas": (0.5, 0.7), "eps": 0.1, "weight_decay": 0.3}),
]
NAMES = [f"{rule.__name__}-{len(options)}-options" for rule, _, options in CASES]


@pytest.mark.parametrize(("rule", "textbook", "options"), CASES, ids=NAMES)
@given(
    shapes=st.lists(st.lists(st.integers(1, 4), max_size=2).map(tuple), min_size=1, max_size=4),
    present=st.integers(0, 2**20 - 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_rule_is_its_formula(
    rule: type[Optimizer],
    textbook: Callable[..., Step],
    options: dict[str, Any],
    shapes: list[tuple[int, ...]],
    present: int,
    seed: int,
    backend: str,
) -> None:
    """Five steps; bit k of `present` says whether a parameter has a gradient, so that some are left out."""
    rng = np.random.default_rng(seed)
    parameters = [Parameter(rng.normal(size=shape), np.float64) for shape in shapes]
    expected = [p.numpy().copy() for p in parameters]
    steps = [{at: textbook(**options) for at in np.ndindex(shape)} for shape in shapes]
    counts = [0] * len(shapes)
    optimizer = rule(parameters, **options)
    for k in range(5):
        for i, (parameter, shape) in enumerate(zip(parameters, shapes, strict=True)):
            parameter.grad = None
            if present >> (4 * k + i) & 1:
                gradient = rng.normal(size=shape)
                parameter.grad = Tensor(gradient)
                counts[i] += 1
                for at in np.ndindex(shape):
                    expected[i][at] = steps[i][at](expected[i][at], float(gradient[at]), counts[i])
        optimizer.step()
    for parameter, values in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(parameter.numpy(), values, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("rule", [SGD, RMSprop, Adagrad, Adam, AdamW])
def test_every_rule_descends(rule: type[Optimizer], backend: str) -> None:
    w = Parameter([3.0, -2.0])
    optimizer = rule([w], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    assert float((w * w).sum()) < (1.0 if rule is Adagrad else 0.02)


def test_float32_stays_float32(backend: str) -> None:
    for rule in (SGD, RMSprop, Adagrad, Adam, AdamW):
        w = Parameter(np.ones(5))
        optimizer = rule([w], lr=0.1)
        (w * w).sum().backward()
        optimizer.step()
        assert w.dtype == np.float32
        arrays = [v for v in optimizer.state_dict().values() if isinstance(v, np.ndarray)]
        assert all(array.dtype == np.float32 for array in arrays)
