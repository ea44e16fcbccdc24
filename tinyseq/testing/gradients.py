"""Gradients against differences, in float64."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.backend import backend_of
from tinyseq.engine import Tensor, grad, higher_order, no_grad

Leaves = Sequence[Tensor]


def check_gradients(
    function: Callable[[], Any], leaves: Leaves, *, order: int = 2, seed: int = 0, tolerance: float = 1e-7
) -> None:
    """Compare derivatives of `function()` by the values of `leaves` with five-point differences.

    function: computes a Tensor, or a list or tuple of them, from the leaves, in float64 and without chance.
    Outputs are weighted at random, and all leaves move along one random direction at once. Order 2 does the
    same with the first derivative. Raises AssertionError where the relative error exceeds `tolerance`.
    """
    rng = np.random.default_rng(seed)
    for leaf in leaves:
        assert leaf.dtype == np.float64, f"check_gradients() needs float64 leaves, not {leaf.dtype}."
    with no_grad():
        weights = [_random(y, rng) for y in _outputs(function())]

    def scalar() -> Tensor:
        products = [(y * w).sum() for y, w in zip(_outputs(function()), weights, strict=True)]
        return ops.sum(ops.stack(products))  # type: ignore[no-any-return]

    for k in range(1, order + 1):
        _compare(scalar, leaves, rng, f"derivative of order {k}", tolerance)
        scalar = _slope(scalar, leaves, [_random(leaf, rng) for leaf in leaves])


def _compare(
    scalar: Callable[[], Tensor], leaves: Leaves, rng: np.random.Generator, what: str, tolerance: float
) -> None:
    directions = [_random(leaf, rng) for leaf in leaves]
    length = math.sqrt(sum(float((d * d).sum()) for d in directions)) or 1.0
    directions = [d / length for d in directions]  # however many leaves there are, the step is the same
    value = scalar()
    found: Sequence[Tensor | None] = [None] * len(leaves)
    if value.source is not None:
        found = grad(value, leaves, allow_unused=True)
    shares = [0.0 if g is None else float((g * d).sum()) for g, d in zip(found, directions, strict=True)]
    slope = sum(shares)
    expected = _difference(scalar, leaves, directions)
    scale = 1 + sum(map(abs, shares)) + abs(expected)
    assert abs(slope - expected) <= tolerance * scale, (
        f"{what}: the gradient says {slope!r}, differences say {expected!r}; leaf by leaf {shares}"
    )


def _difference(
    scalar: Callable[[], Tensor], leaves: Leaves, directions: list[Any], eps: float = 1e-3
) -> float:
    """The derivative along `directions`, with an error of order eps ** 4."""
    at = [leaf.data for leaf in leaves]

    def moved(by: float) -> float:
        for leaf, x, direction in zip(leaves, at, directions, strict=True):
            leaf.data = x + by * direction
        return float(scalar())

    try:
        near, far = moved(eps) - moved(-eps), moved(2 * eps) - moved(-2 * eps)
    finally:
        for leaf, x in zip(leaves, at, strict=True):
            leaf.data = x
    return (8 * near - far) / (12 * eps)


def _slope(scalar: Callable[[], Tensor], leaves: Leaves, directions: list[Any]) -> Callable[[], Tensor]:
    """The derivative of `scalar` along fixed directions, as a function of the leaves again."""

    def slope() -> Tensor:
        with higher_order():
            value = scalar()
            if value.source is None:
                return Tensor(0.0, np.float64)
            found = grad(value, leaves, create_graph=True, allow_unused=True)
            parts = [(g * d).sum() for g, d in zip(found, directions, strict=True) if g is not None]
            return ops.sum(ops.stack(parts))  # type: ignore[no-any-return]

    return slope


def _outputs(result: Any) -> list[Tensor]:
    return list(result) if isinstance(result, list | tuple) else [result]


def _random(like: Tensor, rng: np.random.Generator) -> Any:
    """Normal numbers of the same shape, beside it."""
    return backend_of(like.data).asarray(rng.normal(size=like.shape))


def spread(rng: np.random.Generator, shape: tuple[int, ...], gap: float = 0.1) -> Any:
    """Values in random order, no two of them nearer than `gap`, none nearer to 0 than half of it.

    Where an op has a kink at 0 or where two values meet, differences are right for these values alone.
    """
    n = math.prod(shape)
    return np.asarray(gap * (rng.permutation(n) - n // 2 + 0.5).reshape(shape))
