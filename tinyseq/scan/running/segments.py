"""A scan cut along time: segments run one after another in one workspace, and hand their state on.

The backward pass computes each segment again, so memory holds the states between segments, the inputs and
the outputs, and the inner values of one segment only. Time: one more forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinyseq.backend import Array
from tinyseq.engine import Node, Tensor, make_tensor
from tinyseq.scan.memory.workspace import Rows, rows_of
from tinyseq.scan.running.program import Program


@dataclass
class Segment:
    """Some steps: their rows in the packed arrays, and how many sequences have them."""

    start: int
    stop: int
    rows: Rows


def segments_of(sizes: tuple[int, ...], steps: int, reverse: bool) -> list[Segment]:
    """The segments of `steps` steps each (the last may be shorter), in the order of the run."""
    out, start = [], 0
    for t in range(0, len(sizes), steps):
        part = sizes[t : t + steps]
        out.append(Segment(start, start + sum(part), rows_of(part, reverse)))
        start += sum(part)
    return out[::-1] if reverse else out


def run_in_segments(
    inference: Program,
    training: Program | None,
    segments: list[Segment],
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and final states; without a `training` program no gradient."""
    library = inference.library
    xs, fixed = [t.data for t in inputs], [t.data for t in parameters]
    current = [t.data.copy() for t in states]
    total = max(s.stop for s in segments)
    outputs = [library.empty((total, *y.shape[1:]), y.dtype) for y in inference.traced.outputs]
    befores: list[list[Array]] = []  # the states that go into each segment
    for segment in segments:
        befores.append([c[: segment.rows.batch].copy() for c in current])
        ys, finals, _ = inference.forward(segment.rows, _rows_of(xs, segment), befores[-1], fixed)
        for whole, part in zip(outputs, ys, strict=True):
            whole[segment.start : segment.stop] = part
        _replace_rows(current, finals)
    results = [*outputs, *current]
    if training is None:
        tensors = [make_tensor(r, None) for r in results]
        return tensors[: len(outputs)], tensors[len(outputs) :]

    def pullback(*cotangents: Array | None) -> list[Array | None]:
        return _backward(training, segments, befores, xs, fixed, cotangents)

    parents = [t.source for part in (inputs, states, parameters) for t in part]
    node = Node("scan", parents, pullback, len(results))
    tensors = [make_tensor(r, (node, i, r.shape)) for i, r in enumerate(results)]
    return tensors[: len(outputs)], tensors[len(outputs) :]


def _backward(
    program: Program,
    segments: list[Segment],
    befores: list[list[Array]],
    xs: list[Array],
    parameters: list[Array],
    cotangents: Sequence[Array | None],
) -> list[Array | None]:
    library, traced = program.library, program.traced
    outputs = len(traced.outputs)
    batch = max(s.rows.batch for s in segments)
    d_current = [
        library.zeros((batch, *s.shape[1:]), s.dtype) if d is None else d.copy()
        for s, d in zip(traced.states, cotangents[outputs:], strict=True)
    ]
    d_inputs = [
        None if d is None else library.empty(x.shape, x.dtype)
        for d, x in zip(traced.d_inputs, xs, strict=True)
    ]
    d_parameters: list[Any] = [None] * len(parameters)
    for segment, before in zip(reversed(segments), reversed(befores), strict=True):
        _, _, run = program.forward(segment.rows, _rows_of(xs, segment), before, parameters)
        d_ys = [None if d is None else d[segment.start : segment.stop] for d in cotangents[:outputs]]
        d_after = [d[: segment.rows.batch] for d in d_current]
        d_xs, d_states, d_fixed = program.backward(run, d_ys, d_after, [True] * len(d_after))
        del run  # its workspace serves the next segment
        _replace_rows(d_current, d_states)
        for whole, part in zip(d_inputs, d_xs, strict=True):
            if whole is not None:
                whole[segment.start : segment.stop] = part
        d_parameters = [
            old if new is None else new if old is None else old + new
            for old, new in zip(d_parameters, d_fixed, strict=True)
        ]
    return [*d_inputs, *d_current, *d_parameters]


def _rows_of(arrays: Sequence[Array], segment: Segment) -> list[Array]:
    return [a[segment.start : segment.stop] for a in arrays]


def _replace_rows(rows: list[Array], first: Sequence[Array]) -> None:
    """Replace the rows of the sequences that took part; the others wait, or have ended."""
    for whole, part in zip(rows, first, strict=True):
        whole[: len(part)] = part
