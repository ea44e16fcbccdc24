"""The options of a run file's tables [data] and [training]: their types, rules and defaults."""

import math
import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from tinyseq.data.files import is_there
from tinyseq.errors import brief, near
from tinyseq.registry.annotations import expected, fits
from tinyseq.registry.assembly import Mistake

Rule = Callable[[Any, Path], str]
"""Of a value and the file's folder: what is wrong, or an empty string."""

Column = int | str
"""Of a file with columns: the number of one, from 0 (or -1 for the last), or its name."""


def between(low: float, high: float = math.inf) -> Rule:
    """A rule for numbers from `low`, included, to `high`, excluded."""
    bounds = f"{low:g} or more" if high == math.inf else f"at least {low:g} and below {high:g}"
    return lambda value, _: "" if low <= value < high else f"must be {bounds}, not {value!r}."


def existing_file(value: Any, folder: Path) -> str:
    """A rule for a path, from the folder of the run file on."""
    return "" if os.path.isfile(folder / value) else f"names {brief(value)}, and there is no such file."


def existing_file_or_member(value: Any, folder: Path) -> str:
    """A rule for the path of a file, or of one in an archive."""
    return "" if is_there(folder / value) else f"names {brief(value)}, and there is no such file."


def existing(value: Any, folder: Path) -> str:
    """A rule for the path of a file or a folder."""
    return "" if os.path.exists(folder / value) else f"names {brief(value)}, and there is no such file."


@dataclass(frozen=True, slots=True)
class Data:
    """The text to learn: `text` is the path of a file, None for the text that comes with Python."""

    text: Annotated[str, existing_file] | None = None
    batch: Annotated[int, between(1)] = 32
    window: Annotated[int, between(1)] = 64
    valid_fraction: Annotated[float, between(0, 1)] = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Files of examples, and how their texts are read.

    Without `valid`, `valid_fraction` of the examples are kept from training. `unit` takes texts apart. Of a
    word the model reads `features`: itself, its capitalisation too ("case"), its characters too ("spelling");
    `lowercase` and `digits` (all as 0) make fewer words of many, and those seen fewer than `min_count` times
    are unknown, unless the file `vectors` has them.
    """

    task: str
    train: Annotated[str, existing]
    valid: Annotated[str, existing] | None = None
    valid_fraction: Annotated[float, between(0, 1)] = 0.1
    batch: Annotated[int, between(1)] = 32
    encoding: str = "utf-8"
    unit: Literal["word", "char"] = "word"
    features: Literal["word", "case", "spelling"] = "word"
    lowercase: bool = False
    digits: bool = False
    min_count: Annotated[int, between(1)] = 2
    vectors: Annotated[str, existing_file_or_member] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggingData(Labelled):
    """The columns of a CoNLL file, or the keys of JSON lines, with words and with tags."""

    words: Column = 0
    tags: Column = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationData(Labelled):
    """The columns of a table, or the keys of JSON lines, with texts and with their classes."""

    text: Column = "text"
    label: Column = "label"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsData(Labelled):
    """The columns with two texts, and with 1 (or yes, true) if they say the same, else 0 (no, false)."""

    first: Column = "first"
    second: Column = "second"
    label: Column = "label"


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceToSequenceData(Labelled):
    """The columns with what is read and with what is written for it."""

    source: Column = "source"
    target: Column = "target"


SCHEMAS: dict[str, type] = {
    "language-model": Data,
    "tagging": TaggingData,
    "classification": ClassificationData,
    "pairs": PairsData,
    "sequence-to-sequence": SequenceToSequenceData,
}
"""By task, the options of its data."""

READ = {"vocabulary_size": 2, "characters": 2}
TOLD: dict[str, dict[str, Any]] = {
    "language-model": {"vocabulary_size": 2},
    "tagging": READ | {"tags": 2, "tag_names": ["O", "B-X"]},
    "classification": READ | {"classes": 2},
    "pairs": READ,
    "sequence-to-sequence": READ | {"target_size": 2},
}
"""By task, what its data tells ("data.NAME" in a model stands for it), with values to try a model with."""


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
    backend: Literal["numpy", "cupy"] | None = None  # by default the one in use


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
        elif broken := [
            said for rule in _rules(annotated[key]) if value is not None and (said := rule(value, folder))
        ]:
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


def data_options(table: dict[str, Any], folder: Path) -> tuple[Any, list[Mistake], dict[str, Any]]:
    """The options of the data, what is wrong in them, and what such data tells."""
    task = table.get("task", "language-model")
    if not isinstance(task, str) or task not in TOLD:
        known = ", ".join(TOLD)
        said = f"{brief(task)} is no task.{near(str(task), TOLD)} The tasks: {known}."
        return Data(), [Mistake(("data", "task"), said)], TOLD["language-model"]
    if task == "language-model":
        rest = {key: value for key, value in table.items() if key != "task"}
        return *options(Data, rest, "data", folder), TOLD[task]
    data, mistakes = options(SCHEMAS[task], {"train": "", **table}, "data", folder)
    if "train" not in table:
        mistakes = [m for m in mistakes if m.path != ("data", "train")]
        mistakes.append(Mistake(("data",), f'{task} needs a file: train = "FILE".'))
    return data, mistakes, TOLD[task]
