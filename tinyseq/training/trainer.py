"""The training loop: open, resumable, and the same run again for the same seed."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tinyseq.errors import ConfigError, DataError, NonFiniteError
from tinyseq.optim import Average, Optimizer, ReduceOnPlateau, Schedule, clip_grad_norm
from tinyseq.processes import Processes, Team
from tinyseq.processes.shares import fingerprint
from tinyseq.scan.state import detach, flatten
from tinyseq.training.agreement import refuse_inseparable, require_same_run, require_same_weights
from tinyseq.training.bars import bar, compilation_shown
from tinyseq.training.causality import refuse_sight_ahead, warn_if_never_saved
from tinyseq.training.checkpoints import Arrays, prepare, resume_run, save_run
from tinyseq.training.cuts import Place, in_groups, located, placed, rest_of_epoch, scale_gradients
from tinyseq.training.interrupts import Interrupts, Stopped, deferred_interrupts
from tinyseq.training.monitor import Monitor
from tinyseq.training.objectives import Objective, whole_sequences
from tinyseq.training.options import options_of
from tinyseq.training.receipts import write_receipt
from tinyseq.training.records import Epoch, History, Progress, Step, Tally
from tinyseq.training.setup import setup_of
from tinyseq.training.validation import validated

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

    With an `average`, such as ExponentialAverage(model), averages of the Parameters are evaluated, and kept
    of the best epoch, while training goes on beside them. `average.apply()` makes them the model.

    With a `directory`, a checkpoint of everything is kept there, written after every epoch and every
    `save_seconds` within one; `notes`, which JSON must be able to hold, go along. `after_epoch` are functions
    of the trainer and the finished Epoch, `after_step` of the trainer and each Step. `bars` shows progress
    bars, by default where stderr is a terminal or a notebook.

    With `processes`, such as `tinyseq.processes.MPI()`, they all train one model: each makes the same Trainer
    and gets the same batches, of which it computes its share of sequences. The numbers are those of one
    process, but for rounding and where dropout draws. Rank 0 alone writes into the directory; functions are
    called in all processes, and `writes` says whether this one may.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Optimizer,
        objective: Objective = whole_sequences,
        *,
        schedule: Schedule | ReduceOnPlateau | None = None,
        average: Average | None = None,
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
        processes: Processes | None = None,
    ) -> None:
        self.model = model  # a Module, with whatever methods the objective calls
        self.optimizer = optimizer
        self.objective = objective
        self.schedule = schedule
        self.average = average
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
        self.team = Team(processes)
        self.writes = self.team.rank == 0
        self.bars = bars if self.writes else False
        self.progress = Progress()
        self.state: Any = None  # carried from batch to batch within an epoch
        self._begun = False
        self.options, self.setup = options_of(optimizer), setup_of(self)  # as the run begins
        self._places: Sequence[Place | None] = []  # of the batches of the next update
        self._tried = False  # on a batch: the model reads nothing that it is to predict
        self.best: Arrays | None = None
        self._last: Any = None  # batch that was trained on
        self._mark: int | None = None  # of that, from a checkpoint
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
    def mark(self) -> int | None:
        """A number that tells the batch that was trained on last from others."""
        return self._mark if self._last is None else fingerprint(self._last)

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
        with self.team.telling():
            self.monitor.check(valid, epochs - self.progress.epoch)
            require_same_run(self)
            if not self._begun:
                self._write_first_checkpoint()
        asked_to_stop = False
        while self.progress.epoch < epochs and not self.out_of_patience:
            with self.team.telling(), deferred_interrupts() as self._interrupts:
                self._interrupts.requested = asked_to_stop  # while the last epoch was written down
                try:
                    self._stop_or_save(due=False)
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
            drawn = rest_of_epoch(batches, progress, self.mark, resumed=self._last is None)
            rest = placed(drawn, batches, progress.batch)
            for group in in_groups(rest, self.accumulate):
                self._places = [place for _, place in group]
                self.train_step(*(batch for batch, _ in group))
                now = time.perf_counter()
                progress.seconds += now - before
                before = now
                shown.set_postfix_str(f"loss {progress.loss.mean:.4f}", refresh=False)
                shown.update(len(group))
                self._stop_or_save(due=time.monotonic() - self._saved_at >= self.save_seconds)
        if progress.batch == 0:
            raise DataError(
                "An epoch brought no batch: pass a list, or an iterable that starts anew every epoch."
            )

    def train_step(self, *batches: Any) -> None:
        """One update: forward, backward, clip, step; the state goes on to the next batch as a constant.

        The gradient of several batches, and of the shares that processes have of them, is that of their
        union. (Where the objective has a `scale`, as a sum over targets has, their gradients add up.)
        """
        team, state, tally, weighed = self.team, self.state, Tally(), False
        places, self._places = self._places or [None] * len(batches), []
        self.try_out(batches[0])
        self.model.zero_grad()
        with team.own_numbers(self.progress.step):
            shares = [
                (share, place)
                for batch, place in zip(batches, places, strict=True)
                for share in team.shares([batch])
            ]
            for share, place in shares:
                with located(place, team):
                    found = self.objective(self.model, share, state)
                    tally.add(self._finite("loss", found.mean.item()), found.targets)
                weighed = found.scale is None and (len(batches) > 1 or not team.alone)
                factor = found.targets if weighed else found.scale or 1
                (found.mean if factor == 1 else found.mean * factor).backward()
                state = None if found.state is None else detach(found.state)
        *sums, weighed = team.total(tally.total, tally.count, weighed, batches)
        tally = Tally(*sums)
        factor = 1 / (tally.count or 1) if weighed else 1
        if not team.alone:
            team.sum_gradients(self.model, factor)
        elif weighed:
            scale_gradients(self.model, factor)
        with located(places[0] if len(batches) == 1 else None, team):
            norm = self._finite("gradient norm", clip_grad_norm(self.model, self.clip))
        rate = self.optimizer.lr
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        if isinstance(self.schedule, Schedule):
            self.schedule.step()
        self.state = state
        mean = tally.mean if tally.count else 0.0
        progress = self.progress
        progress.end_step(mean, tally.count, norm, len(batches))
        self._last = batches[-1]  # before functions see the step, which may save
        step = Step(progress.step, progress.epoch + 1, mean, tally.count, norm, rate)
        for function in self.after_step:
            function(self, step)

    def evaluate(self, batches: Iterable[Any]) -> float:
        """The mean loss over all targets of `batches`, without dropout; the random numbers stay put.

        Its metrics are in `measured` afterwards. One long sequence that was cut into streams is read as one,
        so that no figure depends on their number. Raises DataError if there is no batch, or no target counts.
        """
        with self.team.telling(), self._averaged():
            loss, self.measured = validated(self, batches)
        return self._finite("validation loss", loss)

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
            with self._averaged():
                self.best = self.model.state_dict()
        if self.average is not None:
            self.average.end_epoch(epoch.loss)
        require_same_weights(self)
        for function in self.after_epoch:
            function(self, epoch)
        self.save()
        if self.directory is not None and self.writes:
            write_receipt(self)

    def stop(self) -> None:
        """End the training after this epoch, as if patience were out: for functions that are called there."""
        self.patience = 0

    def restore_best(self) -> None:
        """Give the model the parameters of its best epoch. Raises DataError if none is finished."""
        if self.best is None:
            raise DataError("There is no best epoch yet: fit() has finished none.")
        self.model.load_state_dict(self.best)
        self.model.eval()

    def save(self) -> None:
        """Put a checkpoint of everything into the directory, if there is one."""
        if self.directory is None:
            return
        carried = [] if self.state is None else [leaf.numpy() for leaf in flatten(self.state)]
        carried = self.team.whole_rows(carried)
        if self.writes:
            save_run(self, self.directory / CHECKPOINT, carried)
        self.team.exchange(None)  # no process goes on without it
        self._saved_at = time.monotonic()

    def resume(self) -> None:
        """Take everything up again where the directory's checkpoint left it; `fit` then goes on bit for bit.

        What the Trainer and its parts are now made with, other than for the run, stays, with a warning.
        Raises DataError for a checkpoint that is missing, damaged, foreign, of another model, or of a run
        judged by something else; then nothing is changed.
        """
        if self.directory is None:
            raise ConfigError("resume() needs the directory of the run: Trainer(..., directory=...).")
        self._mark, self._last = resume_run(self, self.directory / CHECKPOINT), None
        self._begun = True

    @property
    def asked_to_stop(self) -> bool:
        """Whether this process has been sent Ctrl-C or SIGTERM."""
        return self._interrupts.requested

    def try_out(self, batch: Any) -> None:
        """Refuse, on the first batch, a model that cannot be trained as it is asked to be."""
        if not self._tried:
            refuse_sight_ahead(self.model, batch)
            refuse_inseparable(self, batch)
            self._tried = True

    def _averaged(self) -> AbstractContextManager[None]:
        """Within, the model is what is evaluated."""
        return nullcontext() if self.average is None else self.average.applied()

    def _stop_or_save(self, *, due: bool) -> None:
        """Between two steps: stop if any process was asked to, or save if it is time to."""
        stop, due = self.team.any(self.asked_to_stop, due)
        if stop:
            raise Stopped
        if due:
            self.save()

    def _validated(self, valid: Iterable[Any]) -> float:
        """The validation loss; where that fails, the epoch's training is not lost."""
        try:
            return self.evaluate(valid)
        except Exception:
            self.save()
            raise

    def _write_first_checkpoint(self) -> None:
        """Write the first checkpoint, so that a directory of no use shows now and not after an hour."""
        taken = self.directory is not None and (self.directory / CHECKPOINT).exists()
        if any(self.team.any(taken)):  # before any of them writes
            raise ConfigError(
                f"{self.directory} holds the checkpoint of a run: go on with it by resume(), or choose "
                "another directory."
            )
        if self.directory is not None:
            warn_if_never_saved(self.model)
        self.save()
        self._begun = True

    def _finite(self, what: str, value: float) -> float:
        """`value`, if it is a number to go on with."""
        if math.isfinite(value):
            return value
        where = "" if self.team.alone or what != "gradient norm" else f" (of {self.team.blamed()})"
        clip = "clip=1.0" if self.clip == math.inf else f"a clip below {self.clip:g}"
        raise NonFiniteError(
            f"The {what}{where} is {value} in epoch {self.progress.epoch + 1} after "
            f"{self.progress.step:,} steps; no update was made from it.",
            f"Try a learning rate below {self.optimizer.lr:g}, or {clip}, or "
            "find the op where it is born: with tinyseq.detect_anomaly(): trainer.fit(...).",
        )
