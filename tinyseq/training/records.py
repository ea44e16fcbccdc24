"""What a run remembers: sums and counts inside an epoch, one line per epoch after it."""

import html
import math
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from tinyseq.training.curves import curves


@dataclass
class Tally:
    """A sum over targets and their number, so that batches of unequal size weigh what they hold."""

    total: float = 0.0
    count: float = 0

    def add(self, mean: float, count: float) -> None:
        """Take in a batch: a mean over targets that count as much as `count`."""
        self.total += mean * count
        self.count += count

    @property
    def mean(self) -> float:
        """The mean over all targets so far; NaN before the first."""
        return self.total / self.count if self.count else math.nan


class Step(NamedTuple):
    """One update, as functions of `Trainer(after_step=[...])` see it."""

    number: int  # of the run, from 1
    epoch: int  # from 1
    loss: float  # the mean over its targets
    targets: float  # how much they counted
    gradient_norm: float  # before clipping
    learning_rate: float  # that the update was made with


@dataclass(frozen=True)
class Epoch:
    """One line of a run's history. Losses are means over targets, `metrics` those of the model's head."""

    number: int  # from 1
    train_loss: float
    valid_loss: float | None
    learning_rate: float
    gradient_norm: float  # the mean over the epoch's steps, before clipping
    targets: float  # how much the targets of training counted: their number, or the sum of their weights
    seconds: float
    best: bool  # whether the loss, or the metric that is monitored, is the best so far
    metrics: dict[str, float] = field(default_factory=dict)  # on the validation data
    judged: float | None = None  # what `best` goes by, the lower the better, if that is not the loss

    @property
    def loss(self) -> float:
        """The validation loss, or without validation the training loss."""
        return self.train_loss if self.valid_loss is None else self.valid_loss

    @property
    def perplexity(self) -> float:
        """Among how many equally likely symbols the model hesitates; NaN where nothing measured it.

        It is the head's metric on the validation data. Without validation it is exp(training loss), if that
        loss is the surprise alone, neither smoothed nor weighted.
        """
        return self.metrics.get("perplexity", math.nan)


class History(list[Epoch]):
    """The epochs that are done; printed, a table with a line for each."""

    def __repr__(self) -> str:
        metrics = list(dict.fromkeys(name for epoch in self for name in epoch.metrics))
        head = ["epoch", "train loss", "valid loss", *metrics, "seconds", ""]
        rows = [
            [
                str(epoch.number),
                f"{epoch.train_loss:.4f}",
                "" if epoch.valid_loss is None else f"{epoch.valid_loss:.4f}",
                *(f"{epoch.metrics[name]:.4f}" if name in epoch.metrics else "" for name in metrics),
                f"{epoch.seconds:.1f}",
                "best" if epoch.best else "",
            ]
            for epoch in self
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = (
            "  ".join(cell.rjust(n) for cell, n in zip(row, widths, strict=True)) for row in [head, *rows]
        )
        return "\n".join(line.rstrip() for line in lines)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The losses as curves, and the table, for a notebook."""
        return f"{curves(self)}<pre>{html.escape(repr(self))}</pre>"


def _judged(loss: float, judged: float | None) -> tuple[float, float]:
    """What an epoch is judged by, the less the better: of equal figures the loss decides."""
    return (loss if judged is None else judged, loss)


def _named(value: float | None) -> float | str | None:
    """A figure as JSON can hold it: "inf", "-inf" and "nan" have no other form."""
    return value if value is None or math.isfinite(value) else str(float(value))


def _epoch(record: dict[str, Any]) -> Epoch:
    judged = record.get("judged")
    metrics = {name: float(value) for name, value in record.get("metrics", {}).items()}
    return Epoch(**{**record, "metrics": metrics, "judged": None if judged is None else float(judged)})


@dataclass
class Progress:
    """How far a run is. A checkpoint holds all of it; all but the times decides what comes next."""

    epoch: int = 0  # epochs that are done
    batch: int = 0  # batches of the present epoch that are done
    step: int = 0  # updates in all
    loss: Tally = field(default_factory=Tally)
    gradient_norm: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    random_at_epoch: dict[str, Any] = field(default_factory=dict)  # from which the batches drew their order
    batches: int | None = None  # in an epoch, where that is known before it ends
    history: "History" = field(default_factory=lambda: History())

    @property
    def best(self) -> tuple[float, float]:
        """The lowest of what epochs are judged by so far; infinite before the first."""
        judged = (_judged(epoch.loss, epoch.judged) for epoch in self.history)
        return min(judged, default=(math.inf, math.inf))

    @property
    def epochs_since_best(self) -> int:
        """How many epochs in a row have brought no lower loss."""
        best = [i for i, epoch in enumerate(self.history) if epoch.best]
        return len(self.history) - 1 - best[-1] if best else 0

    def end_step(self, loss: float, targets: float, gradient_norm: float, batches: int = 1) -> None:
        """Take in an update: the mean loss over its batches' targets, and the norm before clipping."""
        self.loss.add(loss, targets)
        self.gradient_norm.add(gradient_norm, 1)
        self.batch += batches
        self.step += 1

    def end_epoch(
        self,
        valid_loss: float | None,
        learning_rate: float,
        metrics: dict[str, float] | None = None,
        judged: float | None = None,
    ) -> Epoch:
        """Close the epoch: its line in the history; stands before the first batch of the next."""
        loss = self.loss.mean if valid_loss is None else valid_loss
        epoch = Epoch(
            number=self.epoch + 1,
            train_loss=self.loss.mean,
            valid_loss=valid_loss,
            learning_rate=learning_rate,
            gradient_norm=self.gradient_norm.mean,
            targets=self.loss.count,
            seconds=self.seconds,
            best=_judged(loss, judged) < self.best,
            metrics=metrics or {},
            judged=judged,
        )
        self.history.append(epoch)
        self.epoch, self.batch, self.seconds = epoch.number, 0, 0.0
        self.loss, self.gradient_norm = Tally(), Tally()
        return epoch

    def to_record(self) -> dict[str, Any]:
        """As JSON-able values; a figure that is infinite or no number, as its name."""
        record = asdict(self)
        for epoch in record["history"]:
            epoch["metrics"] = {name: _named(value) for name, value in epoch["metrics"].items()}
            epoch["judged"] = _named(epoch["judged"])
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Progress":
        """From what `to_record` gave."""
        nested = {
            "loss": Tally(**record["loss"]),
            "gradient_norm": Tally(**record["gradient_norm"]),
            "history": History(_epoch(epoch) for epoch in record["history"]),
        }
        return cls(**{**record, **nested})
