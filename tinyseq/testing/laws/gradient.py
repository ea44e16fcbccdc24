"""Laws about derivatives, for everything that computes from Parameters."""

import re
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.engine import Leaf, sweep
from tinyseq.testing.gradients import check_gradients
from tinyseq.testing.law import RAGGED, DoesNotApply, Example, Violation, equal, law
from tinyseq.testing.plays import COMPUTING, Play, gradients, leaves_of, make_inputs, play, run, weigh
from tinyseq.testing.subject import Subject, spread_weights


def _check_derivatives(s: Subject, example: Example, order: int, training: bool = False) -> None:
    """Raise Violation if differences contradict the gradients, there and at other points too."""
    message = ""
    # Near a kink (of a maximum, say) differences are wrong; a gradient that is wrong is so everywhere.
    for seed in range(3):
        module = s.build().train(training)
        spread_weights(module, np.float64, seed)
        p = play(s, module, Example(example.lengths, example.seed + 100 * seed))
        leaves = leaves_of(module, p)
        if not leaves:
            raise DoesNotApply("it has no Parameters, and its inputs take no gradient")
        message = _contradiction(p, leaves, order)
        if not message:
            return
    raise Violation(f"in training, {message}" if training else message)


def _contradiction(p: Play, leaves: dict[str, Any], order: int) -> str:
    """What differences say against the gradients of all leaves, and of each by itself; empty if nothing."""
    whole = _difference(p, list(leaves.values()), order)
    if not whole:
        return ""
    wrong = {name: _difference(p, [leaf], order) for name, leaf in leaves.items()}
    named = [f"{name} ({text})" for name, text in wrong.items() if text]
    return f"{'; '.join(named) or whole}."


def _difference(p: Play, leaves: list[Any], order: int) -> str:
    def call() -> list[Any]:
        random.seed(0)  # the same masks every time
        return list(p.call().values())

    try:
        check_gradients(call, leaves, order=order, tolerance=1e-6)
    except AssertionError as error:
        return shortened(error)
    return ""


def shortened(error: AssertionError) -> str:
    """What check_gradients() and check_rule() say, with fewer digits."""
    text = str(error).split("; leaf by leaf")[0].splitlines()[0].split(": ", 1)[-1]
    return re.sub(r"-?\d+\.\d{5,}(e-?\d+)?", lambda number: f"{float(number[0]):.6g}", text)


@law(
    "C7",
    *COMPUTING,
    usually="a hand-written pullback is wrong, a value goes round the tape (through .data, .numpy() or "
    "detach()), "
    "or the initial state is replaced by zeros",
    examples=RAGGED,
)
def gradient(s: Subject, example: Example) -> None:
    """The gradients of inputs, states and Parameters are what differences of the outputs say."""
    _check_derivatives(s, example, 1)
    _check_derivatives(s, example, 1, training=True)


@law(
    "C8",
    *COMPUTING,
    usually="a Parameter is not used, or is used through .data or detach(); or a weight is no Parameter, so "
    "that "
    "it is neither trained nor saved",
    examples=(Example((3, 2, 4), 0),),
    shortest=None,
)
def completeness(s: Subject, example: Example) -> None:
    """Every Parameter gets a gradient for some input, and nothing else that computes takes one."""
    module = s.build()
    missing: set[str] | None = None
    for seed in range(4):
        p = play(s, module, Example(example.lengths, example.seed + seed))
        named = {name: x for name, x in module.named_parameters() if x.requires_grad}
        _check_leaves(p, leaves_of(module, p))
        # From the initial state as well, which may have Parameters of its own.
        reached = _reached(p, named) | _reached(_from_start(s, module, example, p), named)
        missing = (set(named) - reached) if missing is None else missing - reached
    if missing:
        raise Violation(f"the gradient of {' and '.join(sorted(missing))} is zero for every input tried.")


def _reached(p: Play, leaves: dict[str, Any]) -> set[str]:
    return {name for name, g in gradients(p, leaves).items() if g is not None and np.any(g)}


def _from_start(s: Subject, module: Any, example: Example, p: Play) -> Play:
    if not s.is_stateful:
        return p
    xs = make_inputs(s, module, example)
    return Play({}, lambda: {"output": run(module, xs)[0].data})


def _check_leaves(p: Play, known: dict[str, Any]) -> None:
    value = weigh(p.call())
    if value is None or value.source is None:
        return
    own = {x.source[0] for x in known.values()}
    for key in sweep([(value.source, np.ones(()))]):
        if isinstance(key, Leaf) and key not in own:
            raise Violation("a Tensor that takes gradients is used, but named_parameters() does not list it.")


@law(
    "C9",
    *COMPUTING,
    usually="a pullback computes with arrays instead of the words of xp, or leaves out that it depends on "
    "the inputs",
    examples=RAGGED,
    shortest=None,
)
def second_order(s: Subject, example: Example) -> None:
    """Gradients of gradients are what differences of the gradients say."""
    _check_derivatives(s, example, 2)


@law(
    "C14",
    "cell",
    "layer",
    usually="a pullback does not expect None, or zeros, for an output that nobody used",
    examples=RAGGED,
    exempt=lambda s: "" if s.is_stateful else "it has one output",
)
def unused_outputs(s: Subject, example: Example) -> None:
    """Any of the outputs and final states may be unused: the gradients of the parts add up to the whole's."""
    module = s.build()
    p = play(s, module, example)
    leaves = leaves_of(module, p)
    names = list(p.call())
    whole = gradients(p, leaves)
    parts = [gradients(p, leaves, [name]) for name in names]
    for leaf, total in whole.items():
        used = [part[leaf] for part in parts if part[leaf] is not None]
        if total is not None:
            equal(f"the gradient of {leaf}, output by output,", sum(used), "from all outputs at once", total)
