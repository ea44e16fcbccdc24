"""How large gradients are, and holding them within bounds.

No gradient is changed in place, because two Parameters may share one array.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyseq.backend import Array, to_numpy, words_of
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError, NonFiniteError
from tinyseq.nn import Module, Parameter


def clip_grad_norm(
    parameters: Module | Iterable[Parameter], max_norm: float, *, error_if_nonfinite: bool = False
) -> float:
    """Scale all gradients together so that their norm, as of one long vector, is at most `max_norm`.

    Returns the norm before. Where it is not finite, no scale makes it so: the gradients stay as they are, or
    with `error_if_nonfinite` NonFiniteError is raised.
    Source: Pascanu, Mikolov and Bengio (2013), algorithm 1.
    """
    if not max_norm > 0:
        raise ConfigError(f"clip_grad_norm(max_norm={max_norm!r}): it must be above 0.")
    leaves = _with_gradient(parameters)
    at_once = _bounded_at_once(leaves, max_norm)
    if at_once is not None:
        return at_once
    norm = math.hypot(*_norms([gradient for _, gradient in leaves]))
    if not math.isfinite(norm):
        if error_if_nonfinite:
            raise NonFiniteError(
                f"the norm of the gradients is {norm}: grad_norms(model) names the parameters, and "
                "tinyseq.detect_anomaly() the op where it began."
            )
        return norm
    if norm > max_norm:
        for parameter, gradient in leaves:
            parameter.grad = _constant(gradient * (max_norm / norm))
    return norm


def _bounded_at_once(leaves: list[tuple[Parameter, Array]], max_norm: float) -> float | None:
    """The norm, gradients clipped, where the library does all of them in one go; None where it does not."""
    gradients = [gradient for _, gradient in leaves]
    kernel = words_of(gradients[0]).fused.get("bounded") if gradients else None
    if kernel is None or any(g.dtype != gradients[0].dtype or g.dtype == "float16" for g in gradients):
        return None
    norm: float
    norm, scaled = kernel(gradients, max_norm)
    if not math.isfinite(norm):  # too large a sum of squares, or a number that is none
        return None
    if norm > max_norm:
        for (parameter, _), gradient in zip(leaves, scaled, strict=True):
            parameter.grad = _constant(gradient)
    return norm


def clip_grad_value(parameters: Module | Iterable[Parameter], max_value: float) -> None:
    """Hold every element of every gradient within [-max_value, max_value]."""
    if not max_value >= 0:
        raise ConfigError(f"clip_grad_value(max_value={max_value!r}): it must be 0 or more.")
    for parameter, gradient in _with_gradient(parameters):
        words = words_of(gradient)
        parameter.grad = _constant(words.minimum(words.maximum(gradient, -max_value), max_value))


def grad_norms(module: Module) -> dict[str, float]:
    """The norm of each Parameter's gradient, by path; those without gradient are left out."""
    named = [(path, p.grad.data) for path, p in module.named_parameters() if p.grad is not None]
    return dict(zip([path for path, _ in named], _norms([g for _, g in named]), strict=True))


def _with_gradient(parameters: Module | Iterable[Parameter]) -> list[tuple[Parameter, Array]]:
    every = parameters.parameters() if isinstance(parameters, Module) else dict.fromkeys(parameters)
    return [(parameter, grad.data) for parameter in every if (grad := parameter.grad) is not None]


def _norms(gradients: list[Array]) -> list[float]:
    """The norm of each array, with one wait for the device."""
    if not gradients:
        return []
    words = words_of(gradients[0])
    flat = [gradient.ravel() for gradient in gradients]
    with np.errstate(over="ignore", invalid="ignore"):
        squares = to_numpy(words.concatenate([words.matmul(g, g).reshape(1) for g in flat]))
    return [
        math.sqrt(square) if math.isfinite(square) else _scaled_norm(g)
        for square, g in zip(squares.tolist(), flat, strict=True)
    ]


def _scaled_norm(gradient: Array) -> float:
    """The norm where the sum of squares is too large for the dtype; not finite if an element is not."""
    values = to_numpy(gradient).astype(np.float64)
    top = float(np.abs(values).max())
    return top * math.sqrt(float(np.square(values / top).sum())) if math.isfinite(top) else top


def _constant(array: Any) -> Tensor:
    return make_tensor(array, None)
