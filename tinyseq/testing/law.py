"""A law: what a component has to do, in a sentence, with a check that tries to find a counterexample."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyseq.backend import to_numpy
from tinyseq.engine import Tensor
from tinyseq.sequences import Sequences
from tinyseq.testing import laws

if TYPE_CHECKING:
    from tinyseq.testing.subject import Subject


@dataclass(frozen=True, slots=True)
class Example:
    """A batch to try: the length of each sequence, and the seed that its numbers are drawn from."""

    lengths: tuple[int, ...]
    seed: int

    def __str__(self) -> str:
        return f"lengths {list(self.lengths)}, seed {self.seed}"

    @property
    def rows(self) -> int:
        """The steps of all sequences together."""
        return sum(self.lengths)


SMALL = (Example((1,), 0), Example((2,), 1), Example((1, 2), 2), Example((3, 1, 2), 3))
"""From the smallest, so that the first counterexample is a small one; batch 1 and length 1 are among them."""

RAGGED = (Example((2, 3, 1), 4),)
LONGER = (Example((2,), 0), Example((3,), 1), Example((2, 4, 3), 2))
TOGETHER = (Example((1, 1), 0), Example((2, 1), 1), Example((1, 3, 2), 2))


class Violation(AssertionError):
    """A counterexample to a law, in words."""


class CannotRun(Exception):
    """Why a law that applies cannot be tried here."""


class DoesNotApply(Exception):
    """Why a law says nothing about this component."""


@dataclass(frozen=True, slots=True)
class Law:
    """`check(subject, example)` raises Violation where `sentence` is not true."""

    id: str
    name: str
    sentence: str
    usually: str
    """What is wrong, most of the time, with a component that breaks it."""
    kinds: tuple[str, ...]
    check: "Callable[[Subject, Example], None]"
    examples: tuple[Example, ...]
    shortest: int | None
    """The shortest sequence that Hypothesis may draw; None: only the fixed examples are tried."""
    fewest: int
    exempt: "Callable[[Subject], str]"
    """Why the law does not apply to what was declared; an empty string if it does."""

    @property
    def title(self) -> str:
        """The id and the name, as reports show them."""
        return f"{self.id} {self.name}"


LAWS: list[Law] = []


def law(
    id: str,
    *kinds: str,
    usually: str,
    examples: tuple[Example, ...] = SMALL,
    shortest: int | None = 1,
    fewest: int = 1,
    exempt: "Callable[[Subject], str]" = lambda subject: "",
) -> "Callable[[Callable[[Subject, Example], None]], Callable[[Subject, Example], None]]":
    """Make a law of a function: its name is the law's, the first paragraph of its docstring the sentence."""

    def declare(check: "Callable[[Subject, Example], None]") -> "Callable[[Subject, Example], None]":
        sentence = " ".join((check.__doc__ or "").split("\n\n")[0].split())
        name = check.__name__.replace("_", "-")
        LAWS.append(Law(id, name, sentence, usually, kinds, check, examples, shortest, fewest, exempt))
        return check

    return declare


@functools.cache
def laws_of(kind: str) -> tuple[Law, ...]:
    """Every law for components of this kind, by family and number."""
    for family in iter_modules(laws.__path__):  # each of them needs this module
        import_module(f"{laws.__name__}.{family.name}")
    mine = [law for law in LAWS if kind in law.kinds]
    return tuple(sorted(mine, key=lambda law: (law.id[0], int(law.id[1:]))))


def array(value: Any) -> np.ndarray[Any, Any]:
    """The values of a Tensor, of Sequences (packed), or of an array of any backend, in host memory."""
    if isinstance(value, Sequences):
        value = value.data
    return to_numpy(value.data) if isinstance(value, Tensor) else np.asarray(value)


def equal(what: str, got: Any, other: str, want: Any, tolerance: float = 1e-9) -> None:
    """Raise Violation unless two arrays agree to a relative (below 1: absolute) difference of `tolerance`."""
    a, b = array(got), array(want)
    if a.shape != b.shape:
        raise Violation(f"{what} has shape {a.shape}, {other} {b.shape}.")
    if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        raise Violation(f"{what} holds {a.dtype}, {other} {b.dtype}.")
    close = np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
    if not close.all():
        at = tuple(np.argwhere(~close)[0].tolist())
        place = f" at {list(at)}; {int((~close).sum())} of {close.size} values differ" if at else ""
        raise Violation(f"{what}: {a[at]:.6g}; {other}: {b[at]:.6g}{place}.")


def finite(what: str, value: Any) -> None:
    """Raise Violation if a value is infinite or not a number."""
    values = array(value)
    bad = ~np.isfinite(values)
    if bad.any():
        raise Violation(f"{what} has {values[bad][0]} in {int(bad.sum())} of {bad.size} values.")
