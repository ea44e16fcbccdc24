"""What the gated cells share: activations by name, and weights drawn for each gate by itself."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.errors import ConfigError, near
from tinyseq.nn import Parameter, init


def linear(x: Any) -> Any:
    """x itself."""
    return x


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "hard_sigmoid": ops.hard_sigmoid,
    "relu": ops.relu,
    "softplus": ops.softplus,
    "linear": linear,
}


def activation(name: str) -> Callable[[Any], Any]:
    """The activation of this name. Names, not functions, so that a saved model says what it was made of."""
    if name in _ACTIVATIONS:
        return _ACTIVATIONS[name]
    question = near(str(name), _ACTIVATIONS)
    raise ConfigError(f"There is no activation {name!r}; choose from {', '.join(_ACTIVATIONS)}.{question}")


def weights(initializer: str | init.Initializer, inputs: int, outputs: int, gates: int) -> Parameter:
    """A Parameter (inputs, gates * outputs); each gate's block is drawn as a matrix of its own."""
    draw = init.get(initializer)
    return Parameter(np.concatenate([draw((inputs, outputs)) for _ in range(gates)], axis=1))


def check_sizes(cell: str, input_size: int, hidden_size: int) -> None:
    """Raise ConfigError unless both sizes are integers of 1 or more."""
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ConfigError(f"{cell}({name}={size!r}): sizes are integers of 1 or more.")
