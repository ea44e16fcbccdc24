"""Initial values of weights: functions of a shape, drawn from `tinyseq.random.generator()`.

Weights are stored as (inputs, outputs): the first axes count as fan-in, the last as fan-out.
"""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.errors import ConfigError, ShapeError, near

Shape = tuple[int, ...]
Values = np.ndarray[Any, Any]
Initializer = Callable[..., Values]

_values_left: ContextVar[int | None] = ContextVar("values left to a blank model", default=None)


@contextmanager
def blank(limit: int) -> Iterator[None]:
    """Within, every initialiser gives zeros and draws nothing: for a model whose values come from a file.

    Raises ConfigError, before any memory is taken, when more than `limit` values are asked for in all.
    """
    token = _values_left.set(limit)
    try:
        yield
    finally:
        _values_left.reset(token)


def _initializer(draw: Initializer) -> Initializer:
    @functools.wraps(draw)
    def values(shape: Shape, dtype: Any = np.float32, **options: Any) -> Values:
        left = _values_left.get()
        if left is None:
            return draw(shape, dtype, **options)
        left -= math.prod(shape)
        if left < 0:
            raise ConfigError(f"init.{draw.__name__}({tuple(shape)}) asks for more values than there can be.")
        _values_left.set(left)
        return np.zeros(shape, dtype)

    return values


@_initializer
def zeros(shape: Shape, dtype: Any = np.float32) -> Values:
    """All zero."""
    return np.zeros(shape, dtype)


@_initializer
def ones(shape: Shape, dtype: Any = np.float32) -> Values:
    """All one."""
    return np.ones(shape, dtype)


@_initializer
def uniform(shape: Shape, dtype: Any = np.float32, *, low: float = -0.1, high: float = 0.1) -> Values:
    """Uniform in [low, high)."""
    return random.generator().uniform(low, high, shape).astype(dtype)


@_initializer
def normal(shape: Shape, dtype: Any = np.float32, *, mean: float = 0.0, std: float = 1.0) -> Values:
    """Normal with this mean and standard deviation."""
    return random.generator().normal(mean, std, shape).astype(dtype)


@_initializer
def unit_rows(shape: Shape, dtype: Any = np.float32) -> Values:
    """Uniform within sqrt(3 / width), so that rows, (..., width), are of length about 1.

    Source: Ma and Hovy (2016), section 3.1.
    """
    limit = math.sqrt(3 / shape[-1]) if shape[-1] else 0.0
    return random.generator().uniform(-limit, limit, shape).astype(dtype)


@_initializer
def glorot_uniform(shape: Shape, dtype: Any = np.float32, *, gain: float = 1.0) -> Values:
    """Uniform within gain * sqrt(6 / (fan-in + fan-out)), which keeps variances equal in both directions.

    Source: Glorot and Bengio (2010), equation 16.
    """
    inputs, outputs = _fans("glorot_uniform", shape)
    limit = gain * math.sqrt(6 / max(1, inputs + outputs))
    return uniform(shape, dtype, low=-limit, high=limit)


@_initializer
def orthogonal(shape: Shape, dtype: Any = np.float32, *, gain: float = 1.0) -> Values:
    """A random orthogonal matrix times `gain`: the shorter side's vectors are orthonormal.

    Uniform over all such matrices: QR of a normal matrix with the signs of R's diagonal made positive.
    Sources: Saxe et al. (2014); Mezzadri (2007).
    """
    inputs, outputs = _fans("orthogonal", shape)
    tall = random.generator().normal(size=(max(inputs, outputs), min(inputs, outputs)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    matrix = q if inputs >= outputs else q.T
    return np.ascontiguousarray(gain * matrix, dtype).reshape(shape)


@_initializer
def identity(shape: Shape, dtype: Any = np.float32, *, gain: float = 1.0) -> Values:
    """`gain` on the diagonal of a matrix, zero elsewhere; with ReLU this is the IRNN of Le et al. (2015)."""
    if len(shape) != 2:
        raise ShapeError(f"init.identity() makes matrices (inputs, outputs), not shape {tuple(shape)}.")
    return np.ascontiguousarray(gain * np.eye(*shape), dtype)


def _fans(name: str, shape: Shape) -> tuple[int, int]:
    if len(shape) < 2:
        raise ShapeError(
            f"init.{name}() needs a shape (inputs, outputs), not {tuple(shape)}: for a vector use "
            "zeros or uniform."
        )
    return math.prod(shape[:-1]), shape[-1]


_BY_NAME: dict[str, Initializer] = {
    f.__name__: f for f in (orthogonal, identity, glorot_uniform, unit_rows, uniform, normal, zeros, ones)
}


registered: dict[str, Any] = {}
"""Initialisers of plugins: the registry, which stands on a floor above, puts itself here."""


def get(initializer: str | Initializer) -> Initializer:
    """The initialiser of this name, or the callable itself. Raises ConfigError for a name that is none."""
    if callable(initializer):
        return initializer
    if initializer in _BY_NAME:
        return _BY_NAME[initializer]
    for others in registered.values():
        if initializer in others:
            found: Initializer = others[initializer]
            return found
    raise ConfigError(
        f"There is no initialiser {initializer!r}; choose from {', '.join(_BY_NAME)}, or pass a function of "
        f"(shape, dtype).{near(str(initializer), _BY_NAME)}"
    )
