"""The likeliest path of tags through the scores of a CRF: a Scan forwards, and one back."""

from typing import Any

import numpy as np

from tinyseq.interop.onnx.graph import Graph, Value


def viterbi(graph: Graph, scores: Value, crf: Any) -> Value:
    """Tags (time, batch) of scores with steps; 0 where a sequence has none. Of equal paths it is any one.

    Source: Rabiner (1989), section III.B.
    """
    transitions, start, end = (
        graph.weight(getattr(crf, part), f"head.criterion.{part}")
        if crf.legal is None
        else graph.constant(values, values.dtype)
        for part, values in crf.path_scores().items()
    )
    present = graph.present(scores)
    axis = graph.constant([1], np.int64)
    time, batch = graph.steps(scores.name)
    first = graph.constant([0], np.int64)
    rows = graph.node("Unsqueeze", batch, first)
    shape = graph.node("Concat", rows, graph.constant([crf.tags], np.int64), axis=0)
    begin = graph.node("Expand", start, shape)
    best, back = graph.nodes_out(
        "Scan", [begin, begin, scores.name, present], 3, "viterbi", num_scan_inputs=2,
        body=_forward(graph, transitions, scores.dtype, crf.tags),
    )[1:]  # fmt: skip
    last = graph.node("ArgMax", graph.node("Add", best, end), axis=1, keepdims=0)
    # whether there is a step after this one: the mask, one step earlier
    one = graph.constant(1, np.int64)
    clock = graph.node("Range", one, graph.node("Add", time, one), one)
    goes_on = graph.node("Less", graph.node("Unsqueeze", clock, axis), scores.lengths)
    found = graph.nodes_out(
        "Scan", [last, back, goes_on], 2, "path", body=_backward(graph, crf.tags), num_scan_inputs=2,
        scan_input_directions=[1, 1], scan_output_directions=[1],
    )[1]  # fmt: skip
    tags = graph.node("Where", present, found, graph.constant(0, np.int64))
    return Value(tags, (), np.dtype(np.int64), scores.lengths)


def _forward(outer: Graph, transitions: str, dtype: Any, tags: int) -> Any:
    """One more step: the best scores by next tag (ahead) and by last tag (best), and where each came from."""
    body = Graph(outer)
    ahead, best, x, live = (body.name(n) for n in ("ahead", "best", "x_t", "live"))
    alive = body.node("Unsqueeze", live, body.constant([1], np.int64))
    reached = body.node("Add", ahead, x)
    paths = body.node("Add", body.node("Unsqueeze", reached, body.constant([2], np.int64)), transitions)
    most = body.node("ReduceMax", paths, body.constant([1], np.int64), keepdims=0)
    back = body.node("ArgMax", paths, axis=1, keepdims=0)
    kept = [body.node("Where", alive, new, old) for new, old in ((most, ahead), (reached, best))]
    width = [None, tags]
    return body.onnx.helper.make_graph(
        body.nodes, body.name("viterbi_step"),
        [*[body.info(n, dtype, width) for n in (ahead, best, x)], body.info(live, bool, [None])],
        [*[body.info(n, dtype, width) for n in kept], body.info(back, np.int64, width)],
    )  # fmt: skip


def _backward(outer: Graph, tags: int) -> Any:
    """One step back, from the tag after this one to that here; the last stays until its step is met."""
    body = Graph(outer)
    after, back, goes_on = (body.name(n) for n in ("after", "back", "goes_on"))
    axis = body.constant([1], np.int64)
    chosen = body.node("GatherElements", back, body.node("Unsqueeze", after, axis), axis=1)
    came = body.node("Squeeze", chosen, axis)
    tag = body.node("Where", goes_on, came, after)
    written = body.node("Identity", tag)
    rows: list[Any] = [None]
    return body.onnx.helper.make_graph(
        body.nodes, body.name("path_step"),
        [
            body.info(after, np.int64, rows), body.info(back, np.int64, [None, tags]),
            body.info(goes_on, bool, rows),
        ],
        [body.info(tag, np.int64, rows), body.info(written, np.int64, rows)],
    )  # fmt: skip
