"""Activations by their own names, beside the plain functions of pointwise.py."""

import math
from typing import Any, Literal

from tinyseq.engine import primitive
from tinyseq.errors import ConfigError
from tinyseq.ops.pointwise import clip


@primitive
def sigmoid(xp, x):
    """1 / (1 + exp(-x))."""
    y = 0.5 * xp.tanh(0.5 * x) + 0.5  # no exp, so no overflow at either end
    return y, lambda g: (g * (y - y * y),)


@primitive
def log_sigmoid(xp, x):
    """log(1 / (1 + exp(-x))), without overflow."""
    y = xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda g: (g * (0.5 - 0.5 * xp.tanh(0.5 * x)),)


@primitive
def relu(xp, x):
    """max(x, 0), with derivative 0 at 0."""
    y = xp.maximum(x, 0)
    return y, lambda g: (xp.where(xp.greater(y, 0), g, 0),)


@primitive
def softplus(xp, x):
    """log(1 + exp(x)), without overflow."""
    y = xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda g: (g * (0.5 * xp.tanh(0.5 * x) + 0.5),)


@primitive
def silu(xp, x):
    """x * sigmoid(x), also called swish (Ramachandran et al. 2017, equation 1)."""
    s = 0.5 * xp.tanh(0.5 * x) + 0.5
    return x * s, lambda g: (g * (s + x * (s - s * s)),)


@primitive
def _gelu(xp, x):
    below = 0.5 * xp.erf(x * math.sqrt(0.5)) + 0.5
    density = math.sqrt(0.5 / math.pi)
    return x * below, lambda g: (g * (below + x * (density * xp.exp(-0.5 * xp.square(x)))),)


@primitive
def _gelu_tanh(xp, x):
    scale = math.sqrt(2 / math.pi)
    t = xp.tanh(scale * (x + 0.044715 * x * x * x))

    def to_x(g):
        inner = scale * (1 + 3 * 0.044715 * xp.square(x))
        return g * (0.5 + 0.5 * t + 0.5 * x * (1 - t * t) * inner)

    return 0.5 * x * (1 + t), lambda g: (to_x(g),)


def gelu(x: Any, approximate: Literal["none", "tanh"] = "none") -> Any:
    """x times the probability that a standard normal variable is below x; "tanh": the paper's approximation.

    Raises ConfigError for another `approximate`. Source: Hendrycks and Gimpel (2016), section 2.
    """
    if approximate not in ("none", "tanh"):
        raise ConfigError(f"gelu(approximate={approximate!r}): choose 'none' or 'tanh'.")
    return _gelu(x) if approximate == "none" else _gelu_tanh(x)


@primitive
def _elu(xp, x, *, alpha):
    tail = xp.expm1(xp.minimum(x, 0))  # exp of what is not chosen would overflow
    positive = xp.greater(x, 0)
    return xp.where(positive, x, alpha * tail), lambda g: (
        xp.where(positive, g, g * (alpha * xp.exp(xp.minimum(x, 0)))),
    )


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x above 0, alpha * (exp(x) - 1) below (Clevert et al. 2016, equation 15)."""
    return _elu(x, alpha=alpha)


@primitive
def _leaky_relu(xp, x, *, slope):
    positive = xp.greater(x, 0)
    return xp.where(positive, x, slope * x), lambda g: (xp.where(positive, g, slope * g),)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x above 0, negative_slope * x below (Maas et al. 2013, section 2)."""
    return _leaky_relu(x, slope=negative_slope)


def hard_sigmoid(x: Any) -> Any:
    """x / 6 + 1/2 held within [0, 1]: a sigmoid without exponentials, flat beyond -3 and 3."""
    return clip(x / 6 + 0.5, 0, 1)
