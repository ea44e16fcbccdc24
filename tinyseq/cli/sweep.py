"""tinyseq sweep: a run file with ranges, tried out in many trials."""

import argparse
import json
import os
import shlex
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tinyseq.backend import threads
from tinyseq.cli.arguments import BROKEN, Formatter, whole
from tinyseq.cli.console import show_table
from tinyseq.cli.sweep_worker import work
from tinyseq.errors import ConfigError, DataError
from tinyseq.registry.sweep_file import Sweep, read

JOURNAL, BEST, RUN = "journal.jsonl", "best.toml", "run.toml"
PATIENCE = 30  # seconds that trials have to write their checkpoints after Ctrl-C

EXAMPLE = """\
example of a file: a run file (see tinyseq train --help), and
  [sweep]
  trials = 20
  directory = "sweeps/book"

  [sweep.ranges]
  width = { low = 32, high = 256, step = 32 }
  rate = { low = 1e-4, high = 1e-2, log = true }
  cell = { choices = ["gru", "lstm"] }

"sweep.width" then stands for a number of that range, wherever the run file says it.
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    text = "train what a TOML file describes many times, with values from ranges, and find the best"
    parser = commands.add_parser(
        "sweep",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=EXAMPLE,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=sweep)
    parser.add_argument("file", metavar="FILE", type=Path, help="the run file with ranges")
    parser.add_argument("--processes", type=whole(1), default=1, help="trials at a time (default 1)")
    parser.add_argument("--resume", action="store_true", help="go on with the sweep in its directory")


def sweep(args: argparse.Namespace) -> int:
    """Try values until there are as many trials as the file says, and tell which were best."""
    found = read(args.file)
    optuna = _optuna()
    _require_directory(found, args.resume)
    with _alone_in(found.directory):
        study = _study(optuna, found)
        again = shlex.join(["tinyseq", "sweep", str(args.file), "--resume"])
        try:
            _Trials(optuna, study, found).run(args.processes)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped; go on with: {again}") from None
        return _told(optuna, study, found)


class _Trials:
    """The trials of a study, each trained by one of several processes."""

    def __init__(self, optuna: Any, study: Any, sweep: Sweep) -> None:
        self.study, self.sweep, self.states = study, sweep, optuna.trial.TrialState
        running = study.get_trials(deepcopy=False, states=[self.states.RUNNING])
        self.left_behind = [optuna.trial.Trial(study, trial._trial_id) for trial in running]
        self.distributions = {
            name: _distribution(optuna, given) for name, given in sweep.options.ranges.items()
        }
        self.at_work: dict[Any, tuple[Any, Any]] = {}  # by pipe: the process and its trial

    def run(self, processes: int) -> None:
        """Train until no trial is left; Ctrl-C leaves those that are running for another time."""
        threads.share_cores(processes)
        context = get_context("spawn")
        try:
            while True:
                while len(self.at_work) < processes and (trial := self._next()) is not None:
                    here, there = context.Pipe()
                    process = context.Process(target=work, args=(there,), name=f"trial {trial.number}")
                    process.start()
                    there.close()
                    self._give(here, process, trial)
                if not self.at_work:
                    return
                for pipe in connection.wait(list(self.at_work)):
                    self._hear(pipe)
        finally:
            for pipe, (process, _) in self.at_work.items():
                with suppress(OSError):
                    pipe.close()
                process.join(PATIENCE)
                process.kill()

    def _next(self) -> Any:
        """A trial that somebody has left behind, or else a new one; None if there are enough."""
        if self.left_behind:
            return self.left_behind.pop(0)
        if len(self.study.get_trials(deepcopy=False)) >= self.sweep.options.trials:
            return None
        return self.study.ask(self.distributions)

    def _give(self, pipe: Any, process: Any, trial: Any) -> None:
        folder = self.sweep.directory / f"{trial.number:04}"
        folder.mkdir(parents=True, exist_ok=True)
        self.sweep.write_run(trial.params, folder / RUN, ".")
        self.at_work[pipe] = process, trial
        pipe.send(str(folder / RUN))

    def _hear(self, pipe: Any) -> None:
        process, trial = self.at_work[pipe]
        try:
            kind, said = pipe.recv()
        except EOFError:
            process.join()
            kind, said = "failed", f"its process ended with exit code {process.exitcode}"
        if kind == "epoch":
            number, value = said
            with warnings.catch_warnings(action="ignore"):  # a trial that went on reports an epoch again
                trial.report(value, number)
            last = number >= self.sweep.epochs(trial.params)
            stop = self.sweep.options.prune and not last and bool(trial.should_prune())
            trial.set_user_attr("pruned", stop)
            pipe.send("stop" if stop else "go on")
            return
        if kind == "failed":
            trial.set_user_attr("why", said)
            self.study.tell(trial, state=self.states.FAIL)
        else:
            for key, value in said.items():
                trial.set_user_attr(key, value)
            pruned = trial.user_attrs.get("pruned", False)
            end = {"state": self.states.PRUNED} if pruned else {"values": said["judged"]}
            self.study.tell(trial, **end)
        show = f"trial {trial.number}: {_values(trial.params)}: {_end(trial.user_attrs)}"
        print(show, flush=True)
        del self.at_work[pipe]
        following = None if process.exitcode is not None else self._next()
        if following is not None:  # the same process: what it has compiled, it knows
            self._give(pipe, process, following)
            return
        pipe.close()
        process.join()


def _told(optuna: Any, study: Any, sweep: Sweep) -> int:
    """Show all trials, the best first, and write its run file."""
    states = optuna.trial.TrialState
    trials = study.get_trials(deepcopy=False)
    done = sorted((t for t in trials if t.state == states.COMPLETE), key=lambda t: t.value)
    names = list(sweep.options.ranges)
    figure = sweep.document.get("training", {}).get("monitor", "loss")
    rows = [["trial", *names, figure, "epochs", "seconds", ""]]
    for trial in done + [t for t in trials if t.state != states.COMPLETE]:
        about = trial.user_attrs
        rows.append(
            [
                str(trial.number),
                *(_shown(trial.params[name]) for name in names),
                *(_shown(about[key]) if key in about else "" for key in ("value", "epochs", "seconds")),
                "" if trial.state == states.COMPLETE else trial.state.name.lower(),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(cell.rjust(n) for cell, n in zip(row, widths, strict=True)).rstrip())
    print(flush=True)
    if not done:
        why = [t.user_attrs["why"] for t in trials if "why" in t.user_attrs]
        print(f"No trial came to an end{f'; of the last: {why[-1]}' if why else ''}")
        return BROKEN
    best = sweep.directory / BEST
    sweep.write_run(done[0].params, best, "best")
    folder = sweep.directory / f"{done[0].number:04}"
    show_table([("best", f"trial {done[0].number}, in {folder}"), ("its run file", str(best))])
    return 0


def _study(optuna: Any, sweep: Sweep) -> Any:
    """The study in the directory, or a new one. Raises ConfigError if that is of another file."""
    journal = optuna.storages.journal
    path = sweep.directory / JOURNAL
    _mend(path)
    # One process writes the journal; a lock of Optuna's would outlive a kill.
    no_lock = SimpleNamespace(acquire=lambda: True, release=lambda: None)
    storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(path), lock_obj=no_lock))
    options = sweep.options
    study = optuna.create_study(
        storage=storage,
        study_name="sweep",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=options.seed + len(_lines(path))),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )
    identity = json.dumps([sweep.document, options.ranges], sort_keys=True, default=str)
    before = study.user_attrs.get("identity", identity)
    if before != identity:
        raise ConfigError(
            f"{sweep.path} has changed in more than trials since the sweep in {sweep.directory} began: "
            "change it back, or name another directory."
        )
    if "identity" not in study.user_attrs:
        study.set_user_attr("identity", identity)
    return study


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _mend(path: Path) -> None:
    """Cut off a last line that a power cut has left without its end."""
    lines = _lines(path)
    if lines and not lines[-1].endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(sum(map(len, lines[:-1])))


def _distribution(optuna: Any, given: dict[str, Any]) -> Any:
    kinds = optuna.distributions
    if "choices" in given:
        return kinds.CategoricalDistribution(given["choices"])
    low, high, step = given["low"], given["high"], given.get("step")
    if all(isinstance(x, int) for x in (low, high)) and isinstance(step, int | None):
        return kinds.IntDistribution(low, high, step=step or 1, log=given.get("log", False))
    return kinds.FloatDistribution(low, high, step=step, log=given.get("log", False))


def _require_directory(sweep: Sweep, resume: bool) -> None:
    there = (sweep.directory / JOURNAL).exists()
    if resume and not there:
        raise DataError(f"There is no sweep in {sweep.directory} to go on with: leave out --resume.")
    if there and not resume:
        raise ConfigError(
            f"{sweep.directory} already holds a sweep: go on with it by --resume, or name another directory."
        )
    try:
        sweep.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{sweep.directory} cannot hold a sweep: {error.strerror or error}.") from None


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep others out of the directory. Raises ConfigError if another process is at work in it."""
    lock: Callable[[Any], None] = _lock()
    with (folder / "lock").open("w") as file:
        try:
            lock(file)
        except OSError:
            raise ConfigError(f"Another tinyseq sweep is at work in {folder}: wait for its end.") from None
        yield


def _lock() -> Callable[[Any], None]:
    if os.name != "posix":
        return lambda file: None
    import fcntl

    return lambda file: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError("Sweeps need Optuna: pip install 'tinyseq[sweep]'.") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _values(params: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {_shown(value)}" for name, value in params.items())


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _end(about: dict[str, Any]) -> str:
    if "why" in about:
        return f"failed: {about['why'].splitlines()[0]}"
    pruned = ", not worth more" if about.get("pruned") else ""
    return f"{_shown(about['value'])} after {about['epochs']} epochs{pruned}"
