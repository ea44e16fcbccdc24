"""A step run over packed rows on the tape: readable, differentiable to any order, and the compiler's oracle.

The sequences that have a step t are the first rows of the batch, so a step takes a prefix of the state. Going
forward the state loses the rows of sequences that end; in reverse it gains the rows of those that start.
"""

from collections.abc import Callable
from typing import Any

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import ShapeError
from tinyseq.noise import StepNoise, drawn_by
from tinyseq.scan.state import flatten, names, rebuild
from tinyseq.sequences import Layout

Step = Callable[[Any, Any], tuple[Any, Any]]


def run(step: Step, xs: Any, state: Any, layout: Layout, *, reverse: bool = False) -> tuple[Any, Any]:
    """The outputs of all steps, and each sequence's state after its own last step (its first, in reverse).

    xs, outputs: packed Tensors (rows, ...), or tuples of them; states: (batch, width), longest first.
    """
    inputs = [ops.split(x, layout.offsets[1:]) for x in flatten(xs)]
    leaves = flatten(state)
    rows = layout.batch
    waiting: list[list[Tensor]] = []  # state rows of sequences that have yet to start
    ended: list[list[Tensor]] = []  # and of those that are over
    if reverse:
        rows = layout.sizes[-1]
        leaves, *waiting = _split_rows(leaves, sorted(set(layout.sizes))[:-1])
    outputs: list[list[Tensor]] = []
    noise = StepNoise(layout)
    times = range(layout.steps)
    for t in reversed(times) if reverse else times:
        size = layout.sizes[t]
        if size > rows:
            leaves = [ops.concatenate(pair) for pair in zip(leaves, waiting.pop(0), strict=True)]
        elif size < rows:
            leaves, over = _split_rows(leaves, [size])
            ended.append(over)
        rows = size
        x = rebuild(xs, iter([parts[t] for parts in inputs]))
        before = rebuild(state, iter(leaves))
        noise.begin(t)
        with drawn_by(noise):
            result = step(x, before)
        if not outputs:
            check_result(result, before, size)
        y, after = result
        outputs.append(flatten(y))
        leaves = flatten(after)
    if reverse:
        outputs.reverse()
    ys = [ops.concatenate(parts) for parts in zip(*outputs, strict=True)]
    final = [ops.concatenate(parts) for parts in zip(leaves, *reversed(ended), strict=True)]
    return rebuild(y, iter(ys)), rebuild(state, iter(final))


def _split_rows(leaves: list[Tensor], cuts: list[int]) -> list[list[Tensor]]:
    """The leaves cut at the same rows: a list of leaves for each part."""
    parts = [ops.split(leaf, cuts) for leaf in leaves]
    return [[part[i] for part in parts] for i in range(len(cuts) + 1)]


def check_result(result: Any, before: Any, rows: Any) -> None:
    """Refuse what a step returned if it is not (output, state) with the rows and the state it was given."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"step() must return (output, state); it returned {_described(result)}.")
    y, after = result
    for leaf in flatten(y):
        if not isinstance(leaf, Tensor) or leaf.ndim == 0 or leaf.shape[0] != rows:
            raise ShapeError(
                f"step() must return one output row for each of {rows} rows; it returned {_described(leaf)}."
            )
    given, returned = _described_state(before), _described_state(after)
    if given != returned:
        raise ShapeError(f"step() must return a state like the one it was given: {given}, not {returned}.")


def _described_state(state: Any) -> str:
    return ", ".join(
        f"{name} {_described(leaf)}" for name, leaf in zip(names(state, "state"), flatten(state), strict=True)
    )


def _described(value: Any) -> str:
    return str(value.shape) if isinstance(value, Tensor) else type(value).__name__
