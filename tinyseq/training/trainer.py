"""The training loop: open, resumable, and the same run again for the same seed."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tinyseq import random
from tinyseq.engine import no_grad
from tinyseq.errors import ConfigError, DataError, NonFiniteError
from tinyseq.optim import Optimizer, ReduceOnPlateau, Schedule, clip_grad_norm
from tinyseq.scan.state import detach
from tinyseq.training.bars import bar, compilation_shown
from tinyseq.training.causality import refuse_sight_ahead
from tinyseq.training.checkpoints import Arrays, prepare, resume_run, save_run
from tinyseq.training.cuts import examples_named, in_groups, rest_of_epoch, scale_gradients
from tinyseq.training.interrupts import Interrupts, Stopped, deferred_interrupts
from tinyseq.training.monitor import Monitor, values
from tinyseq.training.objectives import Objective, whole_sequences
from tinyseq.training.options import options_of
from tinyseq.training.receipts import write_receipt
from tinyseq.training.records import Epoch, History, Progress, Step, Tally

CHECKPOINT = "checkpoint.safetensors"


class Trainer:
    """Trains a model, batch after batch, and after a kill goes on as if nothing had happened.

    `objective(model, batch, state)` gives a BatchLoss: the loss of a batch and the state to carry on. `clip`
    bounds the gradients' global norm; a Schedule goes on after every step, ReduceOnPlateau after every epoch.
    With `accumulate=k` an update takes the gradient of k batches as if they were one, each weighed by how
    much its targets count.

    On validation data the metrics of the model's head are measured after every epoch, too. `monitor`, "loss"
    or the name of one of them, decides which epoch is best (of equal ones the loss does), how long `patience`
    lasts (how many epochs in a row may pass that are no better), and what ReduceOnPlateau hears.
    `measure=False` leaves metrics out, where predicting takes long.

    With a `directory`, a checkpoint of everything is kept there, written after every epoch and every
    `save_seconds` within one; `notes`, which JSON must be able to hold, go along. `after_epoch` are functions
    of the trainer and the finished Epoch, `after_step` of the trainer and each Step. `bars` shows progress
    bars, by default where stderr is a terminal or a notebook.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Optimizer,
        objective: Objective = whole_sequences,
        *,
        schedule: Schedule | ReduceOnPlateau | None = None,
        clip: float | None = None,
        accumulate: int = 1,
        monitor: str = "loss",
        measure: bool = True,
        patience: int | None = None,
        directory: str | Path | None = None,
        save_seconds: float = 60.0,
        notes: dict[str, Any] | None = None,
        after_epoch: Sequence[Callable[["Trainer", Epoch], None]] = (),
        after_step: Sequence[Callable[["Trainer", Step], None]] = (),
        bars: bool | None = None,
    ) -> None:
        self.model = model  # a Module, with whatever methods the objective calls
        self.optimizer = optimizer
        self.objective = objective
        self.schedule = schedule
        self.clip = math.inf if clip is None else clip
        if accumulate < 1:
            raise ConfigError(f"Trainer(accumulate={accumulate}): an update takes 1 batch or more.")
        self.accumulate = accumulate
        self.monitor = Monitor(model, monitor, measure)
        self.measured: dict[str, float] = {}  # the metrics of the last validation
        self.patience = patience
        self.directory = None if directory is None else prepare(Path(directory))
        self.save_seconds = save_seconds
        self.notes = notes or {}
        self.after_epoch = tuple(after_epoch)
        self.after_step = tuple(after_step)
        self.bars = bars
        self.progress = Progress()
        self.state: Any = None  # carried from batch to batch within an epoch
        self._begun = False
        self.options = options_of(optimizer)  # as the run begins; a resumed one has to begin alike
        self._tried = False  # whether the model reads what it is to predict
        self.best: Arrays | None = None
        self._saved_at = time.monotonic()
        self._interrupts = Interrupts()

    def __repr__(self) -> str:
        done = f"after {self.progress.epoch} epoch(s), {self.progress.step:,} step(s)"
        model = f"{type(self.model).__name__} of {self.model.parameter_count():,} parameters"
        watched = f"monitor={self.monitor.name!r}"
        return f"Trainer({model}, {self.optimizer!r}, {watched})  # {done}"

    @property
    def history(self) -> History:
        """The finished epochs; printed, a table."""
        return self.progress.history

    @property
    def out_of_patience(self) -> bool:
        """Whether too many epochs in a row have been no better."""
        return self.patience is not None and self.progress.epochs_since_best >= self.patience

    def fit(self, batches: Iterable[Any], valid: Iterable[Any] | None = None, *, epochs: int) -> History:
        """Train until `epochs` epochs are done, earlier ones included, or patience is out; gives the history.

        `batches` is iterated once per epoch, so it is a list or starts anew like one, unlike a generator. If
        it shuffles, it draws the whole order from `tinyseq.random` when an epoch begins. Ctrl-C stops between
        two steps, with a checkpoint; `fit` again, or `resume` in another process, goes on from there.
        """
        for _ in self.epochs(batches, valid, epochs=epochs):
            pass
        return self.history

    def epochs(
        self, batches: Iterable[Any], valid: Iterable[Any] | None = None, *, epochs: int
    ) -> Iterator[Epoch]:
        """As `fit`, but hands out each epoch as soon as it is finished, for a loop of one's own."""
        self.monitor.check(valid, epochs - self.progress.epoch)
        if not self._begun:
            self._begin()
        asked_to_stop = False
        while self.progress.epoch < epochs and not self.out_of_patience:
            with deferred_interrupts() as self._interrupts:
                self._interrupts.requested = asked_to_stop  # while the last epoch was written down
                try:
                    self._interrupts.stop_if_requested()
                    self.train_epoch(batches)
                    self.measured = {}
                    self.end_epoch(None if valid is None else self._validated(valid))
                except Stopped:
                    self.save()
                    where = f"epoch {self.progress.epoch + 1} after {self.progress.step:,} steps"
                    raise KeyboardInterrupt(f"stopped in {where}") from None
            asked_to_stop, self._interrupts = self._interrupts.requested, Interrupts()
            yield self.history[-1]

    def train_epoch(self, batches: Iterable[Any]) -> None:
        """One step per batch, for those of this epoch that are still to come."""
        self.model.train()
        try:
            self._train_epoch(batches)
        finally:
            self.model.eval()  # whoever predicts next gets the model's answer, without dropout

    def _train_epoch(self, batches: Iterable[Any]) -> None:
        progress = self.progress
        shown = bar(batches, f"epoch {progress.epoch + 1}", done=progress.batch, show=self.bars)
        with shown, compilation_shown(shown):
            before = time.perf_counter()
            for group in in_groups(rest_of_epoch(batches, progress), self.accumulate):
                with examples_named(batches if len(group) == 1 else None):
                    self.train_step(*group)
                now = time.perf_counter()
                progress.seconds += now - before
                before = now
                shown.set_postfix_str(f"loss {progress.loss.mean:.4f}", refresh=False)
                shown.update(len(group))
                self._interrupts.stop_if_requested()
                if time.monotonic() - self._saved_at >= self.save_seconds:
                    self.save()
        if progress.batch == 0:
            raise DataError(
                "An epoch brought no batch: pass a list, or an iterable that starts anew every epoch."
            )

    def train_step(self, *batches: Any) -> None:
        """One update: forward, backward, clip, step; the state goes on to the next batch as a constant.

        The gradient of several batches is that of their union. (Where the objective has a `scale`, as a sum
        over targets has, their gradients add up.)
        """
        state, tally, several = self.state, Tally(), len(batches) > 1
        weighed = False
        self.model.zero_grad()
        for batch in batches:
            self._refuse_sight_ahead(batch)
            found = self.objective(self.model, batch, state)
            tally.add(self._finite("loss", found.mean.item()), found.targets)
            weighed = several and found.scale is None
            factor = found.targets if weighed else found.scale or 1
            (found.mean if factor == 1 else found.mean * factor).backward()
            state = None if found.state is None else detach(found.state)
        if weighed:
            scale_gradients(self.model, 1 / (tally.count or 1))
        norm = self._finite("gradient norm", clip_grad_norm(self.model, self.clip))
        rate = self.optimizer.lr
        self.optimizer.step()
        if isinstance(self.schedule, Schedule):
            self.schedule.step()
        self.state = state
        mean = tally.mean if tally.count else 0.0
        progress = self.progress
        progress.end_step(mean, tally.count, norm, len(batches))
        step = Step(progress.step, progress.epoch + 1, mean, tally.count, norm, rate)
        for function in self.after_step:
            function(self, step)

    def evaluate(self, batches: Iterable[Any]) -> float:
        """The mean loss over all targets of `batches`, without dropout; the random numbers stay put.

        Its metrics are in `measured` afterwards. One long sequence that was cut into streams is read as one,
        so that no figure depends on their number. Raises DataError if there is no batch, or no target counts.
        """
        if hasattr(batches, "one_stream"):
            batches = batches.one_stream()
        state, tally, numbers, seen = None, Tally(), random.get_state(), False
        metrics = self.monitor.fresh()
        try:
            with no_grad(), self.model.evaluating(), bar(batches, "validation", show=self.bars) as shown:
                for batch in batches:
                    seen = True
                    self._refuse_sight_ahead(batch)
                    with examples_named(batches):
                        found = self.objective(self.model, batch, state)
                    state = found.state
                    mean = found.mean.item()
                    if found.targets:
                        tally.add(mean, found.targets)
                    if found.answers is None:
                        metrics = {}
                    elif metrics:
                        features, targets = found.answers
                        answers = self.model.head.predict(features)
                        for metric in metrics.values():
                            metric.update(answers, targets)
                    shown.update()
                    self._interrupts.stop_if_requested()
        finally:
            random.set_state(numbers)
        if not seen or not tally.count:
            raise DataError(
                "Validation brought no batch: pass a list, or an iterable that starts anew every epoch."
                if not seen
                else "No target of the validation data counts: all are ignored, or have the weight 0."
            )
        self.measured = values(metrics)
        return self._finite("validation loss", tally.mean)

    def end_epoch(self, valid_loss: float | None) -> None:
        """Write the epoch into the history, keep the model if it is the best so far, and save."""
        loss = self.progress.loss.mean
        metrics = self.monitor.of_training(loss) if valid_loss is None else dict(self.measured)
        judged = self.monitor.judged(metrics)
        epoch = self.progress.end_epoch(valid_loss, self.optimizer.lr, metrics, judged)
        self.state = None
        if isinstance(self.schedule, ReduceOnPlateau):  # which may wait for a maximum
            self.schedule.step(epoch.loss if judged is None else judged * self.schedule.sign)
        if epoch.best:
            self.best = self.model.state_dict()
        for function in self.after_epoch:
            function(self, epoch)
        self.save()
        if self.directory is not None:
            write_receipt(self)

    def restore_best(self) -> None:
        """Give the model the parameters of its best epoch. Raises DataError if none is finished."""
        if self.best is None:
            raise DataError("There is no best epoch yet: fit() has finished none.")
        self.model.load_state_dict(self.best)
        self.model.eval()

    def save(self) -> None:
        """Put a checkpoint of everything into the directory, if there is one."""
        if self.directory is not None:
            save_run(self, self.directory / CHECKPOINT)
            self._saved_at = time.monotonic()

    def resume(self) -> None:
        """Take everything up again where the directory's checkpoint left it; `fit` then goes on bit for bit.

        Options that the optimizer was now made with, other than those of the run, stay, with a warning.
        Raises DataError for a checkpoint that is missing, damaged, foreign, or of another model; then nothing
        is changed.
        """
        if self.directory is None:
            raise ConfigError("resume() needs the directory of the run: Trainer(..., directory=...).")
        resume_run(self, self.directory / CHECKPOINT)
        self._begun = True

    def _refuse_sight_ahead(self, batch: Any) -> None:
        if not self._tried:
            refuse_sight_ahead(self.model, batch)
            self._tried = True

    def _validated(self, valid: Iterable[Any]) -> float:
        """The validation loss; where that fails, the epoch's training is not lost."""
        try:
            return self.evaluate(valid)
        except DataError:
            self.save()
            raise

    def _begin(self) -> None:
        """Write the first checkpoint, so that a directory of no use shows now and not after an hour."""
        if self.directory is not None and (self.directory / CHECKPOINT).exists():
            raise ConfigError(
                f"{self.directory} holds the checkpoint of a run: go on with it by resume(), or choose "
                "another directory."
            )
        self.save()
        self._begun = True

    def _finite(self, what: str, value: float) -> float:
        """`value`, if it is a number to go on with."""
        if math.isfinite(value):
            return value
        clip = "clip=1.0" if self.clip == math.inf else f"a clip below {self.clip:g}"
        raise NonFiniteError(
            f"The {what} is {value} in epoch {self.progress.epoch + 1} after {self.progress.step:,} steps; "
            f"no update was made from it. Try a learning rate below {self.optimizer.lr:g}, or {clip}, or "
            "find the op where it is born: with tinyseq.detect_anomaly(): trainer.fit(...)."
        )
