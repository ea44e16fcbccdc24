"""Heads that write: greedy decoding as a Loop over the recorded step of the head's recurrence."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError
from tinyseq.interop.onnx.graph import Graph, Value
from tinyseq.interop.onnx.steps import write_function, write_step
from tinyseq.interop.weights import kind_of
from tinyseq.nn import Dropout
from tinyseq.scan import Recurrent
from tinyseq.scan.state import flatten


def greedy(graph: Graph, head: Any, features: Value) -> list[Any]:
    """Descriptions of the outputs `y`, ids (batch, time) with `end` behind each sequence, and `y_lengths`."""
    summary = (
        write_function(graph, head.pooling, features, "head.pooling")[0] if features.lengths else features
    )
    memory = None if head.attention is None else _Memory(graph, head.attention, features)
    example, starts = _starts(graph, head, summary)
    batch = graph.node("Shape", summary.name, start=0, end=1)
    ends = graph.node("Expand", graph.constant(head.end, np.int64), batch)
    never = graph.node("Expand", graph.constant(False, bool), batch)

    body = Graph(graph)
    turn, go = body.name("turn"), body.name("go")
    states = [body.name(f"state_{k}") for k in range(len(starts))]
    last, over = body.name("last"), body.name("over")
    x = Value(body.node("Gather", body.weight(head.embed.weight, "head.embed.weight"), last), (), None)
    x = x._replace(shape=(head.embed.embedding_size,), dtype=head.embed.weight.dtype)
    if head.repeats_summary:
        x = _beside(body, x, summary)
    inner, query = (states[:-1], states[-1]) if head.asks_before else (states, "")
    context = None
    width = head.recurrence.output_size
    if head.asks_before and memory is not None:
        context = memory.asked(body, query, width)
        x = _beside(body, x, context)
    y, *after = write_step(body, stepwise(head.recurrence), [x], example, inner, "head.recurrence")
    if memory is not None and not head.asks_before:
        context = memory.asked(body, y.name, width)
    found = y if context is None else _beside(body, y, context)
    combine, projection = head.combine, head.projection
    scored = (lambda f: projection(f)) if combine is None else (lambda f: projection(ops.tanh(combine(f))))
    scores = write_function(body, scored, found, "head")[0]
    likeliest = body.node("ArgMax", scores.name, axis=1, keepdims=0)
    end = body.constant(head.end, np.int64)
    ids = body.node("Where", over, end, likeliest)
    is_over = body.node("Equal", ids, end)
    as_ints = body.node("Cast", is_over, to=body.type_of(np.int64))
    least = body.node("ReduceMin", as_ints, keepdims=0)
    on = body.node("Equal", least, body.constant(0, np.int64))
    news = [*[v.name for v in after], *([y.name] if head.asks_before else [])]
    shapes = [*[leaf.shape[1:] for leaf in flatten(example)], *([(width,)] if head.asks_before else [])]
    dtype = y.dtype
    described = [(name, dtype, [None, *shape]) for name, shape in zip(states, shapes, strict=True)]
    written = body.node("Identity", ids)
    loop = body.onnx.helper.make_graph(
        body.nodes,
        body.name("turn_of_the_decoder"),
        [
            body.info(turn, np.int64, []), body.info(go, bool, []),
            *[body.info(*d) for d in described],
            body.info(last, np.int64, [None]), body.info(over, bool, [None]),
        ],
        [
            body.info(on, bool, []),
            *[body.info(n, dtype, [None, *shape]) for n, shape in zip(news, shapes, strict=True)],
            body.info(ids, np.int64, [None]), body.info(is_over, bool, [None]),
            body.info(written, np.int64, [None]),
        ],
    )  # fmt: skip
    results = graph.nodes_out(
        "Loop",
        [graph.constant(head.max_length, np.int64), graph.constant(True, bool), *starts, ends, never],
        len(starts) + 3,
        "decoder",
        body=loop,
    )
    names = graph.name("y"), graph.name("y_lengths")
    turned = graph.node("Transpose", results[-1], perm=[1, 0])
    graph.nodes.append(graph.onnx.helper.make_node("Identity", [turned], [names[0]]))
    there = graph.node("Not", graph.node("Equal", turned, graph.constant(head.end, np.int64)))
    count = graph.node("Cast", there, to=graph.type_of(np.int64))
    one = graph.constant([1], np.int64)
    graph.nodes.append(graph.onnx.helper.make_node("ReduceSum", [count, one], [names[1]], keepdims=0))
    return [graph.info(names[0], np.int64, ["batch", "written"]), graph.info(names[1], np.int64, ["batch"])]


def _beside(graph: Graph, x: Value, y: Value) -> Value:
    return x._replace(name=graph.node("Concat", x.name, y.name, axis=1), shape=(x.shape[0] + y.shape[0],))


def _starts(graph: Graph, head: Any, summary: Value) -> tuple[Any, list[str]]:
    """An example of the recurrence's state, and the names of all that is carried to the first symbol."""
    example = head.recurrence.initial_state(1)
    widths = [leaf.shape[1] for leaf in flatten(example)]
    firsts = [leaf.numpy() for leaf in flatten(example)]
    if head.asks_before:
        widths.append(head.recurrence.output_size)
        firsts.append(np.zeros((1, widths[-1]), firsts[0].dtype))
    if head.bridge is not None:
        bridge = head.bridge
        (made,) = write_function(graph, lambda v: ops.tanh(bridge(v)), summary, "head.bridge")
        sizes = graph.constant(widths, np.int64)
        return example, graph.nodes_out("Split", [made.name, sizes], len(widths), "start", axis=1)
    batch = graph.node("Shape", summary.name, start=0, end=1)
    starts = []
    for values in firsts:
        shape = graph.node("Concat", batch, graph.constant(values.shape[1:], np.int64), axis=0)
        starts.append(graph.node("Expand", graph.constant(values), shape))
    return example, starts


def stepwise(layer: Any) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
    """One step of a recurrence, for a Cell, Recurrent, or Deep of these and of layers without a state."""
    if type(layer) is Recurrent and not layer.reverse:
        return layer.cell.step
    if kind_of(layer) == "layer:deep":
        steps = [stepwise(inner) if hasattr(inner, "scan") else _stateless(inner) for inner in layer.layers]
        residual = layer.residual

        def step(x: Tensor, state: Any) -> tuple[Tensor, Any]:
            after = []
            for k, (one, before) in enumerate(zip(steps, state, strict=True)):
                y, new = one(x, before)
                x = y + x if residual and k else y
                after.append(new)
            return x, tuple(after)

        return step
    raise ConfigError(
        f"head.recurrence, a {type(layer).__name__}, cannot be exported step by step: use a Cell, Recurrent "
        "or Deep."
    )


def _stateless(layer: Any) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
    return lambda x, state: (x if isinstance(layer, Dropout) else layer(x), state)


class _Memory:
    """The steps of what was read, and their weighed means for queries."""

    def __init__(self, graph: Graph, attention: Any, features: Value) -> None:
        self.attention = attention
        self.width = features.shape[0]
        self.dtype = features.dtype
        self.values = graph.node("Transpose", self._masked(graph, features), perm=[1, 0, 2])
        self.keys = self.values
        if hasattr(attention, "key"):
            (keys,) = write_function(graph, attention.key, features, "head.attention.key")
            self.keys = graph.node("Transpose", keys.name, perm=[1, 0, 2])
        there = graph.node("Transpose", graph.present(features), perm=[1, 0])
        zero, never = graph.constant(0, features.dtype), graph.constant(-1e30, features.dtype)
        absent = graph.node("Where", there, zero, never)
        self.absent = graph.node("Unsqueeze", absent, graph.constant([1], np.int64))

    def _masked(self, graph: Graph, features: Value) -> str:
        """A weight of 0 does not help against what is no number in the padding."""
        zero = graph.constant(0, features.dtype)
        return graph.node("Where", graph.present(features, 1), features.name, zero)

    def asked(self, graph: Graph, query: str, width: int) -> Value:
        """The context of one query (batch, width) of each source."""
        attention, axis = self.attention, graph.constant([1], np.int64)
        if hasattr(attention, "match"):
            linear = attention.query
            (turned,) = write_function(
                graph, linear, Value(query, (width,), self.dtype), "head.attention.query"
            )
            both = graph.node("Add", graph.node("Unsqueeze", turned.name, axis), self.keys)
            match = graph.weight(attention.match, "head.attention.match")
            scores = graph.node(
                "Transpose", graph.node("MatMul", graph.node("Tanh", both), match), perm=[0, 2, 1]
            )
        else:
            keys = graph.node("Transpose", self.keys, perm=[0, 2, 1])
            scores = graph.node("MatMul", graph.node("Unsqueeze", query, axis), keys)
        weights = graph.node("Softmax", graph.node("Add", scores, self.absent), axis=-1)
        context = graph.node("Squeeze", graph.node("MatMul", weights, self.values), axis)
        return Value(context, (self.width,), self.dtype)
