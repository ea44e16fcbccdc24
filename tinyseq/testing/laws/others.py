"""Laws for ops, optimisers and initialisers, whose cases are the options of a call."""

from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.engine import Tensor
from tinyseq.nn import Parameter
from tinyseq.testing.law import Example, Violation, array, equal, law
from tinyseq.testing.laws.common import global_randomness
from tinyseq.testing.laws.gradient import shortened
from tinyseq.testing.rules import check_rule
from tinyseq.testing.subject import Subject, Undeclared

ONE = (Example((1,), 0), Example((3,), 1))


def _arguments(s: Subject, example: Example) -> list[np.ndarray[Any, Any]]:
    if not callable(s.declared.inputs):
        raise Undeclared(
            f"The kit cannot know what {s.name}() takes: pass inputs=, a function (rng, rows) -> arrays."
        )
    return list(s.declared.inputs(np.random.default_rng(example.seed), example.rows))


@law(
    "P1",
    "op",
    usually="the pullback forgets a factor or an argument, or says words that xp does not have",
    examples=ONE,
)
def derivatives(s: Subject, example: Example) -> None:
    """Its rule serves arrays and Tensors alike, and first and second derivatives are what differences say."""
    try:
        check_rule(s.make(), *_arguments(s, example), tolerance=1e-6)
    except AssertionError as error:
        raise Violation(f"{shortened(error)}.") from None


@law(
    "P2",
    "op",
    usually="the forward formula is wrong, or an axis is",
    examples=ONE,
    exempt=lambda s: "" if s.declared.reference else "no reference= was given",
)
def result(s: Subject, example: Example) -> None:
    """The op gives what the declared NumPy function gives, on arrays and Tensors, in its arguments' dtype."""
    assert s.declared.reference is not None
    args = _arguments(s, example)
    want = s.declared.reference(*args)
    equal("the result for arrays", s.make()(*args), "of the reference", want)
    equal("the result for Tensors", s.make()(*map(Tensor, args)), "of the reference", want)
    single = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in args]
    dtype = array(s.make()(*single)).dtype
    if np.asarray(want).dtype == np.float64 and dtype != np.float32:
        raise Violation(f"the result of float32 arguments is {dtype}.")


def _quadratic(steps: int, s: Subject, seed: int, resume_at: int | None = None) -> tuple[list[float], Any]:
    """Losses and final weights of minimising the distance to a point, with a break at step `resume_at`."""
    rng = np.random.default_rng(seed)
    w, goal = Parameter(rng.normal(size=(3, 2)), np.float64), Tensor(rng.normal(size=(3, 2)))
    optimizer = s.make()([w])
    losses = []
    for i in range(steps):
        if i == resume_at:
            w = Parameter(array(w), np.float64)
            saved, optimizer = optimizer.state_dict(), s.make()([w])
            optimizer.load_state_dict(saved)
        optimizer.zero_grad()
        loss = ((w - goal) ** 2).sum()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses, array(w)


@law(
    "O1",
    "optimizer",
    usually="a sign is wrong, or an average is not corrected for its start",
    examples=ONE[:1],
)
def descent(s: Subject, example: Example) -> None:
    """A hundred steps bring a quadratic nearer to its minimum."""
    losses, _ = _quadratic(100, s, example.seed)
    if not losses[-1] < losses[0]:
        raise Violation(f"the loss went from {losses[0]:.4g} to {losses[-1]:.4g}.")


@law(
    "O2", "optimizer", usually="an average or the number of steps is not part of the state", examples=ONE[:1]
)
def resuming(s: Subject, example: Example) -> None:
    """Saved and loaded halfway, it makes the same steps as without a break."""
    equal(
        "the weights after a break",
        _quadratic(6, s, example.seed, 3)[1],
        "without",
        _quadratic(6, s, example.seed)[1],
        0,
    )


@law("O3", "optimizer", usually="weight decay, or an average, moves what has no gradient", examples=ONE[:1])
def untouched(s: Subject, example: Example) -> None:
    """A Parameter without gradient stays as it is."""
    used, unused = (Parameter(np.ones(3), np.float64) for _ in range(2))
    optimizer = s.make()([used, unused])
    (used * used).sum().backward()
    optimizer.step()
    equal("a Parameter without gradient", unused, "before", np.ones(3), 0)


@law("I1", "initializer", usually="the dtype is not handed on", examples=ONE[:1])
def shape(s: Subject, example: Example) -> None:
    """The values have the shape and the dtype that were asked for, and are finite."""
    for dtype in (np.float32, np.float64):
        values = s.make()((4, 3), dtype)
        if values.shape != (4, 3) or values.dtype != dtype or not np.isfinite(values).all():
            raise Violation(f"asked for (4, 3) {np.dtype(dtype)}, it gives {values.shape} {values.dtype}.")


@law(
    "I2",
    "initializer",
    usually="numbers are drawn from np.random: use tinyseq.random.generator()",
    examples=ONE[:1],
)
def seeding(s: Subject, example: Example) -> None:
    """The same seed gives the same values, and no other random numbers are drawn."""
    before = global_randomness()
    drawn = []
    for _ in range(2):
        random.seed(example.seed)
        drawn.append(s.make()((4, 3)))
    equal("the values after the same seed", drawn[1], "at first", drawn[0], 0)
    if global_randomness() != before:
        raise Violation("NumPy's or Python's global random state was used.")
