"""Weights of Keras' layers, which need not be installed.

Keras' own exchange is a list, `layer.get_weights()`, in a fixed order; files and mappings have the last parts
of its paths: kernel, recurrent_kernel, bias, embeddings, gamma, beta. Directions and layers stand before, as
"forward/kernel" and "0/kernel". What differs in the maths:

    GRU          gates in the order z, r, h; Keras' update gate is 1 - z here, so its columns are negated;
                 reset_after=True, Keras' default, is reset="after" here, and has two biases in one array
                 (2, 3 * units), of which all but the candidate's are added up
    LSTM         one activation for the candidate and the output
    forget bias  is in the bias (unit_forget_bias); nothing is added to it

Weights do not say which activations Keras' layer has, nor the epsilon of a LayerNormalization (1e-3 by
default, 1e-5 here): given the layer itself in place of its weights, `load` compares them too.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tinyseq.errors import ConfigError, DataError
from tinyseq.interop.arrays import Array, arrays_of, as_array
from tinyseq.interop.weights import (
    Arrays,
    Format,
    Part,
    give,
    kind_of,
    negated,
    renamed,
    reordered,
    take,
    walk,
)  # fmt: skip
from tinyseq.nn import Module
from tinyseq.registry.configuration import arguments

_LAST = ("kernel", "recurrent_kernel", "bias", "embeddings", "gamma", "beta")


def load(layer: Module, source: Any, prefix: str = "") -> None:
    """Give `layer` the weights of a Keras layer of the same shape, in the layer's own dtype.

    source: `get_weights()`, a mapping of names to anything array-like, the path of a safetensors file, or the
    Keras layer. With `prefix`, only names that begin with it are read, without it. Raises ConfigError for a
    layer that Keras has not, DataError that names every missing, unexpected or ill-fitting array; then
    nothing is loaded.
    """
    parts = _parts(layer)
    if callable(getattr(source, "get_weights", None)):
        _compare(parts, source)
        source = source.get_weights()
    if isinstance(source, list | tuple):
        found = _listed(layer, parts, [as_array(f"weight {i}", value) for i, value in enumerate(source)])
    else:
        found = {_direction_and_name(name): array for name, array in arrays_of(source, prefix).items()}
    _check_reset(parts, found)
    take(layer, parts, found, "Keras")


def state_dict(layer: Module) -> dict[str, Array]:
    """The weights of `layer` by name, in the order in which Keras' `set_weights` takes their values.

    Raises ConfigError for a layer that Keras has not.
    """
    return give(_parts(layer))


def _rnn_or_lstm(part: Any, ours: Arrays) -> Arrays:
    """SimpleRNN and LSTM: gates in the same order."""
    return {"kernel": ours["w_x"], "recurrent_kernel": ours["w_h"], "bias": ours["b"]}


def _from_simple(part: Any, theirs: Arrays) -> Arrays:
    return {"w_x": theirs["kernel"], "w_h": theirs["recurrent_kernel"], "b": theirs["bias"]}


_SWAPPED = (1, 0, 2)  # r, z, n and z, r, h: either from the other


def _gru(part: Any, ours: Arrays) -> Arrays:
    kernel, recurrent, bias = (reordered(_SWAPPED, negated(1, 3, ours[n])) for n in ("w_x", "w_h", "b"))
    if part.reset == "after":
        second = np.zeros_like(bias)
        second[2 * part.hidden_size :] = ours["b_h"]
        bias = np.stack([bias, second])
    return {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}


def _from_gru(part: Any, theirs: Arrays) -> Arrays:
    bias, extra = theirs["bias"], {}
    if part.reset == "after":
        gates, (bias, second) = 2 * part.hidden_size, bias
        bias = np.concatenate([bias[:gates] + second[:gates], bias[gates:]])
        extra = {"b_h": second[gates:]}

    def turned(array: Array) -> Array:
        return negated(1, 3, reordered(_SWAPPED, array))

    return {
        "w_x": turned(theirs["kernel"]),
        "w_h": turned(theirs["recurrent_kernel"]),
        "b": turned(bias),
        **extra,
    }


def _refuse_lstm(cell: Any) -> str:
    if cell.peepholes:
        return "Keras' LSTM has no peepholes: make LSTM(...) without them."
    chosen = arguments(cell)
    if chosen["candidate"] == chosen["cell_output"]:
        return ""
    return (
        "Keras' LSTM has one activation for the candidate and the output; this one has "
        f"candidate={chosen['candidate']!r} and cell_output={chosen['cell_output']!r}."
    )


FORMATS = {
    "layer:linear": renamed(weight="kernel", bias="bias"),
    "layer:embedding": renamed(weight="embeddings"),
    "layer:layer-norm": renamed(weight="gamma", bias="beta"),
    "cell:rnn": Format(_rnn_or_lstm, _from_simple, optional=("bias",)),
    "cell:gru": Format(_gru, _from_gru, optional=("bias",)),
    "cell:lstm": Format(_rnn_or_lstm, _from_simple, _refuse_lstm, ("bias",)),
}


def _parts(layer: Module) -> list[Part]:
    return walk(layer, FORMATS, _stack, "Keras", "/")


def _stack(module: Any, path: str, prefix: str) -> Iterator[Part] | None:
    """The cells of a recurrence, directions and layers before their names."""
    kind = kind_of(module)
    if kind == "layer:recurrent":
        if module.reverse:
            raise ConfigError(
                "Keras' go_backwards gives its outputs last step first, Recurrent(reverse=True) at their own "
                "steps: exchange the cell by itself, or a Bidirectional."
            )
        return _cell(module.cell, f"{path}cell.", prefix)
    if kind == "layer:bidirectional":
        ways = [(n, getattr(module, f"{n}_layer")) for n in ("forward", "backward")]
        if any(kind_of(way) != "layer:recurrent" for _, way in ways):
            raise ConfigError("Keras' Bidirectional reads with one cell in each direction.")
        return iter(
            [p for n, way in ways for p in _cell(way.cell, f"{path}{n}_layer.cell.", f"{prefix}{n}/")]
        )
    if kind == "layer:deep":
        if module.residual:
            raise ConfigError("A stack of Keras' adds no inputs to outputs, as Deep(residual=True) does.")
        layers = enumerate(module.layers)
        return iter([p for i, layer in layers for p in _inner(layer, f"{path}layers.{i}.", f"{prefix}{i}/")])
    return None


def _inner(layer: Any, path: str, prefix: str) -> list[Part]:
    return [p._replace(path=path + p.path, key=partial(_under, prefix, p.key)) for p in _parts(layer)]


def _under(prefix: str, key: Callable[[str], str], name: str) -> str:
    return prefix + key(name)


def _cell(cell: Any, path: str, prefix: str) -> Iterator[Part]:
    form = FORMATS.get(kind_of(cell))
    if form is None:
        raise ConfigError(f"Keras has no {type(cell).__name__}: it has SimpleRNN, GRU and LSTM.")
    yield Part(path, cell, form, (prefix + "{}").format)


def _direction_and_name(name: str) -> str:
    """Keras' path of a weight without the names that its user gave to layers: direction and last part."""
    *above, last = name.split("/")
    if last not in _LAST or not any(part.endswith("_cell") for part in above):
        return name  # not a path of a recurrence of Keras': as `state_dict` writes it
    ways = [way for way in ("forward", "backward") for part in above if part.startswith(f"{way}_")]
    return "/".join([*ways[:1], last])


def _listed(layer: Module, parts: list[Part], arrays: list[Array]) -> dict[str, Array]:
    """Names for a list in Keras' order. Raises DataError for another number of arrays."""
    names = list(give(parts))
    if len(names) != len(arrays):
        raise DataError(
            f"{type(layer).__name__} has {len(names)} weights in Keras ({', '.join(names)}); the list has "
            f"{len(arrays)}: weights without biases come by name."
        )
    return dict(zip(names, arrays, strict=True))


def _check_reset(parts: list[Part], found: dict[str, Array]) -> None:
    """Raise DataError for a GRU whose reset gate acts elsewhere, which the shape of its bias tells."""
    for part in parts:
        bias = found.get(part.key("bias"))
        if kind_of(part.module) == "cell:gru" and bias is not None:
            place = "after" if bias.ndim == 2 else "before"
            if place != part.module.reset:
                raise DataError(
                    f"{part.key('bias')} of shape {bias.shape} belongs to a GRU whose reset gate acts "
                    f"{place} the recurrent product, reset_after={place == 'after'}: make "
                    f"GRU(..., reset={place!r})."
                )


def _compare(parts: list[Part], layer: Any) -> None:
    """Raise DataError where Keras' layer says that it computes something else than ours."""
    options = _options(layer)
    for part in parts:
        kind, ours = kind_of(part.module), arguments(part.module)
        wanted: dict[str, Any] = {}
        if kind == "cell:rnn":
            wanted = {"activation": ours["activation"]}
        elif kind == "cell:gru":
            wanted = {"activation": "tanh", "recurrent_activation": "sigmoid"}
        elif kind == "cell:lstm":
            wanted = {"activation": ours["candidate"], "recurrent_activation": ours["gate"]}
        elif kind == "layer:layer-norm":
            wanted = {"epsilon": ours["eps"]}
        elif kind == "layer:linear":
            wanted = {"activation": "linear"}
        for option, value in wanted.items():
            if options.get(option, value) != value:
                raise DataError(f"Keras' {option} is {options[option]!r}, which is {value!r} here.")


def _options(layer: Any) -> dict[str, Any]:
    found = dict(layer.get_config())
    inner = found.get("layer")  # of a Bidirectional
    return dict(inner["config"]) if isinstance(inner, dict) else found
