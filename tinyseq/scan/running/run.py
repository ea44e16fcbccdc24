"""scan: a step or a cell over whole sequences."""

from typing import Any

from tinyseq.contracts import Cell
from tinyseq.engine import Tensor
from tinyseq.engine.tape import keeps_arguments, searches_anomalies
from tinyseq.errors import ConfigError, RandomStepError, ShapeError
from tinyseq.scan import eager
from tinyseq.scan.eager import Step
from tinyseq.scan.passes.lookups import on_table
from tinyseq.scan.running.compiled import run as compile_and_run
from tinyseq.scan.state import flatten, names, rebuild, tree_map
from tinyseq.scan.watch import watcher
from tinyseq.sequences import Layout, Sequences, in_callers_order, in_packed_order, like, packed


def scan(
    step: Cell | Step,
    xs: Any,
    state: Any = None,
    *,
    reverse: bool = False,
    compiled: bool | None = None,
    checkpoint: int | None = None,
) -> tuple[Any, Any]:
    """The outputs of `step` along every sequence, and each sequence's state after its own last step.

    step: a Cell, or a function `(x, state) -> (output, state)` of rows. xs: Sequences; or a Tensor (batch,
    time, features), and then the outputs are one too; or a tuple of them if the step takes a tuple. state:
    Tensors (batch, width) in the caller's order, nested in tuples or NamedTuples; by default a Cell's initial
    state. In reverse, sequences are read from their last step to their first; outputs stay at their steps.

    The step is compiled into one forward and one backward function for the whole batch. `compiled=False`
    runs it step by step on the tape instead, where it may do what it likes; so do derivatives of derivatives
    and the search for anomalies, which need every intermediate value, and by default steps that draw random
    numbers, such as dropout. compiled=True raises TraceError for those.

    With `checkpoint=k` the backward pass computes the inner values of each k steps again, from the
    state before them: memory holds inputs, outputs and the inner values of k steps, for one more forward.

    Raises ShapeError if features or state rows do not fit, TraceError for a step that cannot be compiled.
    """
    batches = [packed(x) for x in flatten(xs)]
    layout = batches[0].layout
    for batch in batches[1:]:
        if batch.layout != layout:
            raise ShapeError(
                f"scan() needs inputs of equal lengths; got {list(layout.lengths)} and {list(batch.lengths)}."
            )
    cell = step if isinstance(step, Cell) else None
    if isinstance(step, Cell):
        _check_features(step, batches[0].data)
        batches = [_like_parameters(step, batch) for batch in batches]
        state = step.initial_state(layout.batch) if state is None else state
        step = step.step
    elif state is None:
        raise TypeError("scan() of a function needs the state before the first step: scan(step, xs, state).")
    _check_rows(state, layout)
    watched = watcher()
    stepwise = compiled is False or keeps_arguments() or searches_anomalies() or watched is not None
    better = None if cell is None or stepwise else on_table(cell, batches[0])
    if better is not None:
        step, batches = better[0].step, [better[1]]
    rows = rebuild(xs, iter([batch.data for batch in batches]))
    inner = tree_map(lambda s: in_packed_order(s, layout), state)
    if checkpoint is not None and (compiled is False or checkpoint < 1):
        raise ConfigError(
            f"scan() takes a checkpoint of 1 step or more, and compiled; got {checkpoint}, "
            f"compiled={compiled}."
        )
    if stepwise:
        step = step if watched is None else watched(step, layout, reverse)
        ys, final = eager.run(step, rows, inner, layout, reverse=reverse)
    else:
        try:
            ys, final = compile_and_run(step, rows, inner, layout, reverse=reverse, checkpoint=checkpoint)
        except RandomStepError:
            if compiled:
                raise
            # Dropout or zoneout inside a step: each step needs numbers of its own, which the tape draws.
            ys, final = eager.run(step, rows, inner, layout, reverse=reverse)
    form = flatten(xs)[0]
    return (
        tree_map(lambda y: like(form, Sequences(y, layout)), ys),
        tree_map(lambda s: in_callers_order(s, layout), final),
    )


def _like_parameters(cell: Cell, xs: Sequences) -> Sequences:
    """Features of floats in the dtype of the cell's Parameters: NumPy makes float64, cells are float32."""
    parameter = next(cell.parameters(), None)
    if parameter is None or xs.dtype.kind != "f" or xs.dtype == parameter.dtype:
        return xs
    return xs.map(lambda x: x.astype(parameter.dtype))


def _check_features(cell: Cell, x: Tensor) -> None:
    if x.ndim != 2 or x.shape[1] != cell.input_size:
        raise ShapeError(
            f"{type(cell).__name__} takes {cell.input_size} features at each step; these inputs have shape "
            f"{x.shape[1:]} at each step."
        )


def _check_rows(state: Any, layout: Layout) -> None:
    for i, leaf in enumerate(flatten(state)):
        if not isinstance(leaf, Tensor):
            name = names(state, "state")[i]
            raise TypeError(f"{name} must be a Tensor (batch, width), not {type(leaf).__name__}.")
        if leaf.ndim == 0 or leaf.shape[0] != layout.batch:
            name = names(state, "state")[i]
            raise ShapeError(
                f"{name} has shape {leaf.shape}, but there are {layout.batch} sequences: each needs a row."
            )
