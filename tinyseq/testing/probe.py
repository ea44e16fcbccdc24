"""Whether a component runs at all: if not, there is one thing to say, and not one for each law."""

import functools
import inspect
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from tinyseq.contracts import Cell, Head, Layer, Loss, Metric
from tinyseq.engine import no_grad
from tinyseq.errors import TraceError
from tinyseq.nn import Parameter
from tinyseq.optim import Optimizer
from tinyseq.testing.law import CannotRun, DoesNotApply, Example, Violation
from tinyseq.testing.plays import COMPUTING, play
from tinyseq.testing.subject import Subject, Undeclared

BASES: dict[str, Any] = {
    "cell": Cell, "layer": Layer, "loss": Loss, "head": Head, "metric": Metric, "optimizer": Optimizer,
}  # fmt: skip

_PACKAGE = str(Path(__file__).parents[1])
_TRIES = (Example((2, 1), 0), Example((3,), 1))


@functools.cache
def never_runs(s: Subject) -> str:
    """What to say of a component that raises whatever it is given; else an empty string."""
    raised: list[Exception] = []
    for example in _TRIES:
        try:
            _use_once(s, example)
        except (CannotRun, DoesNotApply, Undeclared, Violation, TraceError):
            return ""
        except Exception as error:
            raised.append(error)
        else:
            return ""
    first, second = raised
    if place(first) != place(second):
        return ""
    lines = [f"{s.label} cannot be tried: {type(first).__name__}: {first}", f"  {place(first)}"]
    method = _method(first, s)
    return "\n".join([*lines, f"  {method}: {_promise(s, method)}"] if method else lines)


def _use_once(s: Subject, example: Example) -> None:
    """The least that a component of this kind does."""
    if s.kind in COMPUTING:
        with no_grad():
            play(s, s.build(), example).call()
    elif s.kind == "optimizer":
        w = Parameter(np.ones(example.lengths), np.float64)
        optimizer = s.make()([w])
        (w * w).sum().backward()
        optimizer.step()
    elif s.kind == "initializer":
        s.make()(example.lengths)
    elif s.kind == "metric":
        s.make()


def place(error: Exception) -> str:
    """The innermost line that is not tinyseq's own, or the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)] or frames
    return f"{Path(theirs[-1].filename).name}:{theirs[-1].lineno}: {theirs[-1].line}"


def _method(error: Exception, s: Subject) -> str:
    """The method of the contract in which it went wrong, or which gave what could not be used."""
    called = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    promised = ["__init__", *getattr(BASES.get(s.kind), "__abstractmethods__", ()), "initial_state", "update"]
    named = [name for name in called if name in promised]
    if not named or s.kind not in BASES:
        return ""
    return named[-1]


def _promise(s: Subject, method: str) -> str:
    """What the contract says of a method, in a sentence."""
    if method == "__init__":
        return f"makes the {s.kind} from the arguments of the case."
    text = inspect.getdoc(getattr(BASES[s.kind], method, None)) or ""
    return " ".join(text.split("\n\n")[0].split())
