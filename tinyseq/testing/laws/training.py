"""Laws that train: what works on the tape and in evaluation alone is of no use to a Trainer."""

import tempfile
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.engine import Tensor
from tinyseq.nn import Module, Parameter
from tinyseq.optim import SGD
from tinyseq.scan import Recurrent
from tinyseq.sequences import Sequences
from tinyseq.testing.law import DoesNotApply, Example, Violation, array, equal, finite, law
from tinyseq.testing.plays import COMPUTING, compute_loss, make_inputs, make_pair
from tinyseq.testing.subject import Subject
from tinyseq.training import BatchLoss, Trainer

BATCH = (Example((3, 1, 2), 3),)


class Task(Module):
    """A component with something to learn, as it is made and in float32: a cell runs as a layer, compiled."""

    def __init__(self, s: Subject, example: Example) -> None:
        self.part: Any = s.make()
        self.kind = s.kind
        if s.kind in ("cell", "layer"):
            self.xs: Any = make_inputs(s, self.part, example, np.float32)
            self.layer: Any = Recurrent(self.part) if s.kind == "cell" else self.part
            return
        self.xs, self.targets = make_pair(s, self.part, example, np.float32)
        rows = self.xs.data if isinstance(self.xs, Sequences) else self.xs
        # A loss without Parameters, and the features under a head, are trained by way of what they read.
        if isinstance(rows, Tensor) and rows.dtype.kind == "f" and s.kind != "model":
            self.free = Parameter(array(rows).copy())

    def loss(self) -> Tensor:
        """A scalar to train on."""
        if self.kind in ("cell", "layer"):
            ys = self.layer(self.xs)
            return ((ys.data if isinstance(ys, Sequences) else ys) ** 2).mean()
        xs = self.xs
        if hasattr(self, "free"):
            xs = xs.with_data(self.free) if isinstance(xs, Sequences) else self.free
        value = compute_loss(self.part, xs, self.targets)
        rows: Tensor = value.data if isinstance(value, Sequences) else value
        return rows if rows.shape == () else rows.mean()


def _objective(model: Any, batch: Any, state: Any) -> BatchLoss:
    return BatchLoss(model.loss(), 1.0)


@law(
    "C21",
    *COMPUTING,
    usually="something is done only in training, such as dropout in a step, in a way that a compiled step "
    "cannot follow; or it needs float64",
    examples=BATCH,
    shortest=None,
)
def training(s: Subject, example: Example) -> None:
    """A Trainer trains it as a user makes it, a cell compiled: its steps run, and what learns is finite."""
    random.seed(0)
    task = Task(s, example)
    before = {name: array(x).copy() for name, x in task.named_parameters() if x.requires_grad}
    if not before:
        raise DoesNotApply("it has no Parameters, and its inputs take no gradient")
    trainer = Trainer(task, SGD(task, lr=0.01), _objective, clip=1.0, bars=False, measure=False)
    trainer.fit([None] * 3, [None], epochs=2)
    if not any(np.any(array(x) != before[name]) for name, x in task.named_parameters() if name in before):
        raise Violation("after six steps of SGD, every Parameter is as it was.")
    for name, x in task.named_parameters():
        finite(f"{name}, trained,", x)


@law(
    "O4",
    "optimizer",
    usually="a sign, a decay or a correction is not as in the paper, or the step is counted from 0",
    examples=(Example((1,), 0), Example((3,), 1)),
    shortest=None,
    exempt=lambda s: "" if s.declared.reference else "no reference= was given",
)
def formula(s: Subject, example: Example) -> None:
    """The weights after some steps are those of the declared reference."""
    assert s.declared.reference is not None
    rng = np.random.default_rng(example.seed)
    start, slopes = rng.normal(size=(3, 2)), rng.normal(size=(4, 3, 2))
    w = Parameter(start.copy(), np.float64)
    optimizer = s.make()([w])
    for slope in slopes:
        optimizer.zero_grad()
        (w * Tensor(slope)).sum().backward()
        optimizer.step()
    want = s.declared.reference(optimizer, start.copy(), slopes.copy())
    equal("the weights after four steps", w, "of the reference", np.asarray(want, np.float64), 1e-7)


class _Point(Module):
    """A distance to a point, in two Parameters, beside one that nothing uses."""

    def __init__(self) -> None:
        self.w, self.b = Parameter(np.ones((3, 2), np.float32)), Parameter(np.ones(2, np.float32))
        self.unused = Parameter(np.ones(2, np.float32))

    def loss(self) -> Tensor:
        """The mean square."""
        return ((self.w + self.b) ** 2).mean()


@law(
    "O5",
    "optimizer",
    usually="an option or an array of the state is of another type than float32 or a plain number, or "
    "something is kept on the object that a checkpoint does not hold",
    examples=BATCH,
    shortest=None,
)
def trainer(s: Subject, example: Example) -> None:
    """A Trainer trains float32 with it, clipped, and goes on from a checkpoint as if without a break."""

    def made(folder: str | None) -> Any:
        model = _Point()
        return model, Trainer(
            model, s.make()(model), _objective, clip=1.0, bars=False, measure=False, directory=folder
        )

    with tempfile.TemporaryDirectory() as folder:
        model, straight = made(None)
        straight.fit([None] * 2, epochs=4)
        made(folder)[1].fit([None] * 2, epochs=2)
        other, resumed = made(folder)
        resumed.resume()
        resumed.fit([None] * 2, epochs=4)
    if array(model.w).dtype != np.float32:
        raise Violation(f"a float32 Parameter is {array(model.w).dtype} after a step.")
    for name in ("w", "b", "unused"):
        finite(f"the Parameter {name}", getattr(model, name))
        equal(f"{name} after a resumed run", getattr(other, name), "without a break", getattr(model, name), 0)
