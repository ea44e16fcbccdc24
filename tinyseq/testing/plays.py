"""Components at work: the same few verbs for cells, layers, losses and heads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyseq import ops, random
from tinyseq.contracts import Cell
from tinyseq.engine import Tensor, grad, no_grad
from tinyseq.nn import Module
from tinyseq.scan import scan
from tinyseq.scan.state import flatten, names, rebuild, tree_map
from tinyseq.sequences import Layout, Sequences
from tinyseq.testing.law import Example, array
from tinyseq.testing.subject import Subject, Undeclared

COMPUTING = ("cell", "layer", "loss", "head", "model")
"""The kinds that compute outputs from inputs and Parameters."""

CLASSES = 4

Outputs = dict[str, Tensor]


@dataclass(frozen=True)
class Play:
    """`call()` runs the component on `leaves`, which it takes gradients for, and gives its outputs by
    name.
    """

    leaves: dict[str, Tensor]
    call: Callable[[], Outputs]


def play(s: Subject, module: Any, example: Example, dtype: Any = np.float64) -> Play:
    """A run of `module` on the example's numbers."""
    if s.kind in ("cell", "layer"):
        return _sequence_play(s, module, example, dtype)
    return _loss_play(s, module, example, dtype)


def _sequence_play(s: Subject, module: Any, example: Example, dtype: Any) -> Play:
    xs = make_inputs(s, module, example, dtype)
    state = make_state(s, module, example, dtype)
    named = dict(zip(names(state, "state"), flatten(state), strict=True)) if s.is_stateful else {}
    leaves = {name: _leaf(x) for name, x in {"x": xs.data, **named}.items() if x.dtype.kind == "f"}

    def call() -> Outputs:
        rows = leaves.get("x", xs.data)
        before = rebuild(state, iter([leaves.get(name, x) for name, x in named.items()])) if named else None
        ys, after = run(module, xs.with_data(rows), before)
        outputs = {"output": ys.data}
        if s.is_stateful:
            outputs |= dict(zip(names(after, "final state"), flatten(after), strict=True))
        return outputs

    return Play(leaves, call)


def _loss_play(s: Subject, module: Any, example: Example, dtype: Any) -> Play:
    first, targets = make_pair(s, module, example, dtype)
    given = flatten(first)
    called = names(first, "predictions" if s.kind == "loss" else "features")
    rows = {name: x.data if isinstance(x, Sequences) else x for name, x in zip(called, given, strict=True)}
    leaves = {name: _leaf(x) for name, x in rows.items() if x.dtype.kind == "f"}

    def call() -> Outputs:
        now = [leaves.get(name, x) for name, x in rows.items()]
        forms = [x.with_data(y) if isinstance(x, Sequences) else y for x, y in zip(given, now, strict=True)]
        value = compute_loss(module, rebuild(first, iter(forms)), targets)
        return {"loss": value.data if isinstance(value, Sequences) else value}

    return Play(leaves, call)


def compute_loss(module: Any, first: Any, targets: Any) -> Any:
    """The loss of a Loss itself, or of a Head or a model."""
    return module.loss(first, targets) if hasattr(module, "loss") else module(first, targets)


def _leaf(x: Tensor) -> Tensor:
    return Tensor(x.data, requires_grad=True)


def run(module: Any, xs: Any, state: Any = None) -> tuple[Any, Any]:
    """The outputs, and the final state; () for a layer without one. A cell's step runs as it is written."""
    if isinstance(module, Cell):
        return scan(module, xs, state, compiled=False)
    if hasattr(module, "scan"):
        ys, final = module.scan(xs, state)
        return ys, final
    return module(xs), ()


def to_parts(xs: Sequences) -> list[np.ndarray[Any, Any]]:
    """Each sequence as an array."""
    return [array(x) for x in xs.to_list()]


def run_parts(module: Any, parts: list[Any], state: Any) -> tuple[list[Any], Any]:
    """`run` on arrays: one for each sequence goes in, and one comes out."""
    ys, final = run(module, Sequences.from_list(parts), state)
    return to_parts(ys), final


def make_inputs(s: Subject, module: Any, example: Example, dtype: Any = np.float64) -> Sequences:
    """The sequences that a cell or a layer reads, as declared by `inputs`, or of `input_size` features."""
    values = _input_rows(s, module, np.random.default_rng(example.seed), example.rows)
    return Sequences(_cast(values, dtype), Layout(example.lengths))


def _input_rows(s: Subject, module: Any, rng: np.random.Generator, rows: int) -> Any:
    declared = s.declared.inputs
    if callable(declared):
        return declared(module, rng, rows)
    width = getattr(module, "input_size", None) if declared is None else declared
    if not isinstance(width, int | np.integer):
        raise Undeclared(
            f"{s.name} has no input_size, so the kit cannot know what it reads: pass inputs=, a number of "
            "features or a function (layer, rng, rows) -> array (rows, ...)."
        )
    return rng.normal(size=(rows, width))


def make_state(s: Subject, module: Any, example: Example, dtype: Any = np.float64) -> Any:
    """A state that some earlier sequences lead to, in the caller's order; None without one."""
    if not s.is_stateful:
        return None
    earlier = Example((2,) * len(example.lengths), example.seed + 1000)
    state = run(module, make_inputs(s, module, earlier, dtype))[1]
    return tree_map(lambda leaf: Tensor(np.array(array(leaf))), state)


def make_pair(s: Subject, module: Any, example: Example, dtype: Any = np.float64) -> tuple[Any, Any]:
    """Predictions and targets of a loss (Tensors), or features and targets of a head."""
    rng = np.random.default_rng(example.seed)
    declared = s.declared.inputs
    if callable(declared):
        first, targets = declared(module, rng, example.lengths)
    elif s.kind == "loss":
        classes = CLASSES if declared is None else int(declared)
        first, targets = rng.normal(size=(example.rows, classes)), rng.integers(0, classes, example.rows)
    else:
        width, classes = _head_sizes(s, module)
        layout = Layout(example.lengths)
        first = Sequences(rng.normal(size=(example.rows, width)), layout)
        targets = Sequences(rng.integers(0, classes, example.rows), layout)
    return _cast(first, dtype), _cast(targets, dtype)


def _head_sizes(s: Subject, module: Any) -> tuple[int, int]:
    width = getattr(module, "input_size", None)
    declared = s.declared.inputs
    if not isinstance(width, int | np.integer) or not isinstance(declared, int):
        raise Undeclared(
            f"The kit cannot know what {s.name} reads: pass inputs=, the number of classes of its targets "
            "(and give the head an input_size), or a function (head, rng, lengths) -> (features, targets)."
        )
    return int(width), declared


def _cast(values: Any, dtype: Any) -> Any:
    """Floats in this dtype, anything else as it is; arrays become Tensors."""
    if isinstance(values, tuple):
        return tuple([_cast(value, dtype) for value in values])
    if isinstance(values, Sequences):
        return values.with_data(_cast(values.data, dtype))
    data = array(values)
    return Tensor(data.astype(dtype) if data.dtype.kind == "f" else data)


def values(p: Play) -> dict[str, np.ndarray[Any, Any]]:
    """A copy of the outputs, in host memory."""
    with no_grad():
        return {name: np.array(array(y)) for name, y in p.call().items()}


def leaves_of(module: Any, p: Play) -> dict[str, Tensor]:
    """Everything that takes a gradient: inputs, states and Parameters, by name."""
    named = module.named_parameters() if isinstance(module, Module) else ()
    return {**p.leaves, **{name: x for name, x in named if x.requires_grad}}


def weights_of(name: str, y: Tensor) -> Tensor:
    """A weight for each value of an output, whichever others are used."""
    return Tensor(np.random.default_rng(list(name.encode())).uniform(0.5, 1.5, y.shape).astype(y.dtype))


def weigh(outputs: Outputs, only: Sequence[str] | None = None) -> Tensor | None:
    """A scalar in which every value of the outputs (or of some of them) counts with a weight of its own.

    None if no gradient flows through any of them.
    """
    terms = []
    for name, y in outputs.items():
        if y.requires_grad and (only is None or name in only):
            terms.append(ops.sum(y * weights_of(name, y)))
    return sum(terms[1:], terms[0]) if terms else None


def gradients(p: Play, leaves: dict[str, Tensor], only: Sequence[str] | None = None) -> dict[str, Any]:
    """The gradient of the weighed outputs for every leaf, in host memory; None where there is none."""
    value = weigh(p.call(), only)
    if value is None:
        return dict.fromkeys(leaves)
    found = grad(value, list(leaves.values()), allow_unused=True)
    return {name: None if g is None else array(g) for name, g in zip(leaves, found, strict=True)}


def draws_in_training(s: Subject, module: Any, example: Example) -> bool:
    """Whether a run in training uses random numbers; leaves the module in training."""
    module.train()
    before = random.get_state()
    play(s, module, example).call()
    return random.get_state() != before
