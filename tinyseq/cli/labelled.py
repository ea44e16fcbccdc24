"""Training on examples, for `tinyseq train` and `check`: every task but language models."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyseq.data import load_vectors
from tinyseq.errors import DataError
from tinyseq.nn import Embedding
from tinyseq.registry.run_options import Labelled
from tinyseq.tasks import TASKS, Task
from tinyseq.tasks.base import divided


@dataclass(frozen=True)
class Parts:
    """Batches to train on and to validate on, and the task that made them."""

    task: Task
    train: Any
    valid: Any
    examples: list[Any]
    kept: int
    """Examples to validate on."""


def parts_of(data: Labelled, folder: Path) -> Parts:
    """Read the files. Raises DataError with the line of every mistake."""
    kind = TASKS[data.task]
    train = kind.read(data, folder / data.train)
    valid = [] if data.valid is None else kind.read(data, folder / data.valid)
    if data.valid is None:
        train, valid = divided(train, data.valid_fraction)
    task = kind.of(train, valid, data, folder)
    if said := task.mistake():
        raise DataError(f"{folder / data.train} {said}")
    batches, kept = (task.batches(part, data.batch) if part else None for part in (train, valid))
    return Parts(task, batches, kept, train, len(valid))


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


def mistake_in(model: Any, parts: Parts) -> str:
    """Why the model cannot learn these examples, tried on one batch; an empty string if it can."""
    try:
        inputs, targets = parts.task.collate(parts.examples[:2])
        model.loss(inputs, targets).backward()
        model.zero_grad()
    except Exception as error:  # of whatever parts the file composes
        return f"this model cannot learn {parts.task.name}: {error}"
    return ""
