"""Training on labelled examples, for `tinyseq train` and `check`: tagging and classification."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyseq import random
from tinyseq.cli.language_model import MODEL
from tinyseq.data import LengthBatches, read_conll, read_table, words
from tinyseq.data.files import lines
from tinyseq.errors import DataError
from tinyseq.registry import build
from tinyseq.registry.run_file import Labelled, Run
from tinyseq.tasks import Task
from tinyseq.tasks.base import Example, divided
from tinyseq.tasks.predictor import TASKS
from tinyseq.training import Epoch, SaveBest, Trainer


@dataclass(frozen=True)
class Parts:
    """Batches to train on and to validate on, and the task that made them."""

    task: Task
    train: LengthBatches[Example]
    valid: LengthBatches[Example] | None


def parts_of(data: Labelled, folder: Path) -> Parts:
    """Read the files. Raises DataError with the line of every mistake."""
    train = _examples(data, folder / data.train)
    valid = [] if data.valid is None else _examples(data, folder / data.valid)
    numbers: tuple[Any, Any] = None, None
    if data.valid is None:
        numbers = divided(len(train), data.valid_fraction)
        train, valid = ([train[i] for i in part] for part in numbers)
    task = TASKS[data.task].of(train, valid)
    if len(task.labels) < 2:
        raise DataError(
            f"{folder / data.train} has one label only, {task.labels.symbols[0]!r}: there is nothing "
            "to learn."
        )
    made = [
        LengthBatches(part, data.batch, task.collate, numbers=places) if part else None
        for part, places in zip((train, valid), numbers, strict=True)
    ]
    if made[0] is None:
        raise DataError(
            f"{folder / data.train} has {len(valid)} example(s), and data.valid_fraction leaves none to "
            "learn from."
        )
    return Parts(task, made[0], made[1])


def _examples(data: Labelled, path: Path) -> list[Example]:
    rows: Iterable[Any]
    if data.task == "tagging":
        rows = read_conll(path, (data.words, data.tags), encoding=data.encoding)
        return [(list(found), list(tags)) for found, tags in rows]
    header = _header(path, data.encoding)
    places = []
    for option, name in (("text", data.text), ("label", data.label)):
        if header.count(name) != 1:
            raise DataError(
                f"{path} has {header.count(name)} columns {name!r}; its first line names "
                f'{", ".join(header)}: say {option} = "NAME" under [data].'
            )
        places.append(header.index(name))
    text, label = places

    def parse(*row: str) -> Example:
        found = words(row[text])
        if not found or not row[label].strip():
            raise ValueError(f"has nothing in the column {data.text if not found else data.label}.")
        return found, row[label].strip()

    rows = read_table(path, len(header), header=True, encoding=data.encoding, parse=parse)
    return list(rows)


def _header(path: Path, encoding: str) -> list[str]:
    """The names in the first line."""
    import csv

    separator = "," if path.name.removesuffix(".gz").endswith(".csv") else "\t"
    for _, line in lines(path, lambda where, what: None, encoding):
        return next(csv.reader([line], delimiter=separator)) if separator == "," else line.split(separator)
    raise DataError(f"{path} is empty: its first line names the columns.")


def hashes_of(data: Labelled, folder: Path) -> dict[str, dict[str, str]]:
    """Where the files of the data are, and the SHA-256 of each."""
    named = {"train": data.train, "valid": data.valid}
    files = {option: (folder / name).resolve() for option, name in named.items() if name is not None}
    return {option: {"file": str(file), "sha256": sha256(file)} for option, file in files.items()}


def sha256(file: Path) -> str:
    """The hash of a file. Raises DataError for one that cannot be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from None


def trainer_of(
    run: Run,
    parts: Parts,
    *,
    directory: Path | None,
    notes: dict[str, Any],
    after_epoch: Sequence[Callable[[Trainer, Epoch], None]] = (),
) -> Trainer:
    """A Trainer of a new model, seeded. Raises DataError for a model that cannot learn these examples."""
    options = run.training
    random.seed(options.seed)
    model = build(run.model_config(**parts.task.told()))
    if mistake := mistake_in(model, parts):
        raise DataError(mistake)
    functions = list(after_epoch)
    if directory is not None:
        functions.append(SaveBest(directory / MODEL, {"task": parts.task.to_record(), "run": notes["run"]}))
    return Trainer(
        model,
        build(options.optimizer, parameters=model),
        clip=options.clip,
        monitor=options.monitor,
        patience=options.patience,
        directory=directory,
        notes=notes,
        after_epoch=functions,
    )


def mistake_in(model: Any, parts: Parts) -> str:
    """Why the model cannot learn these examples, tried on one batch; an empty string if it can."""
    examples = list(parts.train.examples[:2])
    try:
        inputs, targets = parts.task.collate(examples)
        model.loss(inputs, targets).backward()
        model.zero_grad()
    except Exception as error:  # of whatever parts the file composes
        return f"this model cannot learn {parts.task.name}: {error}"
    return ""
