"""Nodes with graphs of their own inside: If, Loop, Scan."""

from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import DataError
from tinyseq.interop.onnx.reading.call import Call, constant


def either(c: Call) -> Any:
    """If: one of two graphs."""
    return tuple(c.run(c.attr("then_branch" if bool(c[0].numpy().item()) else "else_branch"), []))


def loop(c: Call) -> Any:
    """Loop: a graph as often as it says, and as a count says."""
    body, most, go = c.attr("body"), c.get(0), c.get(1)
    turns = None if most is None else int(most.numpy().item())
    on = go is None or bool(go.numpy().item())
    carried = [c[k] for k in range(2, len(c.inputs))]
    count, gathered = len(carried), list[list[Tensor]]()
    turn = 0
    while on and (turns is None or turn < turns):  # each of which counts as a node
        outputs = c.run(body, [constant(np.array(turn, np.int64)), constant(np.array(True)), *carried])
        on = bool(outputs[0].numpy().item())
        carried = outputs[1 : 1 + count]
        gathered.append(outputs[1 + count :])
        c.bounded([len(gathered) * sum(y.size for y in gathered[-1])])
        turn += 1
    if not gathered and c.outputs > count:
        raise DataError("Loop with outputs of its turns has none.")
    stacked = [ops.stack(list(column)) for column in zip(*gathered, strict=True)] if gathered else []
    return (*carried, *stacked)


def scan_nodes(c: Call) -> Any:
    """Scan: a graph for every step, over axes 0 in either direction."""
    body, n = c.attr("body"), int(c.attr("num_scan_inputs"))
    if not 0 < n <= len(c.inputs) or any(
        any(c.attr(a) or []) for a in ("scan_input_axes", "scan_output_axes")
    ):
        raise DataError("Scan is read along axis 0 only, with one scanned input or more.")
    states, xs = c.all[:-n], c.all[-n:]
    count = len(states)
    backward = list(c.attr("scan_input_directions") or [0] * n)
    turned = list(c.attr("scan_output_directions") or [0] * (c.outputs - count))
    if len({x.shape[0] for x in xs}) != 1 or not xs[0].shape[0]:
        raise DataError(f"Scan needs inputs of one length, 1 or more; got {[x.shape[:1] for x in xs]}.")
    steps = xs[0].shape[0]
    gathered: list[list[Tensor]] = []
    for t in range(steps):
        at = [steps - 1 - t if back else t for back in backward]
        outputs = c.run(body, [*states, *[x[k] for x, k in zip(xs, at, strict=True)]])
        states = outputs[:count]
        gathered.append(outputs[count:])
        c.bounded([steps * sum(y.size for y in gathered[-1])])
    columns = [list(column) for column in zip(*gathered, strict=True)]
    stacked = [ops.stack(col[::-1] if back else col) for col, back in zip(columns, turned, strict=True)]
    return (*states, *stacked)
