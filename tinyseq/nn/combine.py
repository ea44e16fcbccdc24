"""Ways past a layer: a gate that lets the input through, and several layers side by side."""

from collections.abc import Callable
from typing import Any

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import init
from tinyseq.nn.ends import Ends, ends_of
from tinyseq.nn.layers import Linear, _check_callable, _check_sizes
from tinyseq.nn.module import Module, Parameter
from tinyseq.sequences import Sequences


class Highway(Module):
    """t * layer(x) + (1 - t) * x with t = sigmoid(x W + b), for a layer that keeps the width, `size`.

    Without a layer it is relu(x V + c), as in the paper. b starts at `bias`: below 0 the input is carried
    through at first. Source: Srivastava, Greff and Schmidhuber (2015), equation 3.
    """

    def __init__(self, size: int, layer: Module | None = None, *, bias: float = -1.0) -> None:
        _check_sizes("Highway", size=size)
        if layer is not None:
            _check_callable("Highway", "its layer", layer)
        self.input_size = self.output_size = size
        self.layer = layer
        self.inner = Linear(size, size) if layer is None else None
        self.gate = Linear(size, size)
        self.gate.bias = Parameter(init.ones((size,)) * bias)

    @property
    def ends(self) -> Ends | None:
        """Where the layer's features have read their whole sequence."""
        return None if self.layer is None else ends_of([self.layer])

    @property
    def keeps_ends(self) -> bool:
        """Whether each step is by itself."""
        return self.layer is None or bool(getattr(self.layer, "keeps_ends", False))

    def forward(self, xs: Any) -> Any:
        """xs: (..., size) -> the same shape. Raises ShapeError if the layer gives another."""
        ys = self.layer(xs) if self.inner is None else _relu(self.inner(xs))  # type: ignore[misc]
        x, y, t = (v if isinstance(v, Tensor) else v.data for v in (xs, ys, self.gate(xs)))
        if x.shape != y.shape:
            raise ShapeError(
                f"Highway mixes its input with what its layer gives, but the shapes are {x.shape} and "
                f"{y.shape}: use a layer with equal input and output sizes."
            )
        t = ops.sigmoid(t)
        mixed = t * y + (1 - t) * x
        return mixed if isinstance(ys, Tensor) else ys.with_data(mixed)


def _relu(xs: Any) -> Any:
    return xs.map(ops.relu) if isinstance(xs, Sequences) else ops.relu(xs)


class Concatenate(Module):
    """The outputs of several layers, each reading the same input, side by side.

    `Concatenate(Sequential(), layer)` hands the input on beside what the layer makes of it, as dense
    connections do; convolutions of several widths are `Concatenate(Convolution(...), Convolution(...))`.
    Sources: Huang et al. (2017); Kim (2014).
    """

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        if not layers:
            raise ConfigError("Concatenate needs at least one layer.")
        for i, layer in enumerate(layers):
            _check_callable("Concatenate", f"layer {i}", layer)
        self.layers = layers

    @property
    def ends(self) -> Ends | None:
        """Where the features of all layers have read their whole sequence; None where one does not say."""
        found = [ends_of([layer]) for layer in self.layers]
        return None if None in found else tuple(run for ends in found if ends for run in ends)

    def forward(self, xs: Any) -> Any:
        """The features of all layers, in their order."""
        found = [layer(xs) for layer in self.layers]
        rows = [y if isinstance(y, Tensor) else y.data for y in found]
        leads = {row.shape[:-1] for row in rows}
        if len(leads) > 1:
            raise ShapeError(f"Concatenate: the layers give rows of unequal shapes, {sorted(leads)}.")
        joined = ops.concatenate(rows, axis=-1)
        return joined if isinstance(found[0], Tensor) else found[0].with_data(joined)
