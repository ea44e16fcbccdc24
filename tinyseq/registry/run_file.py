"""A TOML file that composes a model, its data and its training; every mistake in it has a line.

[model.embed]
class = "embedding"
num_embeddings = "data.vocabulary_size"    # what only the data can tell
embedding_size = 64

[model.encoder]
class = "recurrent"
cell = { class = "lstm", input_size = 64, hidden_size = 128 }

[model.head]
class = "language-model"
input_size = 128
vocabulary_size = "data.vocabulary_size"

[data]
text = "novel.txt"

[training]
epochs = 20
optimizer = { class = "adamw", lr = 2e-3 }
"""

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from tinyseq.errors import DataError, PluginError, brief, near
from tinyseq.files.toml_lines import line_of, lines_of
from tinyseq.nn import Linear, init
from tinyseq.registry.annotations import expected, fits
from tinyseq.registry.assembly import MAX_VALUES, Mistake, assemble
from tinyseq.registry.catalogue import locate

MAX_BYTES, MAX_LINE = 2**16, 2**10
"""Of a file, and of a line in characters; beyond, TOML takes time without bounds."""

SIZES = ("vocabulary_size",)
"""What the data tells: "data.vocabulary_size" in a model stands for it."""

DEFAULT_MODEL = "model:sequence-model"


class LineMistake(NamedTuple):
    """One thing that is wrong in a run file, and where."""

    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.key}: {self.message}"
            if self.key
            else f"line {self.line}: {self.message}"
        )


Rule = Callable[[Any, Path], str]
"""Of a value and the file's folder: what is wrong, or an empty string."""


def between(low: float, high: float = math.inf) -> Rule:
    """A rule for numbers from `low`, included, to `high`, excluded."""
    bounds = f"{low:g} or more" if high == math.inf else f"at least {low:g} and below {high:g}"
    return lambda value, _: "" if low <= value < high else f"must be {bounds}, not {value!r}."


def existing_file(value: Any, folder: Path) -> str:
    """A rule for a path, from the folder of the run file on."""
    return "" if os.path.isfile(folder / value) else f"names {brief(value)}, and there is no such file."


@dataclass(frozen=True, slots=True)
class Data:
    """The text to learn: `text` is the path of a file, None for the text that comes with Python."""

    text: Annotated[str, existing_file] | None = None
    batch: Annotated[int, between(1)] = 32
    window: Annotated[int, between(1)] = 64
    valid_fraction: Annotated[float, between(0, 1)] = 0.1


@dataclass(frozen=True, slots=True)
class Labelled:
    """Files of examples: CoNLL for "tagging" (columns by number), a table with a header for "classification".

    Without `valid`, `valid_fraction` of the examples are kept from training.
    """

    task: str
    train: Annotated[str, existing_file]
    valid: Annotated[str, existing_file] | None = None
    valid_fraction: Annotated[float, between(0, 1)] = 0.1
    batch: Annotated[int, between(1)] = 32
    words: int = 0
    tags: int = -1
    text: str = "text"
    label: str = "label"
    encoding: str = "utf-8"


TOLD: dict[str, dict[str, Any]] = {
    "language-model": dict.fromkeys(SIZES, 2),
    "tagging": {"vocabulary_size": 2, "tags": 2, "tag_names": ["O", "B-X"]},
    "classification": {"vocabulary_size": 2, "classes": 2},
}
"""By task, what its data tells, with values to try a model with."""


@dataclass(frozen=True, slots=True)
class Training:
    """How to learn it; `optimizer` is a configuration, `directory` where checkpoints go."""

    epochs: Annotated[int, between(1)] = 10
    seed: Annotated[int, between(0)] = 0
    optimizer: dict[str, Any] = field(default_factory=lambda: {"class": "adam"})
    clip: Annotated[float, between(0)] | None = 5.0
    monitor: str = "loss"
    patience: Annotated[int, between(1)] | None = None
    directory: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run file without mistakes: the model's configuration, and the options of data and training."""

    model: dict[str, Any]
    data: Data | Labelled
    training: Training

    def model_config(self, **sizes: Any) -> Any:
        """The configuration for `build`, with the sizes that the data has told."""
        return fill(self.model, sizes)


def read(path: str | os.PathLike[str]) -> Run:
    """The run that the file `path` describes. Raises DataError with every mistake and its line."""
    run, mistakes = _inspect(Path(path))
    if run is None or mistakes:
        raise DataError("\n".join(f"{path}, {mistake}" for mistake in mistakes))
    return run


def check(path: str | os.PathLike[str]) -> list[LineMistake]:
    """Every mistake in the file `path`, in the order of lines; the model is made once, of zeros.

    Raises DataError for a file that cannot be read at all.
    """
    return _inspect(Path(path))[1]


def fill(value: Any, sizes: Mapping[str, Any]) -> Any:
    """A configuration with "data.NAME" replaced by the size of that name."""
    if isinstance(value, dict):
        return {key: fill(item, sizes) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, sizes) for item in value]
    return sizes.get(value.removeprefix("data."), value) if _is_size(value) else value


def _is_size(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("data.")


def _inspect(path: Path) -> tuple[Run | None, list[LineMistake]]:
    text = _read_text(path)
    long = next((i for i, line in enumerate(text.split("\n"), 1) if len(line) > MAX_LINE), 0)
    if long:
        return None, [LineMistake(long, "", f"has more than {MAX_LINE} characters; break it up.")]
    try:
        document = tomllib.loads(text)
        lines = lines_of(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+)", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        return None, [LineMistake(line, "", f"is not TOML: {re.sub(r' [(]at .*', '', str(error))}.")]
    except (RecursionError, ValueError):  # ValueError: a number of more digits than Python reads
        return None, [LineMistake(1, "", "holds tables or lists nested too deep, or a number without end.")]
    run, mistakes = parsed(document, path.parent)
    located = [
        LineMistake(line_of(m.path, lines), brief(".".join(map(str, m.path)))[1:-1], m.message)
        for m in mistakes
    ]
    return run, sorted(located, key=lambda mistake: mistake.line)


def _read_text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise DataError(f"There is no file {str(path)!r}: no file has such a name ({error}).") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    if len(raw) > MAX_BYTES:
        raise DataError(
            f"{path} has more than {MAX_BYTES:,} bytes: a run file describes data, it holds none."
        )
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason} at offset {error.start}.") from None


def parsed(document: dict[str, Any], folder: Path) -> tuple[Run, list[Mistake]]:
    """The run that the tables describe, as far as they are right, and every mistake in them."""
    mistakes: list[Mistake] = []
    sections = ("model", "data", "training")
    for name, section in document.items():
        if name not in sections:
            there = ", ".join(sections)
            mistakes.append(
                Mistake((name,), f"is no part of a run.{near(name, sections)} The parts: {there}.")
            )
        elif not isinstance(section, dict):
            mistakes.append(Mistake((name,), f"must be a table, [{name}], not {brief(section)}."))
    found = {name: s for name in sections if isinstance(s := document.get(name), dict)}
    if "model" not in document:
        mistakes.append(Mistake((), "There is no [model]."))
    model = {"class": DEFAULT_MODEL, **found.get("model", {})}
    data, wrong, told = _data(found.get("data", {}), folder)
    training, also_wrong = options(Training, found.get("training", {}), "training", folder)
    mistakes += [*wrong, *also_wrong]
    with init.blank(MAX_VALUES):
        if "model" in found:
            misplaced = _misplaced_sizes(model, (), told)
            made, wrong = assemble(fill(model, told))
            placed = {mistake.path for mistake in misplaced}
            wrong = misplaced + [mistake for mistake in wrong if mistake.path not in placed]
            mistakes += [Mistake(("model", *m.path), m.message) for m in wrong]
            if not wrong:
                mistakes += _untrainable(made) + _unmonitored(made, data, training.monitor)
        mistakes += _optimizer(training.optimizer)
    return Run(model, data, training), mistakes


def options(
    schema: type, table: dict[str, Any], name: str, folder: Path = Path()
) -> tuple[Any, list[Mistake]]:
    """An instance of the dataclass with what is right in `table`, and a mistake for what is not."""
    types, annotated = get_type_hints(schema), get_type_hints(schema, include_extras=True)
    mistakes, right = [], {}
    for key, value in table.items():
        path = (name, key)
        if key not in types:
            takes = ", ".join(types)
            message = f"[{name}] has no option {brief(key)}.{near(key, types)} Its options: {takes}."
            mistakes.append(Mistake(path, message))
        elif not fits(value, types[key]):
            mistakes.append(Mistake(path, f"must be {expected(types[key])}, not {brief(value)}."))
        elif broken := [said for rule in _rules(annotated[key]) if (said := rule(value, folder))]:
            mistakes.append(Mistake(path, broken[0]))
        else:
            right[key] = value
    for option in fields(schema):
        if option.default is MISSING and option.default_factory is MISSING:
            right.setdefault(option.name, "")  # what is missing or wrong is among the mistakes
    return schema(**right), mistakes


def _rules(annotation: Any) -> list[Rule]:
    if get_origin(annotation) is Annotated:
        return list(annotation.__metadata__)
    return [rule for part in get_args(annotation) for rule in _rules(part)]


def _untrainable(model: Any) -> list[Mistake]:
    """What keeps a model from being trained, though each of its parts is right by itself."""
    head = getattr(model, "head", None)
    if not hasattr(model, "loss"):
        return [Mistake(("model", "class"), f"{brief(model)} has no loss(), so it cannot be trained.")]
    if head is not None and not hasattr(head, "loss"):
        return [Mistake(("model", "head", "class"), f"{brief(head)} is no head: it has no loss().")]
    return []


def _optimizer(described: dict[str, Any]) -> list[Mistake]:
    """The mistakes in an optimizer's configuration."""
    path = ("training", "optimizer")
    try:
        kind = locate(described.get("class", ""), described.get("from", "")).kind.name
    except PluginError as error:
        return [Mistake((*path, "class"), str(error))]
    if kind != "optimizer":
        return [Mistake((*path, "class"), f"{brief(described['class'])} is a {kind}, not an optimizer.")]
    _, mistakes = assemble(described, parameters=Linear(1, 1))
    return [Mistake((*path, *mistake.path), mistake.message) for mistake in mistakes]


def _unmonitored(model: Any, data: Any, monitor: str) -> list[Mistake]:
    """Whether there is such a figure to go by after an epoch."""
    if monitor == "loss":
        return []
    known = ["loss", *(model.head.metrics() if hasattr(model, "head") else ())]
    if monitor not in known:
        said = f"{brief(monitor)} is nothing that this model's head measures; choose from {', '.join(known)}."
    elif data.valid_fraction == 0 and getattr(data, "valid", None) is None:
        said = f"{brief(monitor)} is measured on validation data: set data.valid_fraction."
    else:
        return []
    return [Mistake(("training", "monitor"), said)]


def _misplaced_sizes(value: Any, path: tuple[str | int, ...], told: Mapping[str, Any]) -> list[Mistake]:
    """Sizes that no data tells."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [m for key, item in items for m in _misplaced_sizes(item, (*path, key), told)]
    if _is_size(value) and value.removeprefix("data.") not in told:
        known = ", ".join(f"data.{size}" for size in told)
        return [Mistake(path, f"{brief(value)} is nothing that data tells; it tells {known}.")]
    return []


def _data(table: dict[str, Any], folder: Path) -> tuple[Any, list[Mistake], dict[str, Any]]:
    """The options of the data, what is wrong in them, and what such data tells."""
    task = table.get("task", "language-model")
    if not isinstance(task, str) or task not in TOLD:
        known = ", ".join(TOLD)
        said = f"{brief(task)} is no task.{near(str(task), TOLD)} The tasks: {known}."
        return Data(), [Mistake(("data", "task"), said)], TOLD["language-model"]
    if task == "language-model":
        rest = {key: value for key, value in table.items() if key != "task"}
        return *options(Data, rest, "data", folder), TOLD[task]
    data, mistakes = options(Labelled, {"train": "", **table}, "data", folder)
    if "train" not in table:
        mistakes = [m for m in mistakes if m.path != ("data", "train")]
        mistakes.append(Mistake(("data",), f'{task} needs a file: train = "FILE".'))
    return data, mistakes, TOLD[task]
