"""Small functions for `Trainer(after_epoch=[...])`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyseq.registry import save
from tinyseq.training.records import Epoch
from tinyseq.training.trainer import Trainer


class SaveBest:
    """Writes the model to the file `path` whenever an epoch was the best so far; `tinyseq.load` reads it.

    `extra`, which JSON must be able to hold, goes along, as in `tinyseq.save`.
    """

    def __init__(self, path: str | Path, extra: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.extra = extra

    def __call__(self, trainer: Trainer, epoch: Epoch) -> None:
        if epoch.best and trainer.writes:
            save(self.path, trainer.model, self.extra)
