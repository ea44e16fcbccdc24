"""Recurrences as nodes: RNN, GRU and LSTM as those of ONNX, any other cell as a Scan of its recorded step."""

from typing import Any

import numpy as np

from tinyseq.interop.onnx.graph import Graph, Value
from tinyseq.interop.onnx.steps import write_step
from tinyseq.interop.weights import kind_of, negated, reordered
from tinyseq.registry.configuration import arguments
from tinyseq.scan.state import flatten

# name, and alpha and beta of those that have any
_ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "sigmoid": ("Sigmoid", ()),
    "tanh": ("Tanh", ()),
    "relu": ("Relu", ()),
    "softplus": ("Softplus", ()),
    "hard_sigmoid": ("HardSigmoid", (1 / 6, 0.5)),
    "linear": ("Affine", (1.0, 0.0)),
}


def recurrence(graph: Graph, layers: list[Any], x: Value, path: str) -> Value:
    """The outputs of one or two Recurrents that read the same x, side by side."""
    kinds = [kind_of(layer.cell) for layer in layers]
    sizes = [layer.cell.output_size for layer in layers]
    same = all((k, n) == (kinds[0], sizes[0]) for k, n in zip(kinds, sizes, strict=True))
    ways = [layer.reverse for layer in layers]
    plain = kinds[0] in _NODES and x.dtype == np.float32  # onnxruntime's recurrent nodes know no other dtype
    if len(layers) == 2 and same and plain and ways == [False, True]:
        found = _NODES[kinds[0]](graph, layers, x, path)
        if found is not None:
            return _joined(graph, found, x, sizes)
    each = [
        _single(graph, layer, x, path if len(layers) == 1 else f"{path}.{k}")
        for k, layer in enumerate(layers)
    ]
    if len(each) == 1:
        return each[0]
    name = graph.node("Concat", *[y.name for y in each], axis=2)
    return x._replace(name=name, shape=(sum(sizes),), dtype=each[0].dtype)


def _single(graph: Graph, layer: Any, x: Value, path: str) -> Value:
    write = _NODES.get(kind_of(layer.cell))
    found = write(graph, [layer], x, path) if write is not None and x.dtype == np.float32 else None
    if found is not None:
        return _joined(graph, found, x, [layer.cell.output_size])
    return _scan(graph, layer, x, path)


def _joined(graph: Graph, name: str, x: Value, sizes: list[int]) -> Value:
    """(time, directions, batch, width) with the directions side by side."""
    turned = graph.node("Transpose", name, perm=[0, 2, 1, 3])
    y = graph.node("Reshape", turned, graph.constant([0, 0, sum(sizes)], np.int64))
    return x._replace(name=y, shape=(sum(sizes),))


def _node(
    graph: Graph, op: str, layers: list[Any], x: Value, path: str, weights: list[Any], chosen: list[str],
    **attributes: Any,
) -> str:  # fmt: skip
    """A recurrent node; weights: W, R, B and the rest of its inputs, each (directions, ...); or ""."""
    direction = "bidirectional" if len(layers) == 2 else "reverse" if layers[0].reverse else "forward"
    names, numbers = zip(*[_ACTIVATIONS[name] for name in chosen], strict=True)
    if any(numbers):  # in order, for those activations that have them
        alphas, betas = zip(*[pair for pair in numbers if pair], strict=True)
        attributes |= {"activation_alpha": list(alphas), "activation_beta": list(betas)}
    inputs = [
        graph.constant(np.stack(w), wish=f"{path}.{part}") if w else ""
        for part, w in zip(("W", "R", "B", "P"), weights, strict=False)
    ]
    size, parts = layers[0].cell.hidden_size, 2 if op == "LSTM" else 1
    states = (
        [[graph.carried((size,), x.dtype) for _ in range(parts)] for _ in layers] if carries(graph) else []
    )
    first = graph.constant([0], np.int64)
    starts = ["", ""]
    for k, ways in enumerate(zip(*states, strict=True)):
        each = [graph.node("Unsqueeze", way.before, first) for way in ways]
        starts[k] = graph.node("Concat", *each, axis=0)
    found = graph.nodes_out(
        op, [x.name, *inputs[:3], graph.cast(x.lengths, np.int32), *starts[:parts], *inputs[3:]],
        1 + parts * bool(states), path, direction=direction, hidden_size=size, activations=list(names),
        **attributes,
    )  # fmt: skip
    for d, way in enumerate(states):
        for final, state in zip(found[1:], way, strict=True):
            graph.call(graph.node("Gather", final, graph.constant(d, np.int64), axis=0), state.after)
    return found[0]


def carries(graph: Graph) -> bool:
    """Whether states come from outside."""
    return graph.states is not None


def _weights(cell: Any) -> dict[str, Any]:
    return {name: p.numpy() for name, p in cell.named_parameters()}


def _rnn(graph: Graph, layers: list[Any], x: Value, path: str) -> str | None:
    parts = [_weights(layer.cell) for layer in layers]
    weights = [
        [v["w_x"].T for v in parts],
        [v["w_h"].T for v in parts],
        [np.concatenate([v["b"], np.zeros_like(v["b"])]) for v in parts],
    ]
    chosen = [arguments(layer.cell)["activation"] for layer in layers]
    return _node(graph, "RNN", layers, x, path, weights, chosen)


def _gru(graph: Graph, layers: list[Any], x: Value, path: str) -> str | None:
    """ONNX's gates are z, r, h, and its z is 1 - z here."""
    if len({layer.cell.reset for layer in layers}) > 1:
        return None
    weights: list[list[Any]] = [[], [], []]
    for layer in layers:
        values = _weights(layer.cell)
        w, r, b = (reordered((1, 0, 2), negated(1, 3, values[n])) for n in ("w_x", "w_h", "b"))
        second = np.zeros_like(b)
        if layer.cell.reset == "after":
            second[2 * layer.cell.hidden_size :] = values["b_h"]
        for found, part in zip(weights, (w.T, r.T, np.concatenate([b, second])), strict=True):
            found.append(part)
    after = int(layers[0].cell.reset == "after")
    chosen = ["sigmoid", "tanh"] * len(layers)
    return _node(graph, "GRU", layers, x, path, weights, chosen, linear_before_reset=after)


def _lstm(graph: Graph, layers: list[Any], x: Value, path: str) -> str | None:
    """ONNX's gates are i, o, f, c, its peepholes i, o, f."""
    weights: list[list[Any]] = [[], [], [], []]
    for layer in layers:
        values = _weights(layer.cell)
        w, r, b = (reordered((0, 3, 1, 2), values[n]) for n in ("w_x", "w_h", "b"))
        parts = [w.T, r.T, np.concatenate([b, np.zeros_like(b)])]
        if layer.cell.peepholes:
            parts.append(np.concatenate([values["p_i"], values["p_o"], values["p_f"]]))
        for found, part in zip(weights, parts, strict=False):
            found.append(part)
    if len(weights[3]) not in (0, len(layers)):
        return None
    chosen = [arguments(layer.cell)[n] for layer in layers for n in ("gate", "candidate", "cell_output")]
    used = weights if weights[3] else weights[:3]
    return _node(graph, "LSTM", layers, x, path, used, chosen)


_NODES = {"cell:rnn": _rnn, "cell:gru": _gru, "cell:lstm": _lstm}


def _scan(graph: Graph, layer: Any, x: Value, path: str) -> Value:
    """A Scan over the steps; where a sequence has ended its state stays, and its output is 0."""
    cell = layer.cell
    example = cell.initial_state(1)
    first = [leaf.numpy() for leaf in flatten(example)]
    carried = [graph.carried(leaf.shape[1:], leaf.dtype) for leaf in first] if carries(graph) else []
    starts = [state.before for state in carried] or [_initial_states(graph, leaf, x) for leaf in first]
    alive = graph.present(x)
    xs = graph.reversed(x) if layer.reverse else x.name

    body = Graph(graph)
    states = [body.name(f"state_{k}") for k in range(len(first))]
    x_t, live = body.name("x_t"), body.name("live")
    y, *after = write_step(body, cell.step, [Value(x_t, x.shape, x.dtype)], example, states, path)
    kept = [
        body.node("Where", _behind(body, live, len(n.shape)), n.name, before)
        for n, before in zip(after, states, strict=True)
    ]
    output = body.node("Where", _behind(body, live, len(y.shape)), y.name, body.constant(0, y.dtype))
    describe = body.onnx.helper.make_graph(
        body.nodes,
        body.name("step"),
        [
            *[body.info(s, n.dtype, [None, *n.shape]) for s, n in zip(states, after, strict=True)],
            body.info(x_t, x.dtype, [None, *x.shape]),
            body.info(live, bool, [None]),
        ],
        [
            *[body.info(k, n.dtype, [None, *n.shape]) for k, n in zip(kept, after, strict=True)],
            body.info(output, y.dtype, [None, *y.shape]),
        ],
    )
    outputs = graph.nodes_out(
        "Scan", [*starts, xs, alive], len(starts) + 1, path, body=describe, num_scan_inputs=2
    )
    for state, final in zip(carried, outputs, strict=False):
        graph.call(final, state.after)
    found = Value(outputs[-1], y.shape, y.dtype, x.lengths)
    return found._replace(name=graph.reversed(found)) if layer.reverse else found


def _initial_states(graph: Graph, values: Any, x: Value) -> str:
    """What a cell begins with, (1, ...), for every sequence of x."""
    batch = graph.node("Shape", x.name, start=1, end=2)
    shape = graph.node("Concat", batch, graph.constant(values.shape[1:], np.int64), axis=0)
    start = graph.constant(values) if values.any() else graph.constant(0, values.dtype)
    return graph.node("Expand", start, shape)


def _behind(body: Graph, live: str, rank: int) -> str:
    """Booleans (batch,) with `rank` axes of length 1 behind."""
    return body.node("Unsqueeze", live, body.constant(np.arange(1, 1 + rank), np.int64)) if rank else live
