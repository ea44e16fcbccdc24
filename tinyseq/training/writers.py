"""A run's history in files as it grows, for `Trainer(after_epoch=[...])`."""

import csv
import io
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyseq.errors import ConfigError, DataError
from tinyseq.files import atomic_write
from tinyseq.training.records import Epoch


class HistoryFile:
    """Writes the history after every epoch: a table if `path` ends in `.csv`, JSON lines if in `.jsonl`.

    Each time the whole file is replaced, so that it holds each epoch once, in a resumed run too, and never a
    part. Metrics stand behind what every run has; what is not known is left empty, or null in JSON lines,
    which know neither NaN nor infinity. Raises ConfigError for another ending, DataError where it cannot
    be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.suffix not in (".csv", ".jsonl"):
            raise ConfigError(f"HistoryFile({str(path)!r}): name a file that ends in .csv or .jsonl.")

    def __call__(self, trainer: Any, epoch: Epoch) -> None:
        if not trainer.writes:
            return
        rows = [_row(epoch) for epoch in trainer.history]
        text = _table(rows) if self.path.suffix == ".csv" else _json_lines(rows)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self.path, text.encode())
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {error.strerror or error}.") from None


class TensorBoard:
    """Writes every epoch's losses, metrics and learning rate as events in `folder`, for TensorBoard.

    The step of a value is the number of its epoch. A run that goes on, in another process, takes back what an
    interrupted one had written of later epochs. Needs the extra `tensorboard`; raises ConfigError without it,
    DataError where the folder cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            raise ConfigError("TensorBoard needs tensorboard: pip install 'tinyseq[tensorboard]'.") from None
        self.folder = Path(folder)
        self._event, self._session, self._summary = Event, SessionLog, Summary
        self._open = EventFileWriter
        self._writer: Any = None

    def __call__(self, trainer: Any, epoch: Epoch) -> None:
        if not trainer.writes:
            return
        if self._writer is None:
            try:
                self._writer = self._open(str(self.folder))
            except OSError as error:
                raise DataError(f"{self.folder} cannot be written: {error.strerror or error}.") from None
            started = self._session(status=self._session.START)
            self._write(epoch.number, session_log=started)
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in _scalars(epoch).items()]
        self._write(epoch.number, summary=self._summary(value=values))
        self._writer.flush()

    def _write(self, step: int, **content: Any) -> None:
        self._writer.add_event(self._event(wall_time=time.time(), step=step, **content))


def _row(epoch: Epoch) -> dict[str, Any]:
    """The epoch's values by name; a metric that is called like one of them has `metrics.` before its name."""
    row = asdict(epoch)
    del row["judged"]
    metrics = row.pop("metrics")
    return row | {f"metrics.{name}" if name in row else name: value for name, value in metrics.items()}


def _scalars(epoch: Epoch) -> dict[str, float]:
    kept = {"train_loss": "loss/train", "valid_loss": "loss/valid"}
    named = {tag: getattr(epoch, field) for field, tag in kept.items()}
    named |= {"learning_rate": epoch.learning_rate, "gradient_norm": epoch.gradient_norm}
    named |= {f"metrics/{name}": value for name, value in epoch.metrics.items()}
    return {tag: float(value) for tag, value in named.items() if value is not None}


def _table(rows: Sequence[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _json_lines(rows: Sequence[dict[str, Any]]) -> str:
    finite = ({k: None if isinstance(v, float) and v - v != 0 else v for k, v in row.items()} for row in rows)
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in finite)
