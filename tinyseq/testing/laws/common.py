"""Laws for everything that computes from Parameters: cells, layers, losses, heads, models."""

import random as python_random
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.engine import sweep
from tinyseq.nn import Module
from tinyseq.testing.law import SMALL, DoesNotApply, Example, Violation, array, equal, finite, law
from tinyseq.testing.plays import COMPUTING, Play, gradients, leaves_of, play, values, weigh
from tinyseq.testing.subject import Subject


@law(
    "C1",
    *COMPUTING,
    usually="two sizes are mixed up (input_size where output_size is meant), an axis of length 1 is "
    "squeezed away, "
    "or a NumPy float64 array or scalar meets float32 numbers: make it a Python float, or of the input's "
    "dtype",
)
def sizes(s: Subject, example: Example) -> None:
    """Any batch, also of one sequence or of one step, gives outputs of the promised shapes, and float32 stays
    float32, float64 stays float64, in outputs and in gradients.
    """
    for dtype in (np.float32, np.float64):
        module = s.build(dtype)
        p = play(s, module, example, dtype)
        outputs = p.call()
        for name, y in outputs.items():
            if y.dtype.kind == "f" and y.dtype != dtype:
                raise Violation(f"inputs and Parameters are {np.dtype(dtype)}, but the {name} is {y.dtype}.")
        _check_shapes(s, module, example, outputs, p)
        leaves = leaves_of(module, p)
        value = weigh(outputs)
        for key, g in sweep([(value.source, np.ones((), dtype))]).items() if value and value.source else ():
            if g.dtype != dtype and (
                names := [n for n, x in leaves.items() if x.source and x.source[0] is key]
            ):
                raise Violation(
                    f"everything is {np.dtype(dtype)}, but the gradient of {names[0]} is {g.dtype}."
                )


def _check_shapes(s: Subject, module: Any, example: Example, outputs: dict[str, Any], p: Play) -> None:
    wanted: dict[str, tuple[int, ...]] = {}
    if s.kind in ("head", "model") or (s.kind == "loss" and module.reduction != "none"):
        wanted = {"loss": ()}
    elif s.kind == "cell" or hasattr(module, "output_size"):
        wanted = {"output": (example.rows, module.output_size)}
    if s.kind == "layer" and outputs["output"].shape[0] != example.rows:
        raise Violation(f"the output has {outputs['output'].shape[0]} rows for {example.rows} steps.")
    if (
        s.kind == "loss"
        and not wanted
        and not s.declared.mines
        and len(outputs["loss"].data) not in (example.rows, len(example.lengths))
    ):
        raise Violation(
            f'with reduction="none" the loss has shape {outputs["loss"].shape}, not one row for each.'
        )
    for name, shape in wanted.items():
        if outputs[name].shape != shape:
            raise Violation(f"the {name} has shape {outputs[name].shape}, not {shape}.")
    for name, y in outputs.items():
        before = p.leaves.get(name.removeprefix("final "))
        if before is not None and before.shape != y.shape:
            raise Violation(f"the {name} has shape {y.shape}; the state before had {before.shape}.")


@law(
    "C12",
    *COMPUTING,
    usually="an array is changed in place (x.data += ..., out=x.data): build a new one",
)
def manners(s: Subject, example: Example) -> None:
    """Inputs, states and Parameters are the same after the forward and the backward pass as before."""
    for training in (False, True):
        module = s.build().train(training)
        p = play(s, module, example)
        leaves = leaves_of(module, p)
        before = {name: np.array(array(x)) for name, x in leaves.items()}
        gradients(p, leaves)
        for name, x in leaves.items():
            equal(f"{name} after the call", x, "before it", before[name], 0)


@law(
    "C16",
    "cell",
    "layer",
    usually="an exponential overflows: use ops.sigmoid, ops.softmax or ops.logsumexp, which cannot",
)
def extremes(s: Subject, example: Example) -> None:
    """Inputs as large as 10,000 give finite outputs and gradients."""
    module = s.build()
    p = play(s, module, example)
    if "x" not in p.leaves:
        raise DoesNotApply("its inputs are no floats")
    x = p.leaves["x"]
    x.data = np.where(x.data > 0, 1e4, -1e4)
    with np.errstate(all="ignore"):
        check_finite(p, leaves_of(module, p))


def check_finite(p: Play, leaves: dict[str, Any]) -> None:
    """Raise Violation unless all values and gradients are finite."""
    for name, y in p.call().items():
        finite(f"the {name}", y)
    for name, g in gradients(p, leaves).items():
        if g is not None:
            finite(f"the gradient of {name}", g)


@law(
    "C17",
    *COMPUTING,
    usually="a state, a counter or a cache is kept on the object: whatever the next step needs belongs into "
    "the state",
    examples=SMALL[1:],
)
def memory(s: Subject, example: Example) -> None:
    """A call leaves nothing behind: the same call gives the same again, whatever was computed in between."""
    module = s.build()
    p = play(s, module, example)
    first = values(p)
    values(play(s, module, Example((*example.lengths, 2), example.seed + 1)))
    for name, y in values(p).items():
        equal(f"the {name} of the second call", y, "of the first", first[name], 0)


@law(
    "C18",
    *COMPUTING,
    usually="something random (dropout) does not ask self.training",
)
def evaluation(s: Subject, example: Example) -> None:
    """In evaluation nothing is random: equal inputs give equal outputs, and no random number is drawn."""
    module = s.build()
    p = play(s, module, example)
    before = random.get_state()
    random_before = global_randomness()
    first = values(p)
    if random.get_state() != before or global_randomness() != random_before:
        raise Violation("a call in evaluation draws random numbers.")
    for name, y in values(p).items():
        equal(f"the {name} of a second call", y, "of the first", first[name], 0)


@law(
    "C20",
    *COMPUTING,
    usually="numbers are drawn from np.random or random: draw them from tinyseq.random.generator()",
    examples=SMALL[-1:],
    shortest=None,
)
def randomness(s: Subject, example: Example) -> None:
    """All that is random, in initial values and in training, follows from tinyseq.seed()."""
    before = global_randomness()
    runs = []
    for _ in range(2):
        random.seed(7)
        module = s.make()
        initial = module.state_dict() if isinstance(module, Module) else {}
        module.to(np.float64)
        module.train()
        p = play(s, module, example)
        random.seed(8)
        runs.append((initial, values(p)))
        if global_randomness() != before:
            raise Violation("NumPy's or Python's global random state was used.")
    for (name, a), (_, b) in zip(runs[0][0].items(), runs[1][0].items(), strict=True):
        equal(f"{name} made after the same seed", b, "made first", a, 0)
    for name, y in runs[0][1].items():
        equal(f"the {name} in training, after the same seed,", runs[1][1][name], "at first", y, 0)


def global_randomness() -> Any:
    """The states of the generators that belong to everybody."""
    state: Any = np.random.get_state(legacy=False)
    return state["state"]["key"].tobytes(), state["state"]["pos"], python_random.getstate()
