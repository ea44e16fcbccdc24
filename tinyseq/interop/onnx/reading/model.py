"""An ONNX graph as a Module: checked before anything runs, its floating weights Parameters."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyseq.engine import Tensor
from tinyseq.errors import DataError, TinyseqError, brief, near
from tinyseq.interop.onnx.graph import library
from tinyseq.interop.onnx.reading import control, losses, recurrences
from tinyseq.interop.onnx.reading.call import Budget, Call, constant
from tinyseq.interop.onnx.reading.growth import check_growth
from tinyseq.interop.onnx.reading.nodes import NODES
from tinyseq.interop.onnx.reading.parse import Body, parsed
from tinyseq.nn.module import Module, Parameter

ALL: dict[str, Callable[[Call], Any]] = {
    **NODES,
    "RNN": recurrences.rnn,
    "GRU": recurrences.gru,
    "LSTM": recurrences.lstm,
    "NegativeLogLikelihoodLoss": losses.negative_log_likelihood,
    "SoftmaxCrossEntropyLoss": losses.softmax_cross_entropy,
    "If": control.either,
    "Loop": control.loop,
    "Scan": control.scan_nodes,
}


def from_onnx(source: str | os.PathLike[str] | bytes) -> "OnnxModel":
    """The model in an ONNX file, or in its bytes, as a Module. Needs the package onnx.

    No code in a file is run, only nodes that are known; no other file is opened. Raises DataError, in one
    sentence, for a file that is missing, damaged, cyclic, too old, or has a node that is unknown.
    """
    onnx = library()
    if isinstance(source, bytes):
        data, where = source, "this ONNX graph"
    else:
        path = Path(source)
        where = str(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        proto = onnx.load_from_string(data)
    except Exception as error:
        raise DataError(f"{where} is no ONNX file, or was cut short ({brief(str(error))}).") from None
    try:
        return OnnxModel(parsed(proto, ALL))
    except TinyseqError as error:
        raise DataError(f"{where}: {error}") from None
    except Exception as error:  # a proto may hold anything anywhere
        raise DataError(f"{where} is damaged: {type(error).__name__} ({brief(str(error))}).") from None


class OnnxModel(Module):
    """A graph of nodes, computed with tinyseq's ops, so that it can be trained on.

    Floating weights of one axis or more are Parameters, `weights["name"]`; the call takes inputs by name, or
    in order, and gives the outputs as a dict by name.
    """

    def __init__(self, graph: Body) -> None:
        self.graph = graph
        self.weights = {
            name: Parameter(array, array.dtype)
            for name, array in graph.held.items()
            if array.dtype.kind == "f" and array.ndim  # single numbers are of formulas
        }

    def forward(self, *args: Any, **named: Any) -> dict[str, Tensor]:
        """The outputs by name; inputs: Tensors or arrays. Raises DataError for what does not fit."""
        wanted = self.graph.inputs
        if len(args) > len(wanted):
            raise DataError(f"The graph takes {len(wanted)} inputs, {', '.join(wanted)}; got {len(args)}.")
        given = {**dict(zip(wanted, args, strict=False)), **named}
        unknown, missing = (
            [n for n in one if n not in other] for one, other in ((given, wanted), (wanted, given))
        )
        if unknown or missing:
            raise DataError(
                f"The graph takes {', '.join(wanted)}; missing: {', '.join(missing) or 'none'}, unknown: "
                f"{', '.join(unknown) or 'none'}.{near(unknown[0], missing) if unknown else ''}"
            )
        values: dict[str, Tensor] = {
            n: constant(a) for n, a in self.graph.held.items() if n not in self.weights
        }
        values |= self.weights
        for name, value in given.items():
            tensor = value if isinstance(value, Tensor) else constant(np.asarray(value))
            if wanted[name] is not None and tensor.dtype != wanted[name]:
                raise DataError(f"Input {name} takes {wanted[name]}, not {tensor.dtype}.")
            shape = self.graph.shapes.get(name, tensor.shape)
            fixed = [(m, n) for m, n in zip(shape, tensor.shape, strict=False) if isinstance(m, int)]
            if len(shape) != tensor.ndim or any(m != n for m, n in fixed):
                raise DataError(
                    f"Input {name} takes the shape ({', '.join(map(str, shape))}), not {tensor.shape}: where "
                    "a length is to be any, export the model with dynamic axes."
                )
            values[name] = tensor
        held = sum(array.size for array in self.graph.held.values())
        budget = Budget(sum(values[name].size for name in given), held)
        with np.errstate(all="ignore"):
            return dict(zip(self.graph.outputs, _outputs_of(self.graph, values, budget), strict=True))


def _outputs_of(graph: Body, values: dict[str, Tensor], budget: Budget) -> list[Tensor]:
    """The outputs of a graph among `values`, which are added to."""

    def inside(body: Body, given: Sequence[Tensor]) -> list[Tensor]:
        budget.count(1)
        if len(body.inputs) != len(given):
            raise DataError(f"a graph inside takes {len(body.inputs)} inputs, not {len(given)}.")
        held = {name: constant(array) for name, array in body.held.items()}
        return _outputs_of(body, {**values, **held, **dict(zip(body.inputs, given, strict=True))}, budget)

    for node in graph.nodes:
        inputs = [values[name] if name else None for name in node.inputs]
        call = Call(node.op, inputs, node.attributes, len(node.outputs), inside, budget)
        try:
            check_growth(call)
            found = ALL[node.op](call)
        except TinyseqError as error:
            raise DataError(f"Node {node.name}: {error}") from error
        except (Exception, MemoryError) as error:  # a node may have been given anything
            raise DataError(
                f"Node {node.name}, {node.op}, cannot be computed ({brief(str(error))})."
            ) from error
        results = found if isinstance(found, tuple) else (found,)
        if len(results) < len(node.outputs):
            raise DataError(f"Node {node.name}, {node.op}, has no output {len(results)}.")
        tensors = [value if isinstance(value, Tensor) else constant(value) for value in results]
        budget.count(1, sum(tensor.size for tensor in tensors))
        values.update(zip(node.outputs, tensors, strict=False))
    return [values[name] for name in graph.outputs]
