"""A trained model with its task: raw text in, answers out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import SequenceModel
from tinyseq.registry import model_file
from tinyseq.registry.run_options import SCHEMAS, options
from tinyseq.tasks.base import Task
from tinyseq.tasks.classification import Classification
from tinyseq.tasks.evaluation import Evaluation
from tinyseq.tasks.pairs import Pairs
from tinyseq.tasks.tagging import Tagging
from tinyseq.tasks.writing import SequenceToSequence

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Tagging, Classification, Pairs, SequenceToSequence)
}


class Predictor:
    """`model` is the network; `task` its vocabularies and labels; `data` the options of its run file."""

    def __init__(self, model: Any, task: Task, data: dict[str, Any] | None = None) -> None:
        self.model = model
        self.task = task
        self.data = data or {}

    def predict(self, texts: Sequence[str]) -> list[Any]:
        """A Tagged or a Classified for each raw text, without a tape. Raises DataError for no list."""
        return self.task.predict(self.model, texts)

    def evaluate(self, path: str | os.PathLike[str], **columns: Any) -> Evaluation:
        """What it gets right and wrong of a file like those it was trained on.

        `columns` are options of [data], such as text="review", where the file has others. Raises ConfigError
        for one that there is not, DataError for a file that cannot be read.
        """
        return self.task.judge(self.model, self.task.read(self.columns(path, **columns), Path(path)))

    def columns(self, path: str | os.PathLike[str] = ".", **columns: Any) -> Any:
        """The options of [data] that say how `path` is read, some of them changed."""
        if not os.path.exists(path):
            raise DataError(f"There is no file {path}: check the path.")
        known = {key: value for key, value in self.data.items() if key != "vectors"}
        table = {**known, **columns, "task": self.task.name, "train": str(path)}
        data, mistakes = options(SCHEMAS[self.task.name], table, "data")
        if mistakes:
            raise ConfigError(f"evaluate(): {mistakes[0]}")
        return data

    def __repr__(self) -> str:
        return f"Predictor({self.task.name}: {self.task.labels_shown()}; {self.task.reader.vocabulary!r})"


def load(path: str | os.PathLike[str], *, verify: bool = True) -> "Predictor | SequenceModel":
    """What a file that `save` wrote holds: a Predictor where a task was saved too, otherwise the component.

    A component other than a whole model is given as well, whatever its type. Raises what
    `tinyseq.registry.load` raises.
    """
    model: Any = model_file.load(path, verify=verify)
    extra = model_file.describe(path).extra
    record = extra.get("task")
    if record is None:
        return model  # type: ignore[no-any-return]
    if not isinstance(record, dict) or record.get("name") not in TASKS:
        raise DataError(f"{path} was saved for a task that this tinyseq does not have: update tinyseq.")
    try:
        task = TASKS[record["name"]].from_record(record)
    except DataError as error:
        raise DataError(f"{path} is damaged: {str(error).rstrip('.')}.") from None
    if not task.fits(model):
        raise DataError(f"{path} is damaged: its model has other sizes than its vocabulary and labels.")
    run = extra.get("run")
    data = run.get("data") if isinstance(run, dict) else None
    return Predictor(model, task, data if isinstance(data, dict) else None)
