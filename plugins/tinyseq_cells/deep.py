"""Layers of recurrence on top of each other."""

from collections.abc import Callable
from typing import Any

from tinyseq import Cell, Layer, Recurrent, Sequences, Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Module
from tinyseq.nn.ends import Ends, ends_of
from tinyseq.sequences import like, packed, stream


class Deep(Layer):
    """Layers one after the other, each reading the outputs of the one below; a Cell is run as a layer.

    With residual=True every layer but the first adds its input to its output, and so must keep its width (Wu
    et al., 2016, section 3.1). The state is a tuple of the layers' states, () for a layer without one.
    Source: Graves (2013), section 2.
    """

    def __init__(self, *layers: Module, residual: bool = False) -> None:
        if not layers:
            raise ConfigError("Deep needs at least one layer: Deep(LSTM(64, 128), LSTM(128, 128)).")
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise ConfigError(
                    f"Deep takes Cells and layers; layer {i} is a {type(layer).__name__}: "
                    "Deep(*layers) for a list of them."
                )
        self.layers: list[Any] = [Recurrent(layer) if isinstance(layer, Cell) else layer for layer in layers]
        self.residual = residual
        width = None
        for i, layer in enumerate(self.layers):
            takes, gives = getattr(layer, "input_size", width), getattr(layer, "output_size", width)
            if width is not None and takes != width:
                raise ConfigError(f"Deep: layer {i} takes {takes} features, but layer {i - 1} gives {width}.")
            if residual and i > 0 and gives != takes:
                raise ConfigError(
                    f"Deep(residual=True): layer {i} turns {takes} features into {gives}, but only "
                    "a layer that keeps their number can add its input to its output."
                )
            width = gives

    @property
    def ends(self) -> Ends | None:
        """Where the features have read their whole sequence: as in the last layer with a say in it."""
        return ends_of(self.layers)

    @property
    def input_size(self) -> int:
        """The features of each step that go in."""
        return _first_size(self.layers, "input_size")

    @property
    def output_size(self) -> int:
        """The features of each step that come out of the last layer."""
        return _first_size(self.layers[::-1], "output_size")

    def initial_state(self, batch_size: int) -> tuple[Any, ...]:
        """The state of every layer before its first step."""
        return tuple(
            layer.initial_state(batch_size) if hasattr(layer, "scan") else () for layer in self.layers
        )

    def forward(self, xs: Any) -> Any:
        """The last layer's outputs at every step, from the initial state."""
        return self.scan(xs)[0]

    def scan(self, xs: Any, state: Any = None) -> tuple[Any, tuple[Any, ...]]:
        """The last layer's outputs at every step, and the final state of every layer."""
        batch: Sequences = packed(xs)
        states = self.initial_state(batch.batch_size) if state is None else state
        if len(states) != len(self.layers):
            raise ConfigError(f"Deep has {len(self.layers)} layers; the state is for {len(states)}.")
        final = []
        for i, (layer, before) in enumerate(zip(self.layers, states, strict=True)):
            ys, after = layer.scan(batch, before) if hasattr(layer, "scan") else (layer(batch), ())
            batch = ys.with_data(ys.data + batch.data) if self.residual and i > 0 else ys
            final.append(after)
        return like(xs, batch), tuple(final)

    def stream(self, state: tuple[Any, ...]) -> Callable[[Tensor], Tensor]:
        """A function that reads one more step of every sequence, going on from `state`."""
        steps = [stream(layer, before) for layer, before in zip(self.layers, state, strict=True)]

        def step(x: Tensor) -> Tensor:
            for i, layer in enumerate(steps):
                y = layer(x)
                x = y + x if self.residual and i > 0 else y
            return x

        return step


def _first_size(layers: list[Any], name: str) -> int:
    """The size that the first layer with one says. Raises AttributeError without any."""
    for layer in layers:
        if hasattr(layer, name):
            return int(getattr(layer, name))
    raise AttributeError(f"no layer of this Deep has an {name}")
