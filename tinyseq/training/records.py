"""What a run remembers: sums and counts inside an epoch, one line per epoch after it."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Tally:
    """A sum over targets and their number, so that batches of unequal size weigh what they hold."""

    total: float = 0.0
    count: int = 0

    def add(self, mean: float, count: int) -> None:
        """Take in a batch: a mean over `count` targets."""
        self.total += mean * count
        self.count += count

    @property
    def mean(self) -> float:
        """The mean over all targets so far; NaN before the first."""
        return self.total / self.count if self.count else math.nan


@dataclass(frozen=True)
class Epoch:
    """One line of a run's history. Losses are means over targets; perplexity is their exponential."""

    number: int  # from 1
    train_loss: float
    valid_loss: float | None
    learning_rate: float
    gradient_norm: float  # the mean over the epoch's steps, before clipping
    targets: int
    seconds: float
    best: bool  # whether the loss is the lowest so far

    @property
    def loss(self) -> float:
        """What decides which epoch is best: the validation loss, or without validation the training loss."""
        return self.train_loss if self.valid_loss is None else self.valid_loss

    @property
    def perplexity(self) -> float:
        """exp(loss): among how many equally likely symbols the model hesitates."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


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
    history: list[Epoch] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The lowest loss of an epoch so far; infinite before the first."""
        return min((epoch.loss for epoch in self.history), default=math.inf)

    @property
    def epochs_since_best(self) -> int:
        """How many epochs in a row have brought no lower loss."""
        best = [i for i, epoch in enumerate(self.history) if epoch.best]
        return len(self.history) - 1 - best[-1] if best else 0

    def end_step(self, loss: float, targets: int, gradient_norm: float) -> None:
        """Take in an update: the mean loss over the batch's targets, and the norm before clipping."""
        self.loss.add(loss, targets)
        self.gradient_norm.add(gradient_norm, 1)
        self.batch += 1
        self.step += 1

    def end_epoch(self, valid_loss: float | None, learning_rate: float) -> Epoch:
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
            best=loss < self.best,
        )
        self.history.append(epoch)
        self.epoch, self.batch, self.seconds = epoch.number, 0, 0.0
        self.loss, self.gradient_norm = Tally(), Tally()
        return epoch

    def to_record(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Progress":
        """From what `to_record` gave."""
        nested = {
            "loss": Tally(**record["loss"]),
            "gradient_norm": Tally(**record["gradient_norm"]),
            "history": [Epoch(**epoch) for epoch in record["history"]],
        }
        return cls(**{**record, **nested})
