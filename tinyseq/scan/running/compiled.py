"""Compiled steps on the tape: compiled once for each kind of call, one node for a whole batch."""

from collections.abc import Sequence
from typing import Any

from tinyseq.backend import Array, words_of
from tinyseq.engine import Node, Tensor, is_grad_enabled, make_tensor, no_grad
from tinyseq.errors import RandomStepError
from tinyseq.noise import ScanNoise
from tinyseq.scan.eager import Step
from tinyseq.scan.memory.workspace import PREPARED_STEPS, Rows, rows_of
from tinyseq.scan.running.keeping import PROGRAMS_KEPT, Kept, Programs
from tinyseq.scan.running.program import Options, Program, Run, library_of
from tinyseq.scan.running.segments import run_in_segments, segments_of
from tinyseq.scan.state import flatten, form, rebuild
from tinyseq.scan.tracing.signature import signature
from tinyseq.scan.tracing.trace import trace
from tinyseq.sequences import Layout

_programs = Programs()
_random_steps: dict[Any, str] = {}  # which are not traced again, and why


def clear_cache() -> None:
    """Forget all compiled steps and give their working memory back; what is needed is compiled anew.

    Both go by themselves with the models that they belong to. This is for a session in which many models of
    different sizes stay alive.
    """
    _programs.clear()
    _random_steps.clear()


def run(
    step: Step,
    xs: Any,
    state: Any,
    layout: Layout,
    *,
    reverse: bool = False,
    checkpoint: int | None = None,
    options: Options | None = None,
) -> tuple[Any, Any]:
    """As eager.run, compiled. Raises TraceError, which says what to write, where that is impossible.

    With `checkpoint`, only the states every so many steps are kept for the backward pass.
    """
    inputs, states = flatten(xs), flatten(state)
    program, output_form, shared = program_for(step, xs, state, options)
    parameters = [*shared]
    noise = ScanNoise(layout)
    for number, draw in enumerate(program.traced.draws):
        made = noise.tensor(number, draw, inputs[0].data)
        (parameters if draw.per == "scan" else inputs).append(made)
    training = program if program.traced.trains else None
    length = checkpoint if training else checkpoint or PREPARED_STEPS
    if length is not None and layout.steps > length:
        with no_grad():
            inference, _, _ = program_for(step, xs, state, options)
        segments = segments_of(layout.sizes, length, reverse)
        outputs, finals = run_in_segments(inference, training, segments, inputs, states, parameters)
    else:
        outputs, finals = on_tape(program, rows_of(layout.sizes, reverse), inputs, states, parameters)
    return rebuild(output_form, iter(outputs)), rebuild(state, iter(finals))


def program_for(
    step: Step, xs: Any, state: Any, options: Options | None = None
) -> tuple[Program, Any, list[Tensor]]:
    """The program that runs `step` on such inputs, the form of its outputs, and the step's parameters."""
    key, parameters = signature(step)
    inputs, states = flatten(xs), flatten(state)
    recording = is_grad_enabled()
    wanted = [recording and t.source is not None for t in (*inputs, *states, *parameters)]
    home = words_of(inputs[0].data).name
    shapes = tuple([(t.shape[1:], t.dtype) for t in (*inputs, *states)])
    fixed = tuple([(t.shape, t.dtype) for t in parameters])
    kind = (key, form(xs), form(state), shapes, fixed, tuple(wanted), home, repr(options))
    owner = getattr(step, "__self__", None)
    owner = getattr(owner, "lives_with", owner)
    kept = _programs.find(kind, owner)
    if kept is not None:
        return *kept, parameters
    if kind in _random_steps:
        raise RandomStepError(_random_steps[kind])
    n = len(inputs)
    try:
        traced, output_form = trace(
            step,
            xs,
            state,
            wants_inputs=wanted[:n],
            wants_parameters=wanted[n + len(states) :],
            wants_states=any(wanted[n : n + len(states)]),
        )
    except RandomStepError as error:
        if len(_random_steps) >= PROGRAMS_KEPT:
            _random_steps.clear()
        _random_steps[kind] = str(error)
        raise
    program = Program(traced, library_of(inputs[0].data), options)
    return *_programs.keep(kind, owner, Kept(program, output_form)), parameters


def on_tape(
    program: Program,
    rows: Rows,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and final states of a forward pass, and one node on the tape for its gradient."""
    arrays = [[t.data for t in part] for part in (inputs, states, parameters)]
    outputs, finals, forward = program.forward(rows, *arrays)
    results = [*outputs, *finals]
    if not program.traced.trains:
        tensors = [make_tensor(r, None) for r in results]
    else:
        wanted = [t.source is not None for t in states]
        parents = [t.source for part in (inputs, states, parameters) for t in part]
        node = Node("scan", parents, _pullback(program, forward, len(outputs), wanted), len(results))
        tensors = [make_tensor(r, (node, i, r.shape)) for i, r in enumerate(results)]
    return tensors[: len(outputs)], tensors[len(outputs) :]


def _pullback(program: Program, forward: Run, outputs: int, wants_states: Sequence[bool]) -> Any:
    def pullback(*cotangents: Array | None) -> list[Array | None]:
        d_inputs, d_states, d_parameters = program.backward(
            forward, cotangents[:outputs], cotangents[outputs:], wants_states
        )
        return [*d_inputs, *d_states, *d_parameters]

    return pullback
