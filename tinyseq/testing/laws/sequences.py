"""Laws for what reads sequences: cells (run by `tinyseq.scan`) and layers."""

from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.engine import Tensor, grad
from tinyseq.scan import scan
from tinyseq.scan.state import flatten, tree_map
from tinyseq.sequences import Sequences
from tinyseq.testing.law import LONGER, TOGETHER, DoesNotApply, Example, Violation, array, equal, law
from tinyseq.testing.plays import (
    draws_in_training,
    gradients,
    make_inputs,
    make_state,
    play,
    run,
    run_parts,
    to_parts,
    weights_of,
)
from tinyseq.testing.subject import Subject

BOTH = ("cell", "layer")


def _rows(state: Any, index: Any) -> Any:
    """The state of some of the sequences."""
    return tree_map(lambda leaf: Tensor(array(leaf)[index]), state)


def _compare(what: str, got: tuple[Any, Any], other: str, want: tuple[Any, Any]) -> None:
    """Outputs (lists of arrays) and final states must agree."""
    for i, (a, b) in enumerate(zip(got[0], want[0], strict=True)):
        equal(f"the output of sequence {i} {what}", a, other, b)
    for a, b in zip(flatten(got[1]), flatten(want[1]), strict=True):
        equal(f"a final state {what}", a, other, b)


@law(
    "C2",
    *BOTH,
    usually="something is computed over the batch axis (a mean, a maximum, a norm with the wrong axis), "
    "also in training",
    examples=TOGETHER,
    fewest=2,
)
def rows(s: Subject, example: Example) -> None:
    """What one sequence gives does not depend on the other sequences of its batch, nor on their order."""
    module = s.build()
    noisy = draws_in_training(s, module, example)

    def gives(parts: Any, state: Any) -> Any:
        random.seed(0)  # the same noise for what stands at the same place
        return run_parts(module, parts, state)

    for training in (False, True):
        module.train(training)
        parts = to_parts(make_inputs(s, module, example))
        others = to_parts(make_inputs(s, module, Example(example.lengths, example.seed + 1)))
        state = make_state(s, module, example)
        ys, final = gives(parts, state)
        mixed = [parts[0], *others[1:]]
        got, _ = gives(mixed, state)
        equal("the output of sequence 0 beside other sequences", got[0], "before", ys[0])
        if training and noisy:  # in another order sequences get the noise of other places
            continue
        order = list(reversed(range(len(parts))))
        turned = gives([parts[i] for i in order], None if state is None else _rows(state, order))
        _compare("in another order", turned, "before", ([ys[i] for i in order], _rows(final, order)))


@law(
    "C3",
    *BOTH,
    usually="a mean, maximum or normalisation runs over the time axis, or a sequence is reversed that "
    "should not be "
    "(or is not, where it should)",
    examples=LONGER,
    shortest=2,
    exempt=lambda s: "" if s.context else "nobody declared which steps it reads: context=",
)
def causality(s: Subject, example: Example) -> None:
    """An output depends on the steps that it may read, and on no other: a cell's, on no later one."""
    module = s.build()
    for k in range(max(example.lengths)):
        for i, change in enumerate(_changes(s, module, example, k)):
            for t in np.flatnonzero(change > 1e-9):
                if not _may_read(s.context, int(t), k):
                    raise Violation(f"step {k} of sequence {i} changes the output at step {t}.")
    if s.context == "position":
        return
    if s.context != "past" and not _ever_reads(s, module, example, later=True):
        raise Violation("no step changes the output at an earlier one.")
    if s.context != "future" and not _ever_reads(s, module, example, later=False):
        raise Violation("no step changes the output at a later one.")


def _ever_reads(s: Subject, module: Any, example: Example, later: bool) -> bool:
    """Whether some output depends on a later (an earlier) step; activations may be flat for some inputs."""
    for n in range(8):
        one = Example((max(example.lengths),), example.seed + 10 * n)
        for k in range(one.rows):
            (change,) = _changes(s, module, one, k)
            if np.any(change[:k] if later else change[k + 1 :]):
                return True
    return False


def _may_read(context: str | None, t: int, k: int) -> bool:
    """Whether the output at step t may depend on step k."""
    return {"position": k == t, "past": k <= t, "future": k >= t}.get(str(context), True)


def _changes(s: Subject, module: Any, example: Example, k: int) -> list[Any]:
    """For each sequence that has a step k: how much each output changes when that step does."""
    parts = to_parts(make_inputs(s, module, example))
    others = to_parts(make_inputs(s, module, Example(example.lengths, example.seed + 1)))
    state = make_state(s, module, example)
    changed = [np.concatenate([p[:k], o[k : k + 1], p[k + 1 :]]) for p, o in zip(parts, others, strict=True)]
    before, after = (run_parts(module, xs, state)[0] for xs in (parts, changed))
    return [
        np.abs(b - a).max(axis=tuple(range(1, a.ndim)))
        for a, b in zip(before, after, strict=True)
        if k < len(a)
    ]


@law(
    "C4",
    *BOTH,
    usually="the final state is not the one after the last step, a part of it is missing, or something is "
    "kept on the object",
    examples=LONGER,
    shortest=2,
    exempt=lambda s: (
        ""
        if s.is_stateful and s.context in ("past", "future")
        else "it carries no state in one direction of time"
    ),
)
def chunking(s: Subject, example: Example) -> None:
    """Reading sequences in two parts, the state handed on, gives what reading them at once gives."""
    module = s.build()
    state = make_state(s, module, example)
    parts = to_parts(make_inputs(s, module, example))
    whole = run_parts(module, parts, state)
    k = 1 + example.seed % (min(example.lengths) - 1) if min(example.lengths) > 1 else 1
    one, two = [p[:k] for p in parts], [p[k:] for p in parts]
    if s.context == "future":
        ys_two, middle = run_parts(module, two, state)
        ys_one, final = run_parts(module, one, middle)
    else:
        ys_one, middle = run_parts(module, one, state)
        ys_two, final = run_parts(module, two, middle)
    joined = [np.concatenate(pair) for pair in zip(ys_one, ys_two, strict=True)]
    _compare(f"in two parts (cut at step {k})", (joined, final), "at once", whole)


@law(
    "C5",
    *BOTH,
    usually="padding leaks in: a mean, maximum or normalisation over time counts steps that a shorter "
    "sequence does not "
    "have, or the last row is taken for the last step",
    examples=TOGETHER,
)
def packing(s: Subject, example: Example) -> None:
    """A sequence alone gives the outputs, final state and gradients that it gives in a batch."""
    module = s.build()
    xs, state = make_inputs(s, module, example), make_state(s, module, example)
    parts = to_parts(xs)
    ys, final = run_parts(module, parts, state)
    p = play(s, module, example)
    slope = gradients(p, p.leaves, ["output"]).get("x")
    slopes = None if slope is None else to_parts(xs.with_data(Tensor(slope)))
    weights = to_parts(xs.with_data(weights_of("output", p.call()["output"])))
    for i, part in enumerate(parts):
        x = Tensor(part, requires_grad=slopes is not None)
        y, last = run(module, Sequences.from_list([x]), None if state is None else _rows(state, [i]))
        equal(f"the output of sequence {i} alone", y, "in the batch", ys[i])
        for a, b in zip(flatten(last), flatten(final), strict=True):
            equal(f"the final state of sequence {i} alone", a, "in the batch", array(b)[[i]])
        if slopes is not None:
            (g,) = grad((y.data * Tensor(weights[i])).sum(), [x], allow_unused=True)
            equal(
                f"the gradient of sequence {i} alone", 0 * part if g is None else g, "in the batch", slopes[i]
            )


@law(
    "C6",
    *BOTH,
    usually="the backward half is not reversed, is reversed together with the padding, or is not turned back",
    examples=LONGER,
    shortest=2,
    exempt=lambda s: (
        ""
        if s.kind == "cell" or s.context == "halves"
        else 'it is not declared to read both ways: context="halves"'
    ),
)
def reversal(s: Subject, example: Example) -> None:
    """Reading in reverse is reading the reversed sequence, and of two directions each has its own half.

    A layer with context="halves" gives features of a reading from the start, then those of one from the end.
    """
    module = s.build()
    if s.kind == "cell":
        xs, state = make_inputs(s, module, example), make_state(s, module, example)
        ys, final = scan(module, xs, state, reverse=True, compiled=False)
        turned, last = scan(module, xs.reverse(), state, compiled=False)
        _compare(
            "in reverse",
            (to_parts(ys), final),
            "of the reversed sequence",
            (to_parts(turned.reverse()), last),
        )
        return
    parts = to_parts(make_inputs(s, module, example))
    others = to_parts(make_inputs(s, module, Example(example.lengths, example.seed + 1)))
    state = make_state(s, module, example)
    ys, _ = run_parts(module, parts, state)
    first = [np.concatenate([o[:1], p[1:]]) for p, o in zip(parts, others, strict=True)]
    last = [np.concatenate([p[:-1], o[-1:]]) for p, o in zip(parts, others, strict=True)]
    for i, (y, after_first, after_last) in enumerate(
        zip(ys, run_parts(module, first, state)[0], run_parts(module, last, state)[0], strict=True)
    ):
        if len(y) > 1:
            _check_halves(i, np.abs(after_first - y) > 1e-9, np.abs(after_last - y) > 1e-9)


def _check_halves(sequence: int, by_first: Any, by_last: Any) -> None:
    """Which outputs (steps, features) of one sequence its first and its last step change."""
    half = by_first.shape[1] // 2
    ahead, back = slice(0, half), slice(half, None)
    where = f"sequence {sequence}"
    if by_first[1:, back].any():
        raise Violation(
            f"in {where}, the first step changes the second half of the features at a later step."
        )
    if by_last[:-1, ahead].any():
        raise Violation(
            f"in {where}, the last step changes the first half of the features at an earlier step."
        )
    if not by_last[0, back].any():
        raise Violation(
            f"in {where}, the last step does not change the second half of the features at the first step."
        )
    if not by_first[-1, ahead].any():
        raise Violation(
            f"in {where}, the first step does not change the first half of the features at the last step."
        )


@law(
    "C19",
    "layer",
    usually="forward() handles Sequences and forgets plain Tensors, or takes their axes in another order",
    examples=(Example((1,), 0), Example((2, 2), 1), Example((3, 3), 2)),
    shortest=None,
)
def forms(s: Subject, example: Example) -> None:
    """A Tensor (batch, time, ...) gives the same as Sequences of equal lengths."""
    module = s.build()
    xs = make_inputs(s, module, example)
    ys, dense = module(xs), module(xs.to_padded())
    if not isinstance(ys, Sequences) or not isinstance(dense, Tensor):
        raise Violation(f"Sequences give {type(ys).__name__}, and a Tensor gives {type(dense).__name__}.")
    equal("the output for a Tensor", dense, "for Sequences", ys.to_padded())


@law(
    "C22",
    "layer",
    usually="`ends` lists the directions in another order than the features, or mixes up first and last",
    examples=(Example((3, 2, 4), 0),),
    shortest=None,
)
def ends(s: Subject, example: Example) -> None:
    """Where `ends` says that features have read their whole sequence, they change with its farthest step.

    Those at the last step change with the first one, those at the first step with the last one.
    """
    module = s.build()
    declared = getattr(module, "ends", None)
    if declared is None:
        raise DoesNotApply("it does not say where its ends are")
    parts = to_parts(make_inputs(s, module, example))
    ys, _ = run_parts(module, parts, None)
    total = sum(width for width, _ in declared)
    if ys[0].ndim != 2 or ys[0].shape[1] != total:
        raise Violation(
            f"ends are of {total} features, but the output has shape {ys[0].shape[1:]} at each step."
        )
    reads = {"last": np.zeros(total, bool), "first": np.zeros(total, bool)}
    for seed in range(4):  # activations may be flat for some inputs
        others = to_parts(make_inputs(s, module, Example(example.lengths, example.seed + seed + 1)))
        first = [np.concatenate([o[:1], p[1:]]) for p, o in zip(parts, others, strict=True)]
        last = [np.concatenate([p[:-1], o[-1:]]) for p, o in zip(parts, others, strict=True)]
        for changed, end, step in ((first, "last", -1), (last, "first", 0)):
            for y, before in zip(run_parts(module, changed, None)[0], ys, strict=True):
                reads[end] |= np.abs(y[step] - before[step]) > 1e-12
    at = 0
    for width, end in declared:
        unread = np.flatnonzero(~reads[end][at : at + width])
        if unread.size:
            other = "first" if end == "last" else "last"
            raise Violation(
                f"feature {at + unread[0]}, said to have read everything at the {end} step, does not change "
                f"there with the {other} step."
            )
        at += width
