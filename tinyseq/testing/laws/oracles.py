"""Laws that compare with another way to compute the same: the tape, and the author's own reference."""

import itertools
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.engine import Tensor
from tinyseq.errors import RandomStepError
from tinyseq.scan import scan
from tinyseq.scan.state import flatten, names, rebuild
from tinyseq.sequences import Sequences
from tinyseq.testing.law import Example, array, equal, law
from tinyseq.testing.plays import (
    Play,
    gradients,
    leaves_of,
    make_inputs,
    make_state,
    play,
    run,
    run_parts,
    to_parts,
)
from tinyseq.testing.subject import Subject


@law(
    "C13",
    "cell",
    usually="step() depends on something that is not its input, its state or a Parameter (a counter, an "
    "attribute that "
    "changes, a number of the current batch): a compiled step is traced once",
)
def compiled(s: Subject, example: Example) -> None:
    """The compiled step gives what the tape gives: outputs, states and gradients, in both directions.

    In training too, unless the step draws numbers by itself, which leaves it on the tape.
    """
    for reverse, training in itertools.product((False, True), repeat=2):
        module = s.build().train(training)
        try:
            (ys, slopes), (eager_ys, eager_slopes) = (
                _scanned(s, module, example, reverse, compiled=choice) for choice in (True, False)
            )
        except RandomStepError:
            if not training:
                raise
            continue
        way = f"compiled{', in training' * training}{', in reverse' * reverse},"
        for name, y in ys.items():
            equal(f"the {name} {way}", y, "on the tape", eager_ys[name], 1e-8)
        for name, g in slopes.items():
            zero = np.zeros(leaves_of(module, play(s, module, example))[name].shape)
            a, b = (zero if g is None else g for g in (g, eager_slopes[name]))
            equal(f"the gradient of {name} {way}", a, "on the tape", b, 1e-8)


def _scanned(s: Subject, module: Any, example: Example, reverse: bool, compiled: bool) -> Any:
    """The outputs and final states of a scan, and the gradients of all its leaves."""
    random.seed(0)  # the state is what the module itself makes of a step
    xs, state = make_inputs(s, module, example), make_state(s, module, example)
    named = dict(zip(names(state, "state"), flatten(state), strict=True))
    leaves = {
        name: Tensor(x.data, requires_grad=True)
        for name, x in {"x": xs.data, **named}.items()
        if x.dtype.kind == "f"
    }

    def call() -> dict[str, Tensor]:
        random.seed(0)  # the same noise every time
        before = rebuild(state, iter([leaves.get(name, x) for name, x in named.items()]))
        ys, final = scan(module, xs.with_data(leaves["x"]), before, reverse=reverse, compiled=compiled)
        return {"output": ys.data, **dict(zip(names(final, "final state"), flatten(final), strict=True))}

    p = Play(leaves, call)
    values = {name: np.array(array(y)) for name, y in call().items()}
    return values, gradients(p, leaves_of(module, p))


@law(
    "C15",
    "cell",
    "layer",
    usually="two gates are swapped, a constant went to the wrong gate, or a matrix is used transposed: "
    "compare step() "
    "with the formula in the docstring, letter by letter",
    exempt=lambda s: "" if s.declared.reference else "no reference= was given",
)
def formula(s: Subject, example: Example) -> None:
    """The outputs are those of the declared reference: the formula, one sequence and one step at a time."""
    module = s.build()
    assert s.declared.reference is not None
    parts = to_parts(make_inputs(s, module, example))
    state = make_state(s, module, example)
    ys, final = run_parts(module, parts, state)
    for i, part in enumerate(parts):
        if s.kind == "layer":
            want = s.declared.reference(module, part)
            if not s.is_stateful:
                equal(f"the output of sequence {i}", ys[i], "of the reference", want)
                continue
            alone = to_parts(run(module, Sequences.from_list([part]))[0])[0]
            equal(f"the output of sequence {i} from the initial state", alone, "of the reference", want)
            continue
        before = rebuild(state, iter([array(leaf)[i] for leaf in flatten(state)]))
        for t, x in enumerate(part):
            y, before = s.declared.reference(module, x, before)
            equal(f"the output of sequence {i} at step {t}", ys[i][t], "of the reference", y)
        for a, b in zip(flatten(final), flatten(before), strict=True):
            equal(f"the final state of sequence {i}", array(a)[i], "of the reference", b)
