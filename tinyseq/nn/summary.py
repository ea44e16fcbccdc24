"""A model at a glance: its modules, what they give for an example, and what is trained."""

import html
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinyseq.engine import Tensor, no_grad
from tinyseq.nn.module import Module, Parameter, _arguments
from tinyseq.sequences import Sequences


class Summary:
    """The lines of `summary`; printed, a table."""

    def __init__(self, rows: list[tuple[str, ...]], trainable: int, frozen: int) -> None:
        self.rows = rows
        self.trainable = trainable  # values of Parameters
        self.frozen = frozen

    def __repr__(self) -> str:
        head = ("module", "output", "trainable", "frozen")
        table = [head, *self.rows, ("", "", f"{self.trainable:,}", f"{self.frozen:,}")]
        if not any(row[1] for row in self.rows):  # nothing was given to it
            table = [(row[0], "", *row[2:]) for row in table]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = (
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
            for a, b, c, d in table
        )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def summary(model: Module, *example: Any) -> Summary:
    """Every module of `model`, with how many values it trains and how many are frozen.

    With an `example` of its inputs, what each module gave is told as well, computed as in evaluation: the
    shape of a Tensor, or sequences x (shortest to longest) steps x features. Parts of a Cell, which run once
    for all steps, tell none. Values that several modules share are counted at the first.
    """
    given = _outputs(model, example) if example else {}
    rows, counted = [], set[int]()
    trainable = frozen = 0
    for path, module in model.named_modules():
        sizes = [0, 0]
        for parameter in _own(module):
            if id(parameter) not in counted:
                counted.add(id(parameter))
                sizes[not parameter.requires_grad] += parameter.size
        trainable, frozen = trainable + sizes[0], frozen + sizes[1]
        name = f"{path}: " if path else ""
        label = f"{name}{type(module).__name__}({_arguments(module)})"
        rows.append((label, given.get(id(module), ""), *(f"{n:,}" if n else "" for n in sizes)))
    return Summary(rows, trainable, frozen)


def tree(module: Module) -> str:
    """HTML: the modules as a list that folds, with the shapes and counts of their Parameters."""
    return f'<div style="font-family: monospace">{_branch("", module, set())}</div>'


def _branch(name: str, module: Module, seen: set[int]) -> str:
    label = f"{name}: " if name else ""
    head = html.escape(f"{label}{type(module).__name__}({_arguments(module)})")
    count = f'<span style="color: #777777"> {module.parameter_count():,} parameters</span>'
    if id(module) in seen:
        return f"<div>{head} as above</div>"
    seen.add(id(module))
    parts = []
    for path, member in module.members():
        if isinstance(member, Parameter):
            frozen = "" if member.requires_grad else ", frozen"
            parts.append(f"<div>{html.escape(f'{path} {member.shape} {member.dtype}{frozen}')}</div>")
        else:
            parts.append(_branch(path, member, seen))
    if not parts:
        return f"<div>{head}</div>"
    inside = f'<div style="margin-left: 2em">{"".join(parts)}</div>'
    return f"<details open><summary>{head}{count}</summary>{inside}</details>"


def _own(module: Module) -> Iterator[Parameter]:
    return (member for _, member in module.members() if isinstance(member, Parameter))


def _outputs(model: Module, example: tuple[Any, ...]) -> dict[int, str]:
    """What each module outside of Cells gives, by its id."""
    given: dict[int, str] = {}
    with no_grad(), model.evaluating(), _watched(model, given):
        answer = getattr(model, "predict", model)(*example)
    given[id(model)] = _shape(answer)
    return given


@contextmanager
def _watched(model: Module, given: dict[int, str]) -> Iterator[None]:
    """Note what `forward`, or a head's `predict`, of every module gives."""
    watched: list[tuple[Module, str]] = []

    def watch(module: Module, method: str) -> None:
        compute = getattr(module, method)

        def noted(*args: Any, **kwargs: Any) -> Any:
            result = compute(*args, **kwargs)
            given[id(module)] = _shape(result)
            return result

        setattr(module, method, noted)
        watched.append((module, method))

    cells = {
        id(part)
        for module in model.modules()
        if hasattr(module, "as_layer")
        for part in module.modules()  # traced, not run: their forward must stay what it is
    }
    try:
        for module in list(model.modules()):
            if module is not model and id(module) not in cells:
                watch(module, "predict" if hasattr(module, "predict") else "forward")
        yield
    finally:
        for module, method in watched:
            delattr(module, method)


def _shape(value: Any) -> str:
    if isinstance(value, Sequences):
        steps = sorted({min(value.lengths), max(value.lengths)})
        return " x ".join(
            [str(value.batch_size), " to ".join(map(str, steps)), *map(str, value.data.shape[1:])]
        )
    if isinstance(value, Tensor) or hasattr(value, "shape"):
        return " x ".join(map(str, value.shape)) or "one number"
    if isinstance(value, tuple | list):
        inner = [_shape(part) for part in value]
        return f"{len(inner)} of {inner[0]}" if len(set(inner)) == 1 and len(inner) > 3 else ", ".join(inner)
    return type(value).__name__
