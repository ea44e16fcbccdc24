"""A trained model with its task: raw text in, answers out."""

import os
from collections.abc import Sequence
from typing import Any

from tinyseq.errors import DataError
from tinyseq.nn import SequenceModel
from tinyseq.registry import model_file
from tinyseq.tasks.base import Task
from tinyseq.tasks.classification import Classification
from tinyseq.tasks.tagging import Tagging

TASKS: dict[str, type[Task]] = {task.name: task for task in (Tagging, Classification)}


class Predictor:
    """`model` is the network; `task` its vocabularies and labels."""

    def __init__(self, model: Any, task: Task) -> None:
        self.model = model
        self.task = task

    def predict(self, texts: Sequence[str]) -> list[Any]:
        """A Tagged or a Classified for each raw text, without a tape. Raises DataError for no list."""
        return self.task.predict(self.model, texts)

    def __repr__(self) -> str:
        return f"Predictor({self.task.name}: {len(self.task.labels)} labels, {self.task.vocabulary!r})"


def load(path: str | os.PathLike[str], *, verify: bool = True) -> "Predictor | SequenceModel":
    """What a file that `save` wrote holds: a Predictor where a task was saved too, otherwise the component.

    A component other than a whole model is given as well, whatever its type. Raises what
    `tinyseq.registry.load` raises.
    """
    model: Any = model_file.load(path, verify=verify)
    record = model_file.describe(path).extra.get("task")
    if record is None:
        return model  # type: ignore[no-any-return]
    if not isinstance(record, dict) or record.get("name") not in TASKS:
        raise DataError(f"{path} was saved for a task that this tinyseq does not have: update tinyseq.")
    try:
        task = TASKS[record["name"]].from_record(record)
    except DataError as error:
        raise DataError(f"{path} is damaged: {str(error).rstrip('.')}.") from None
    rows = getattr(getattr(model, "embed", None), "num_embeddings", None)
    named = getattr(getattr(model, "head", None), task.told_by_head, None)
    if rows not in (None, len(task.vocabulary)) or named not in (None, len(task.labels)):
        raise DataError(f"{path} is damaged: its model has other sizes than its vocabulary and labels.")
    return Predictor(model, task)
