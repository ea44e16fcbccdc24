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

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tinyseq.errors import DataError, PluginError, brief, near
from tinyseq.files.toml_lines import line_of, lines_of
from tinyseq.nn import Linear, init
from tinyseq.registry.assembly import MAX_VALUES, Mistake, assemble
from tinyseq.registry.catalogue import locate
from tinyseq.registry.run_options import Data, Labelled, Training, data_options, options

MAX_BYTES, MAX_LINE = 2**16, 2**10
"""Of a file, and of a line in characters; beyond, TOML takes time without bounds."""

DEFAULT_MODEL = "model:sequence-model"


Lines = dict[tuple[str | int, ...], int]
"""The line of each key, by the keys that lead to it."""


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
    document, lines, unread = document_of(path)
    if unread:
        return None, unread
    run, mistakes = parsed(document, path.parent)
    return run, with_lines(mistakes, lines)


def document_of(path: Path) -> tuple[dict[str, Any], Lines, list[LineMistake]]:
    """The tables of a TOML file, and the line of each key; or what keeps it from being read.

    Raises DataError for a file that cannot be read at all.
    """
    text = _read_text(path)
    long = next((i for i, line in enumerate(text.split("\n"), 1) if len(line) > MAX_LINE), 0)
    if long:
        return {}, {}, [LineMistake(long, "", f"has more than {MAX_LINE} characters; break it up.")]
    try:
        return tomllib.loads(text), lines_of(text), []
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+)", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        return {}, {}, [LineMistake(line, "", f"is not TOML: {re.sub(r' [(]at .*', '', str(error))}.")]
    except (RecursionError, ValueError):  # ValueError: a number of more digits than Python reads
        return {}, {}, [LineMistake(1, "", "holds tables or lists nested too deep, or a number without end.")]


def with_lines(mistakes: list[Mistake], lines: Lines) -> list[LineMistake]:
    """The mistakes with their lines, in the order of these."""
    located = [
        LineMistake(line_of(m.path, lines), brief(".".join(map(str, m.path)))[1:-1], m.message)
        for m in mistakes
    ]
    return sorted(located, key=lambda mistake: mistake.line)


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
    data, wrong, told = data_options(found.get("data", {}), folder)
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
