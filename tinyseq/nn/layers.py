"""Layers that treat every position by itself: they take Sequences and give Sequences, or plain Tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq import noise, ops
from tinyseq.backend import to_numpy
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.nn import init
from tinyseq.nn.ends import Ends, ends_of
from tinyseq.nn.module import Module, Parameter
from tinyseq.sequences import Sequences


def positionwise(function: Callable[[Tensor], Tensor], xs: Any) -> Any:
    """`function` of a Tensor, or of the packed data of Sequences, as Sequences again."""
    if isinstance(xs, Tensor):
        return function(xs)
    if isinstance(xs, Sequences):
        return xs.map(function)
    raise TypeError(
        f"a layer takes Sequences or a Tensor, not {type(xs).__name__}: make it tinyseq.Tensor(...), or "
        "Sequences.from_list(...) if the lengths differ."
    )


class Linear(Module):
    """x @ weight + bias over the last axis; weight: (input_size, output_size)."""

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        bias: bool = True,
        init: str | init.Initializer = "glorot_uniform",
    ) -> None:
        _check_sizes("Linear", input_size=input_size, output_size=output_size)
        self.input_size, self.output_size = input_size, output_size
        self.weight = Parameter(_initial(init, (input_size, output_size)))
        self.bias = Parameter(_initial("zeros", (output_size,))) if bias else None

    def forward(self, xs: Any) -> Any:
        """xs: (..., input_size) -> (..., output_size). Raises ShapeError for another last axis."""
        return positionwise(self._affine, xs)

    def _affine(self, x: Tensor) -> Tensor:
        _check_last_axis(f"Linear({self.input_size}, {self.output_size})", x, self.input_size)
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


FEW_ROWS = 256  # letters, bytes and tags are not more, words are


class Embedding(Module):
    """A row of the table `weight`, (num_embeddings, embedding_size), for every integer id.

    Unless `init` says otherwise, a table of up to 256 rows is "normal", and a longer one "unit_rows": most
    words of many are rare, and rows that are hardly ever learnt should not be loud. Longer rows learn faster
    where symbols are few, or are also to be written; docs/decisions/defaults.md has the measurements.
    """

    def __init__(
        self, num_embeddings: int, embedding_size: int, *, init: str | init.Initializer | None = None
    ) -> None:
        _check_sizes("Embedding", num_embeddings=num_embeddings, embedding_size=embedding_size)
        self.num_embeddings, self.embedding_size = num_embeddings, embedding_size
        init = init or ("normal" if num_embeddings <= FEW_ROWS else "unit_rows")
        self.weight = Parameter(_initial(init, (num_embeddings, embedding_size)))

    def forward(self, ids: Any) -> Any:
        """ids: integers (...), as Sequences, a Tensor or an array -> (..., embedding_size).

        Raises DataError for ids outside [0, num_embeddings): a device would wrap them silently.
        """
        if not isinstance(ids, Tensor | Sequences):
            ids = Tensor(ids)
        self.check(ids)
        return positionwise(lambda rows: ops.take(self.weight, rows, axis=0), ids)

    def check(self, ids: Tensor | Sequences) -> None:
        """Raise DataError, with the place, for an id that has no row."""
        if ids.dtype.kind not in "iu":
            raise DataError(f"Embedding looks up rows by integer ids, not by {ids.dtype} values.")
        low, high = ids.id_range if isinstance(ids, Sequences) else _range(ids)
        if low < 0 or high >= self.num_embeddings:
            raise self._refusal(ids)

    def _refusal(self, ids: Tensor | Sequences) -> DataError:
        """Which id is outside of the table, and where it stands."""
        values = to_numpy(ids.data.data if isinstance(ids, Sequences) else ids.data)
        at = tuple(np.argwhere((values < 0) | (values >= self.num_embeddings))[0].tolist())
        where, sequence, count = "at index " + ", ".join(map(str, at)), at[0] if at else 0, values.size
        if isinstance(ids, Sequences):
            sequence, step = ids.layout.locate(at[0])
            where, count = f"in sequence {sequence} at position {step}", ids.batch_size
        elif at:
            count = len(values)
        return DataError(
            f"Id {values[at]} {where} is outside of Embedding({self.num_embeddings}, {self.embedding_size}), "
            f"whose ids run from 0 to {self.num_embeddings - 1}: give it a row for every id."
        ).about(sequence, count)


class Dropout(Module):
    """Zero each element with probability p and scale the others by 1 / (1 - p); in evaluation, the identity.

    The mask is drawn on the host from `tinyseq.random.generator()`: a seed means the same on every backend.
    Source: Srivastava et al. (2014), in the inverted form that leaves evaluation alone.
    """

    keeps_ends = True

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p < 1:
            raise ConfigError(f"Dropout(p={p!r}): p is a probability in [0, 1); 0 drops nothing.")
        self.p = p

    def forward(self, xs: Any) -> Any:
        """xs of any shape -> the same shape."""
        return positionwise(self._drop, xs) if self.training and self.p > 0 else xs

    def _drop(self, x: Tensor) -> Tensor:
        return x * noise.mask(x, self.p, kept=1 / (1 - self.p))


class LayerNorm(Module):
    """Each position's features shifted and scaled to mean 0 and variance 1, then * weight + bias.

    Source: Ba, Kiros and Hinton (2016), equation 4.
    """

    keeps_ends = True

    def __init__(self, size: int, *, eps: float = 1e-5) -> None:
        _check_sizes("LayerNorm", size=size)
        self.size, self.eps = size, eps
        self.weight = Parameter(_initial("ones", (size,)))
        self.bias = Parameter(_initial("zeros", (size,)))

    def forward(self, xs: Any) -> Any:
        """xs: (..., size) -> the same shape. Raises ShapeError for another last axis."""
        return positionwise(self._normalize, xs)

    def _normalize(self, x: Tensor) -> Tensor:
        _check_last_axis(f"LayerNorm({self.size})", x, self.size)
        return ops.layer_norm(x, self.weight, self.bias, self.eps)  # type: ignore[no-any-return]


class Sequential(Module):
    """Layers one after the other."""

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        for i, layer in enumerate(layers):
            _check_callable("Sequential", f"layer {i}", layer)
        self.layers = layers

    @property
    def ends(self) -> Ends | None:
        """Where the features have read their whole sequence; None where a layer does not say."""
        return ends_of(self.layers)

    def forward(self, xs: Any) -> Any:
        """What the last layer gives; xs itself without any layer."""
        for layer in self.layers:
            xs = layer(xs)
        return xs


class Residual(Module):
    """x + layer(x), for a layer that keeps the shape. Source: He et al. (2016)."""

    def __init__(self, layer: Callable[[Any], Any]) -> None:
        _check_callable("Residual", "its layer", layer)
        self.layer = layer

    @property
    def ends(self) -> Ends | None:
        """Where the layer's features have read their whole sequence."""
        return ends_of([self.layer])

    def forward(self, xs: Any) -> Any:
        """xs -> the same shape. Raises ShapeError if the layer gives another."""
        ys = self.layer(xs)
        x, y = (v if isinstance(v, Tensor) else v.data for v in (xs, ys))
        if x.shape != y.shape:
            raise ShapeError(
                f"Residual adds its input to what its layer gives, but the shapes are {x.shape} and "
                f"{y.shape}: use a layer with equal input and output sizes."
            )
        return x + y if isinstance(ys, Tensor) else ys.with_data(x + y)


def _range(ids: Tensor) -> tuple[int, int]:
    """The smallest and the largest id; waits for the device, which Sequences avoid."""
    return (int(ids.data.min()), int(ids.data.max())) if ids.size else (0, 0)


def _initial(initializer: str | init.Initializer, shape: tuple[int, ...]) -> Any:
    return init.get(initializer)(shape)


def _check_callable(name: str, what: str, layer: Any) -> None:
    if not callable(layer) or hasattr(layer, "as_layer"):
        hint = "wrap a Cell as Recurrent(cell)" if callable(layer) else "Sequential(*layers) for a list"
        raise ConfigError(f"{name} takes layers; {what} is a {type(layer).__name__}: {hint}.")


def _check_sizes(layer: str, **sizes: int) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ConfigError(f"{layer}({name}={size!r}): sizes are integers of 1 or more.")


def _check_last_axis(layer: str, x: Tensor, size: int) -> None:
    if not x.shape or x.shape[-1] != size:
        raise ShapeError(f"{layer} takes {size} features on the last axis; this input has shape {x.shape}.")
