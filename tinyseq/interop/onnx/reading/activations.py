"""Activations, as nodes of their own and as those that recurrences name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.errors import DataError
from tinyseq.interop.onnx.reading.call import Call

# name: how many of alpha and beta it has, their defaults, f(x, alpha, beta)
ACTIVATIONS: dict[str, tuple[int, float, float, Callable[[Any, float, float], Any]]] = {
    "Relu": (0, 0.0, 0.0, lambda x, a, b: ops.relu(x)),
    "Tanh": (0, 0.0, 0.0, lambda x, a, b: ops.tanh(x)),
    "Sigmoid": (0, 0.0, 0.0, lambda x, a, b: ops.sigmoid(x)),
    "Softsign": (0, 0.0, 0.0, lambda x, a, b: x / (1 + ops.abs(x))),
    "Softplus": (0, 0.0, 0.0, lambda x, a, b: ops.softplus(x)),
    "HardSigmoid": (2, 0.2, 0.5, lambda x, a, b: ops.clip(a * x + b, 0, 1)),
    "LeakyRelu": (1, 0.01, 0.0, lambda x, a, b: ops.where(x >= 0, x, a * x)),
    "ThresholdedRelu": (1, 1.0, 0.0, lambda x, a, b: ops.where(x > a, x, 0.0)),
    "Elu": (1, 1.0, 0.0, lambda x, a, b: ops.where(x > 0, x, a * ops.expm1(ops.minimum(x, 0.0)))),
}
OF_RECURRENCES = {
    **ACTIVATIONS,
    "Affine": (2, 1.0, 0.0, lambda x, a, b: a * x + b),
    "ScaledTanh": (2, 1.0, 1.0, lambda x, a, b: a * ops.tanh(b * x)),
}


def _gelu(c: Call) -> Any:
    approximate = c.attr("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise DataError(f"Gelu has no approximation {approximate!r}.")
    return ops.gelu(c[0], approximate=approximate)


def _selu(c: Call) -> Any:
    x, alpha, gamma = c[0], float(c.attr("alpha", 1.67326319)), float(c.attr("gamma", 1.05070102))
    return gamma * ops.where(x > 0, x, alpha * ops.expm1(ops.minimum(x, 0.0)))


def _celu(c: Call) -> Any:
    x, alpha = c[0], float(c.attr("alpha", 1.0))
    return ops.where(x > 0, x, alpha * ops.expm1(ops.minimum(x, 0.0) / alpha))


def _hardmax(c: Call) -> Any:
    """1 at the first of the largest."""
    x = c[0].numpy()
    axis = int(c.attr("axis", -1))
    found = np.zeros(x.shape, x.dtype)
    np.put_along_axis(found, np.expand_dims(x.argmax(axis), axis), 1, axis)
    return found


def _node(name: str) -> Callable[[Call], Any]:
    _, alpha, beta, function = ACTIVATIONS[name]
    return lambda c: function(c[0], float(c.attr("alpha", alpha)), float(c.attr("beta", beta)))


def _rounded_once(node: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """float16 is computed in float32, as its steps would each round to 11 bits."""

    def in_float32(c: Call) -> Any:
        if c[0].dtype != np.float16:
            return node(c)
        c.inputs = [x if x is None else x.astype("float32") for x in c.inputs]
        return node(c).astype("float16")

    return in_float32


_NODES: dict[str, Callable[[Call], Any]] = {
    **{name: _node(name) for name in ACTIVATIONS},
    "Gelu": _gelu,
    "Selu": _selu,
    "Celu": _celu,
    "HardSwish": lambda c: c[0] * ops.clip(c[0] / 6 + 0.5, 0, 1),
    "Mish": lambda c: c[0] * ops.tanh(ops.softplus(c[0])),
    "Swish": lambda c: c[0] * ops.sigmoid(c[0] * float(c.attr("alpha", 1.0))),
    "PRelu": lambda c: ops.where(c[0] >= 0, c[0], c[1] * c[0]),
}
NODES = {"Hardmax": _hardmax, **{name: _rounded_once(node) for name, node in _NODES.items()}}
