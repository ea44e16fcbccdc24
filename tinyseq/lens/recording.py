"""Recording scans: what goes into every step of every cell, its local variables, and what comes out."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from tinyseq import ops, random
from tinyseq.contracts import Cell
from tinyseq.engine import Tensor, no_grad
from tinyseq.nn import Module
from tinyseq.scan import Recurrent
from tinyseq.scan.eager import Step
from tinyseq.scan.state import flatten, names, rebuild, tree_map
from tinyseq.scan.watch import watching
from tinyseq.sequences import Layout

Values = dict[str, Tensor]


@dataclass
class Visit:
    """One step of a scan. Tensors have a row for each sequence that has this step, longest first."""

    x: Any
    before: Any  # the state
    output: Any
    after: Any  # the state
    values: dict[str, Values]  # by layer, the local variables of its `step` when it returned
    added: Any = None  # zeros that were added to the state after the step, if gradients are wanted there


@dataclass
class Recording:
    """One scan: its visits in the order of reading."""

    layer: str
    step: Step
    layout: Layout
    reverse: bool
    rows: set[tuple[str, str]] = field(default_factory=set)  # (layer, name) of what has rows for sequences
    visits: list[Visit] = field(default_factory=list)

    def time(self, visit: int) -> int:
        """The step of the sequences that a visit was to."""
        return self.layout.steps - 1 - visit if self.reverse else visit


class Recorder:
    """Watches the scans of a model; a scan inside another's step is part of that step.

    With `reach`, zeros that take gradients are added to the state after every step, and to the output where
    that is the same Tensor, so that a gradient can be asked for there even if all Parameters are frozen.
    """

    def __init__(self, model: Module, *, reach: bool = False) -> None:
        self.recordings: list[Recording] = []
        self._reach = reach
        self._inside = False
        self._paths = _paths(model)
        self._codes = {
            code for module in model.modules() if isinstance(module, Cell) for code in _codes(module)
        }

    def __call__(self, step: Step, layout: Layout, reverse: bool) -> Step:
        """What runs in place of a step: the step, and a note of it."""
        if self._inside:
            return step
        owner = getattr(step, "__self__", None)
        layer = self._paths.get(id(owner), getattr(step, "__name__", "step"))
        recording = Recording(layer, step, layout, reverse)
        self.recordings.append(recording)

        def noted(x: Any, state: Any) -> tuple[Any, Any]:
            if not recording.visits:
                recording.rows = self._row_names(recording, x, state)
            result, values = self._look(recording, x, state)
            if not isinstance(result, tuple) or len(result) != 2:
                return result  # which the scan refuses
            visit = Visit(x, state, *result, values)
            if self._reach:
                visit.output, visit.after, visit.added = _reachable(*result)
            recording.visits.append(visit)
            return visit.output, visit.after

        return noted

    def _look(self, recording: Recording, x: Any, state: Any) -> tuple[Any, dict[str, Values]]:
        """What the step returns, and the local variables of every cell's step on the way."""
        seen: dict[str, Values] = {}
        code = _code(recording.step)

        def look(frame: Any, event: str, _: Any) -> None:
            if event == "return" and (frame.f_code is code or frame.f_code in self._codes):
                layer = self._layer_of(frame, recording.layer if frame.f_code is code else None)
                if layer is not None:  # a step that was inherited returns first, and its heir has the say
                    seen[layer] = seen.get(layer, {}) | _tensors(frame.f_locals)

        profiler: Any = sys.getprofile()
        self._inside = True
        sys.setprofile(look)
        try:
            return recording.step(x, state), seen
        finally:
            self._inside = False
            if hasattr(profiler, "enable"):  # cProfile's, which is no function
                profiler.enable()
            else:
                sys.setprofile(profiler)

    def _layer_of(self, frame: Any, otherwise: str | None) -> str | None:
        """The layer whose method runs in a frame."""
        first = frame.f_code.co_varnames[:1]
        return self._paths.get(id(frame.f_locals.get(*first)) if first else 0, otherwise)

    def _row_names(self, recording: Recording, x: Any, state: Any) -> set[tuple[str, str]]:
        """The names of what has a row for each sequence: its length goes with the number of sequences.

        A part of a parameter may be as long by chance; so the step is tried once with another number.
        """
        n = len(flatten(x)[0])
        other = 1 if n > 1 else 2
        fewer = lambda leaf: ops.concatenate([leaf[:1]] * other)
        before = random.get_state()
        try:
            with no_grad():
                _, tried = self._look(recording, tree_map(fewer, x), tree_map(fewer, state))
        finally:
            random.set_state(before)
        return {
            (layer, name)
            for layer, values in tried.items()
            for name, value in values.items()
            if value.shape[:1] == (other,)
        }


@contextmanager
def recorded(model: Module, *, reach: bool = False) -> Iterator[list[Recording]]:
    """The scans that run within, as a list that fills."""
    recorder = Recorder(model, reach=reach)
    with model.evaluating(), watching(recorder):
        yield recorder.recordings


def _reachable(output: Any, after: Any) -> tuple[Any, Any, Any]:
    """Output and state with zeros added to the state, and the zeros."""
    reached, added = with_reach(after)
    sums = dict(zip(map(id, flatten(after)), flatten(reached), strict=True))
    return tree_map(lambda leaf: sums.get(id(leaf), leaf), output), reached, added


def with_reach(state: Any) -> tuple[Any, Any]:
    """The same state, and zeros that were added to it, for which a gradient can be asked."""
    added = tree_map(lambda leaf: Tensor(ops.zeros_like(leaf).data, requires_grad=True), state)
    sums = [leaf + zeros for leaf, zeros in zip(flatten(state), flatten(added), strict=True)]
    return rebuild(state, iter(sums)), added


def _tensors(scope: dict[str, Any]) -> Values:
    """The Tensors among local variables; parts of tuples and lists by dotted names."""
    found: Values = {}
    for name, value in scope.items():
        tree = tuple(value) if isinstance(value, list) else value
        for path, leaf in zip(names(tree, name), flatten(tree), strict=True):
            if isinstance(leaf, Tensor):
                found[path] = leaf
    return found


def _code(step: Step) -> CodeType | None:
    function = inspect.unwrap(step)
    return getattr(getattr(function, "__func__", function), "__code__", None)


def _codes(cell: Cell) -> Iterator[CodeType]:
    """The code of a cell's `step`, and of those that it inherits."""
    own: list[Callable[..., Any]] = [vars(cls)["step"] for cls in type(cell).__mro__ if "step" in vars(cls)]
    return (code for step in own if (code := _code(step)) is not None)


def _paths(model: Module) -> dict[int, str]:
    """By id, the path of each module; a cell is called after the Recurrent that runs it."""
    modules = list(model.named_modules())
    runners = [path for path, module in modules if isinstance(module, Recurrent)]

    def short(path: str) -> str:
        for runner in reversed(runners):  # from the inside out
            cell = f"{runner}.cell".lstrip(".")
            if f"{path}.".startswith(f"{cell}."):
                path = f"{runner}{path[len(cell) :]}".lstrip(".")
        return path

    return {id(module): short(path) for path, module in modules}
