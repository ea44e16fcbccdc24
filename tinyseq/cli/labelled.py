"""Training on examples, for `tinyseq train` and `check`: every task but language models."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyseq import random
from tinyseq.data import load_vectors
from tinyseq.errors import DataError
from tinyseq.nn import Embedding
from tinyseq.processes import Processes
from tinyseq.registry import build
from tinyseq.registry.model_file import MODEL
from tinyseq.registry.run_file import Run
from tinyseq.registry.run_options import Labelled
from tinyseq.tasks import TASKS, Task
from tinyseq.tasks.base import divided
from tinyseq.training import Epoch, SaveBest, Trainer


@dataclass(frozen=True)
class Parts:
    """Batches to train on and to validate on, and the task that made them."""

    task: Task
    train: Any
    valid: Any
    examples: list[Any]
    kept: list[Any]
    """Examples to validate on."""


def parts_of(data: Labelled, folder: Path) -> Parts:
    """Read the files. Raises DataError with the line of every mistake."""
    kind = TASKS[data.task]
    train = kind.read(data, folder / data.train)
    valid = [] if data.valid is None else kind.read(data, folder / data.valid)
    numbers: tuple[Any, Any] = None, None
    if data.valid is None:
        numbers = divided(len(train), data.valid_fraction)
        train, valid = ([train[i] for i in part] for part in numbers)
    task = kind.of(train, valid, data, folder)
    if said := task.mistake(train):
        raise DataError(f"{folder / data.train} {said}")
    if not train:
        raise DataError(
            f"{folder / data.train} has {len(valid)} example(s), and data.valid_fraction leaves none to "
            "learn from."
        )
    batches, kept = (
        task.batches(part, data.batch, places) if part else None
        for part, places in zip((train, valid), numbers, strict=True)
    )
    if kept is None and (data.valid is not None or data.valid_fraction > 0):
        raise DataError(
            f"{folder / (data.valid or data.train)}: there is nothing to validate on, as none of "
            f"{len(valid)} examples kept for it can be used: give more of them, or valid_fraction = 0.0 and "
            'monitor = "loss".'
        )
    return Parts(task, batches, kept, train, valid)


def with_vectors(model: Any, parts: Parts, data: Labelled, folder: Path) -> int:
    """Put the vectors of the file that `data` names into the model's embedding of words; how many there are.

    Raises DataError if the model has no embedding of the vocabulary's size.
    """
    if data.vectors is None:
        return 0
    vocabulary = parts.task.reader.vocabulary
    for part in model.modules():
        if isinstance(part, Embedding) and part.num_embeddings == len(vocabulary):
            return load_vectors(part, folder / data.vectors, vocabulary, lowercase=True)
    raise DataError(
        f"The model has no embedding for the vectors of {data.vectors}: one of data.vocabulary_size rows."
    )


def hashes_of(data: Labelled, folder: Path) -> dict[str, dict[str, str]]:
    """Where the files of the data are, and the SHA-256 of each."""
    named = {"train": data.train, "valid": data.valid}
    files = {option: (folder / name).resolve() for option, name in named.items() if name is not None}
    return {option: {"file": str(file), "sha256": sha256(file)} for option, file in files.items()}


def sha256(file: Path) -> str:
    """The hash of a file, or of all that a folder holds. Raises DataError for one that cannot be read."""
    try:
        if file.is_dir():
            inside = sorted(path for path in file.rglob("*") if path.is_file())
            names = [f"{path.relative_to(file).as_posix()} {sha256(path)}\n" for path in inside]
            return hashlib.sha256("".join(names).encode()).hexdigest()
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from None


def trainer_of(
    run: Run,
    parts: Parts,
    *,
    folder: Path,
    directory: Path | None,
    notes: dict[str, Any],
    after_epoch: Sequence[Callable[[Trainer, Epoch], None]] = (),
    processes: Processes | None = None,
) -> Trainer:
    """A Trainer of a new model, seeded; paths start from `folder`.

    Raises DataError for a model that cannot learn these examples.
    """
    options = run.training
    random.seed(options.seed)
    model = build(run.model_config(**parts.task.told()))
    if mistake := mistake_in(model, parts):
        raise DataError(mistake)
    if isinstance(run.data, Labelled):
        with_vectors(model, parts, run.data, folder)
    functions = list(after_epoch)
    if directory is not None:
        functions.append(_save_best(directory / MODEL, parts, notes["run"]))
    return Trainer(
        model,
        build(options.optimizer, parameters=model),
        clip=options.clip,
        monitor=options.monitor,
        patience=options.patience,
        directory=directory,
        notes=notes,
        after_epoch=functions,
        processes=processes,
    )


def _save_best(path: Path, parts: Parts, run: dict[str, Any]) -> Callable[[Trainer, Epoch], None]:
    """For `after_epoch`: writes the model with its task whenever an epoch was the best so far."""

    def save(trainer: Trainer, epoch: Epoch) -> None:
        if epoch.best:
            parts.task.calibrate(trainer.model, parts.kept or parts.examples)
            SaveBest(path, {"task": parts.task.to_record(), "run": run})(trainer, epoch)

    return save


def mistake_in(model: Any, parts: Parts) -> str:
    """Why the model cannot learn these examples, tried on one batch; an empty string if it can."""
    try:
        inputs, targets = parts.task.collate(parts.examples[:2])
        model.loss(inputs, targets).backward()
        model.zero_grad()
    except Exception as error:  # of whatever parts the file composes
        return f"this model cannot learn {parts.task.name}: {error}"
    return ""
