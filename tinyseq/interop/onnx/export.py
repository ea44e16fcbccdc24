"""A model as an ONNX file: what is made of parts, part by part; all else as it says of itself on Symbols."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyseq.contracts import Cell
from tinyseq.engine import no_grad
from tinyseq.errors import ConfigError, DataError
from tinyseq.files import atomic_write
from tinyseq.interop.model import first_of, head_of, step_of
from tinyseq.interop.onnx.graph import IR_VERSION, OPSET, Graph, Value
from tinyseq.interop.onnx.recurrences import recurrence
from tinyseq.interop.onnx.steps import pooled, write_function
from tinyseq.interop.onnx.viterbi import viterbi
from tinyseq.interop.weights import kind_of
from tinyseq.nn import (
    Dropout,
    Embedding,
    LayerNorm,
    Module,
    Residual,
    SequenceModel,
    Sequential,
    TokenFeatures,
)
from tinyseq.scan import Recurrent

MAX_BYTES = 2**31 - 1
"""What protobuf, the format of the file, can hold."""


def to_onnx(model: Module, path: str | os.PathLike[str] | None = None, *, state: bool = False) -> bytes:
    """`model` as an ONNX graph of opset 18; written to the file `path` as well, if there is one.

    model: a SequenceModel, or a layer or cell by itself. Inputs: `x`, ids (batch, time) or features (batch,
    time, width), padded with anything, and `lengths` (batch,), int64. Outputs: what `model.predict` gives in
    evaluation mode, `y` (or `y_0`, `y_1` of several), padded. A tagger's CRF has its best path and `scores`,
    a CTC head its scores; a Decoder or Generator the ids that it writes, and `y_lengths`. RNN, GRU and LSTM
    become nodes of these names, any other cell a Scan of its traced step. Needs the package onnx.

    With `state`, there are also inputs `state_0`, ... and outputs `next_state_0`, ..., the parts of
    `model.initial_state(batch)` in order, so that a text is read, or written, piece by piece.

    Raises ConfigError, which names the part, for a model that cannot be exported; then no file is written.
    """
    whole = (
        model if isinstance(model, SequenceModel) else SequenceModel(Sequential(), _layer(model), _Plain())
    )
    with no_grad(), whole.evaluating():
        data = _Export(whole, state).serialized()
    if path is not None:
        try:
            atomic_write(path, data)
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None
    return data


def _layer(model: Any) -> Module:
    if isinstance(model, Cell):
        return Recurrent(model)
    if isinstance(model, Module):
        return model
    raise ConfigError(f"to_onnx() exports a model, a layer or a cell, not {type(model).__name__}.")


class _Plain(Module):
    """The head of a layer by itself: its features."""

    def predict(self, features: Any) -> Any:
        """The features as they are."""
        return features


class _Export:
    """The graph of a model."""

    def __init__(self, model: Any, state: bool) -> None:
        self.model = model
        self.graph = Graph()
        self.graph.states = [] if state else None
        self.parts: dict[str, Callable[[Any, Value, str], Value]] = {
            "layer:recurrent": lambda m, x, path: recurrence(self.graph, [m], x, path),
            "layer:bidirectional": self.bidirectional,
            "layer:deep": self.chain,
        }

    def serialized(self) -> bytes:
        """The bytes of the file."""
        graph, helper = self.graph, self.graph.onnx.helper
        first = self.inputs()
        features = self.part(self.model.encoder, self.part(self.model.embed, first, "embed"), "encoder")
        outputs = self.outputs(features)
        if graph.states == []:
            raise ConfigError(f"{type(self.model.encoder).__name__} has no state to go on from.")
        for s in graph.states or []:
            self.described.append(graph.info(s.before, s.dtype, ["batch", *s.shape]))
            outputs.append(graph.info(s.after, s.dtype, ["batch", *s.shape]))
        described = helper.make_graph(
            graph.nodes, "tinyseq", self.described, outputs, list(graph.weights.values())
        )
        found = helper.make_model(
            described, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
            producer_name="tinyseq",
        )  # fmt: skip
        size = found.ByteSize()
        if size > MAX_BYTES:
            raise ConfigError(f"An ONNX file holds 2 GiB; this model takes {size:,} bytes.")
        graph.onnx.checker.check_model(found, full_check=True)
        data: bytes = found.SerializeToString()
        return data

    def inputs(self) -> Value:
        """The inputs of the graph; batches come (batch, time, ...), and go on as (time, batch, ...)."""
        graph, model = self.graph, self.model
        shape, dtype = step_of(model)
        x = graph.name("x")
        dims: list[Any] = list(shape)
        if isinstance(first_of(model), TokenFeatures):
            dims = ["width"]
        if kind_of(head_of(model)) == "head:generator":
            self.described = [graph.info(x, dtype, ["batch", *dims])]
            return Value(x, shape, dtype)
        lengths = graph.name("lengths")
        self.described = [
            graph.info(x, dtype, ["batch", "time", *dims]), graph.info(lengths, np.int64, ["batch"]),
        ]  # fmt: skip
        turned = graph.node("Transpose", x, perm=[1, 0, *range(2, 2 + len(shape))])
        return Value(turned, shape, dtype, lengths)

    def part(self, module: Any, x: Value, path: str) -> Value:
        """What `module` makes of x."""
        if isinstance(module, Cell):
            module = Recurrent(module)
        write = self.parts.get(kind_of(module))
        if type(module) is Sequential:
            return self.chain(module, x, path)
        if type(module) is Residual:
            return self.sum(self.part(module.layer, x, f"{path}.layer"), x)
        if type(module) is Dropout:
            return x
        if type(module) is Embedding:
            name = self.graph.node("Gather", self.graph.weight(module.weight, f"{path}.weight"), x.name)
            return x._replace(name=name, shape=(module.embedding_size,), dtype=module.weight.dtype)
        if type(module) is LayerNorm:
            names = [self.graph.weight(p, f"{path}.{n}") for n, p in module.named_parameters()]
            name = self.graph.node("LayerNormalization", x.name, *names, epsilon=module.eps)
            return x._replace(name=name)
        if type(module) is TokenFeatures:
            return self.token_features(module, x, path)
        if write is not None:
            return write(module, x, path)
        if hasattr(module, "scan"):
            raise ConfigError(
                f"{path}, a {type(module).__name__}, has a scan() of its own, which ONNX cannot express: "
                "build it from Recurrent, Deep, Bidirectional, Sequential and Residual."
            )
        found = write_function(self.graph, module, x, path)
        if len(found) != 1:
            raise ConfigError(f"{path}, a {type(module).__name__}, gives {len(found)} results, not one.")
        return found[0]

    def chain(self, module: Any, x: Value, path: str) -> Value:
        """Layers one after the other, which may add what they read."""
        for k, layer in enumerate(module.layers):
            y = self.part(layer, x, f"{path}.{k}")
            x = self.sum(y, x) if getattr(module, "residual", False) and k else y
        return x

    def sum(self, y: Value, x: Value) -> Value:
        """Both added up."""
        return y._replace(name=self.graph.node("Add", x.name, y.name))

    def bidirectional(self, module: Any, x: Value, path: str) -> Value:
        """Both readings side by side."""
        ways = module.forward_layer, module.backward_layer
        if all(type(way) is Recurrent for way in ways):
            return recurrence(self.graph, list(ways), x, path)
        first = self.part(ways[0], x, f"{path}.forward")
        if type(ways[1]) is Recurrent:
            second = self.part(ways[1], x, f"{path}.backward")
        else:
            turned = x._replace(name=self.graph.reversed(x))
            second = self.part(ways[1], turned, f"{path}.backward")
            second = second._replace(name=self.graph.reversed(second))
        name = self.graph.node("Concat", first.name, second.name, axis=2)
        return first._replace(name=name, shape=(first.shape[0] + second.shape[0],))

    def token_features(self, module: TokenFeatures, x: Value, path: str) -> Value:
        """Word, capitalisation and spelling of each token, whose letters are a sequence of their own."""
        graph = self.graph

        def ints(*values: int) -> str:
            return graph.constant(values, np.int64)

        def pick(k: int) -> Value:
            name = graph.node("Gather", x.name, graph.constant(k, np.int64), axis=2)
            return x._replace(name=name, shape=())

        word = self.part(module.word, pick(0), f"{path}.word")
        case = self.part(module.case, pick(1), f"{path}.case")
        if module.character is None:
            both = graph.node("Concat", word.name, case.name, axis=2)
            return word._replace(name=both, shape=(module.embedding_size,))
        letters = graph.node("Slice", x.name, ints(2), ints(2**31), ints(2))
        one_by_one = graph.node("Concat", ints(-1), graph.node("Shape", letters, start=2), axis=0)
        rows = graph.node("Reshape", letters, one_by_one)  # (tokens, letters)
        flat = graph.node("Transpose", rows, perm=[1, 0])
        many, _ = graph.steps(flat)
        one = graph.constant(1, np.int64)
        count = graph.node("Range", one, graph.node("Add", many, one), one)
        # a word ends with its last letter that is not 0; one without letters is a 0
        there = graph.cast(graph.cast(rows, bool), np.int64)
        lengths = graph.node("ReduceMax", graph.node("Mul", there, count), ints(1), keepdims=0)
        lengths = graph.node("Max", lengths, one)
        character = self.part(module.character, Value(flat, (), x.dtype, lengths), f"{path}.character")
        carried, graph.states = graph.states, None  # every token is spelled anew
        spelled = self.part(module.spelling, character, f"{path}.spelling")
        graph.states = carried
        if module.pooling == "ends":
            raise ConfigError(
                f'{path} pools at the "ends" of words, which no export to ONNX writes: use "max".'
            )
        vector = pooled(graph, spelled, module.pooling, 1)
        tokens = graph.node("Shape", x.name, start=0, end=2)
        shape = graph.node("Concat", tokens, ints(*spelled.shape), axis=0)
        name = graph.node("Concat", word.name, case.name, graph.node("Reshape", vector, shape), axis=2)
        return word._replace(name=name, shape=(module.embedding_size,))

    def outputs(self, features: Value) -> list[Any]:
        """What the head says, described."""
        graph, head = self.graph, head_of(self.model)
        if kind_of(head) in ("head:decoder", "head:generator"):
            from tinyseq.interop.onnx.decoders import greedy

            return greedy(graph, head, features)
        if type(head) is _Plain:
            found = [features]
        else:
            with _undecoded(head):
                found = write_function(graph, head.predict, features, "head")
        named = {"y" if len(found) == 1 else f"y_{k}": value for k, value in enumerate(found)}
        crf = getattr(head, "criterion", None)
        if kind_of(crf) == "loss:crf":
            named = {"y": viterbi(graph, found[0], crf), "scores": found[0]}
        return [self.output(graph.name(name), value) for name, value in named.items()]

    def output(self, name: str, value: Value) -> Any:
        """A value as an output of the graph, (batch, time, ...) or (batch, ...), described."""
        axes = ["batch", "time"] if value.lengths else ["batch"]
        perm = [1, 0, *range(2, 2 + len(value.shape))]
        turned = self.graph.node("Transpose", value.name, perm=perm) if value.lengths else value.name
        self.graph.call(turned, name)
        return self.graph.info(name, value.dtype, [*axes, *value.shape])


@contextmanager
def _undecoded(head: Module) -> Iterator[None]:
    """Within, what decodes in a head gives the scores that it would decode."""
    found = [module for module in head.modules() if callable(getattr(module, "decode", None))]
    for module in found:
        vars(module)["decode"] = _scores
    try:
        yield
    finally:
        for module in found:
            del vars(module)["decode"]


def _scores(scores: Any) -> Any:
    return scores
