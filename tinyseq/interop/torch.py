"""Weights of PyTorch's layers, which need not be installed: state dicts in and out.

The names are those of the torch module with the same shape: `nn.RNN`, `nn.GRU` and `nn.LSTM` (several layers,
one direction or both) for Recurrent, Bidirectional and Deep; `nn.LSTMCell` and its kin for a cell; inside
other modules the paths of attributes, as in torch. What differs in the maths:

    matrices    torch's are (outputs, inputs), ours (inputs, outputs)
    biases      torch adds two; ours are their sum, and the second is given as 0
    GRU         the reset gate acts after the product, as with reset="after", whose candidate keeps both
                biases; torch's update gate is 1 - z here, so its rows are negated
    forget bias is in the bias; nothing is added to it

A state dict does not say which nonlinearity an RNN has, nor the eps of a LayerNorm: given the module itself
in its place, `load` compares them too.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyseq.errors import ConfigError, DataError
from tinyseq.interop.arrays import Array, arrays_of
from tinyseq.interop.weights import Arrays, Format, Part, give, kind_of, negated, renamed, take, walk
from tinyseq.nn import Module
from tinyseq.registry.configuration import arguments


def load(layer: Module, source: Any, prefix: str = "") -> None:
    """Give `layer` the weights of a torch module of the same shape, in the layer's own dtype.

    source: a state dict (of anything array-like), the path of a safetensors file, or the torch module. With
    `prefix`, only names that begin with it are read, without it. Raises ConfigError for a layer that torch
    has not, DataError that names every missing, unexpected or ill-fitting array; then nothing is loaded.
    """
    parts = _parts(layer)
    if callable(getattr(source, "state_dict", None)):
        _compare(parts, source)
        source = source.state_dict()
    take(layer, parts, arrays_of(source, prefix), "PyTorch")


def state_dict(layer: Module) -> dict[str, Array]:
    """The weights of `layer` as the torch module of the same shape names them: NumPy arrays.

    `{name: torch.from_numpy(array)}` is what `load_state_dict` takes. Raises ConfigError for a layer that
    torch has not.
    """
    return give(_parts(layer))


def _rnn_or_lstm(part: Any, ours: Arrays) -> Arrays:
    """RNN and LSTM: gates in the same order."""
    return {
        "weight_ih": ours["w_x"].T,
        "weight_hh": ours["w_h"].T,
        "bias_ih": ours["b"],
        "bias_hh": np.zeros_like(ours["b"]),
    }


def _from_simple(part: Any, theirs: Arrays) -> Arrays:
    return {
        "w_x": theirs["weight_ih"].T,
        "w_h": theirs["weight_hh"].T,
        "b": theirs["bias_ih"] + theirs["bias_hh"],
    }


def _gru(part: Any, ours: Arrays) -> Arrays:
    second = np.zeros_like(ours["b"])
    second[2 * part.hidden_size :] = ours["b_h"]
    turned = {name: negated(1, 3, ours[name]) for name in ("w_x", "w_h", "b")}
    return {
        "weight_ih": turned["w_x"].T,
        "weight_hh": turned["w_h"].T,
        "bias_ih": turned["b"],
        "bias_hh": second,
    }


def _from_gru(part: Any, theirs: Arrays) -> Arrays:
    gates = slice(0, 2 * part.hidden_size)
    b, second = theirs["bias_ih"].copy(), theirs["bias_hh"]
    b[gates] += second[gates]
    return {
        "w_x": negated(1, 3, theirs["weight_ih"].T),
        "w_h": negated(1, 3, theirs["weight_hh"].T),
        "b": negated(1, 3, b),
        "b_h": second[2 * part.hidden_size :],
    }


def _refuse_rnn(cell: Any) -> str:
    chosen = arguments(cell)["activation"]
    if chosen in ("tanh", "relu"):
        return ""
    return f"PyTorch's RNN has the activations tanh and relu, not {chosen}."


def _refuse_gru(cell: Any) -> str:
    if cell.reset == "after":
        return ""
    return (
        "PyTorch's GRU applies the reset gate after the recurrent product; this one, with reset='before', "
        "is another function of the same weights: make GRU(..., reset='after')."
    )


def _refuse_lstm(cell: Any) -> str:
    if cell.peepholes:
        return "PyTorch's LSTM has no peepholes: make LSTM(...) without them."
    chosen = {name: arguments(cell)[name] for name in ("gate", "candidate", "cell_output")}
    if chosen == {"gate": "sigmoid", "candidate": "tanh", "cell_output": "tanh"}:
        return ""
    return f"PyTorch's LSTM has sigmoid gates and tanh for the rest, not {chosen}."


_BIASES = ("bias_ih", "bias_hh")
FORMATS = {
    "layer:linear": renamed(turn=True, weight="weight", bias="bias"),
    "layer:embedding": renamed(weight="weight"),
    "layer:layer-norm": renamed(weight="weight", bias="bias"),
    "cell:rnn": Format(_rnn_or_lstm, _from_simple, _refuse_rnn, _BIASES),
    "cell:gru": Format(_gru, _from_gru, _refuse_gru, _BIASES),
    "cell:lstm": Format(_rnn_or_lstm, _from_simple, _refuse_lstm, _BIASES),
}


def _parts(layer: Module) -> list[Part]:
    return walk(layer, FORMATS, _stack, "PyTorch", ".")


def _stack(module: Any, path: str, prefix: str) -> Iterator[Part] | None:
    """The cells of what torch has as one module, layer by layer, forward before backward."""
    kind = kind_of(module)
    if kind == "layer:deep":
        layers = [(f"{path}layers.{i}.", layer) for i, layer in enumerate(module.layers)]
        if module.residual:
            raise ConfigError("PyTorch's stacks add no inputs to outputs, as Deep(residual=True) does.")
    elif kind in ("layer:recurrent", "layer:bidirectional"):
        layers = [(path, module)]
    else:
        return None
    return _cells(layers, prefix)


def _cells(layers: list[tuple[str, Any]], prefix: str) -> Iterator[Part]:
    first = None
    for k, (path, layer) in enumerate(layers):
        ways = _ways(path, layer)
        cell = ways[0][1].cell
        shape = kind_of(cell), cell.output_size, len(ways)
        first = first or shape
        for way, one, suffix in ways:
            form = FORMATS.get(kind_of(one.cell))
            if form is None:
                raise ConfigError(
                    f"PyTorch has no {type(one.cell).__name__}: it has RNN, GRU and LSTM, whose cells here "
                    "are those of the same names."
                )
            if (kind_of(one.cell), one.cell.output_size, len(ways)) != first:
                raise ConfigError(
                    "In a stack of PyTorch's all layers and directions have one kind of cell, one size and "
                    "one number of directions: exchange these layers one by one."
                )
            yield Part(f"{way}cell.", one.cell, form, (prefix + "{}_l" + f"{k}{suffix}").format)


def _ways(path: str, layer: Any) -> list[tuple[str, Any, str]]:
    """The directions of a layer: path, Recurrent, and suffix."""
    kind = kind_of(layer)
    if kind == "layer:recurrent":
        if layer.reverse:
            raise ConfigError(
                "PyTorch reads backwards only beside reading forwards: exchange the cell of this "
                "Recurrent(reverse=True), or a Bidirectional."
            )
        return [(path, layer, "")]
    ways = (layer.forward_layer, layer.backward_layer) if kind == "layer:bidirectional" else ()
    if not ways or any(kind_of(way) != "layer:recurrent" for way in ways):
        raise ConfigError(
            f"PyTorch's stacks hold nothing but cells in one direction or both; {type(layer).__name__} is "
            "none: exchange the layers one by one."
        )
    forward, backward = ways
    return [(f"{path}forward_layer.", forward, ""), (f"{path}backward_layer.", backward, "_reverse")]


def _compare(parts: list[Part], module: Any) -> None:
    """Raise DataError where the torch module says that it computes something else than the layer."""
    owners = dict(module.named_modules())
    for part in parts:
        key = next(iter(give([part])))
        theirs, ours = owners.get(key.rpartition(".")[0]), arguments(part.module)
        option, value = {
            "cell:rnn": ("nonlinearity", ours.get("activation")),
            "layer:layer-norm": ("eps", ours.get("eps")),
            "layer:embedding": ("max_norm", None),
        }.get(kind_of(part.module), ("", None))
        found = getattr(theirs, option, value)
        if found != value:
            raise DataError(
                f"{option} of PyTorch's {type(theirs).__name__} is {found!r}; here it is {value!r}."
            )
