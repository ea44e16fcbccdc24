"""Checkpoint files: all that a run is, in one safetensors file, replaced in one instant."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.backend import backend_of
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError, DataError, TinyseqError
from tinyseq.files.container import open_container, write_container
from tinyseq.scan.state import flatten, rebuild
from tinyseq.training.options import first_rates, keep_new_options
from tinyseq.training.records import Progress
from tinyseq.training.setup import frozen, refuse_other_judge, say_changes

Arrays = dict[str, np.ndarray[Any, Any]]

FORMAT, VERSION = "tinyseq.training", 1


def prepare(directory: Path) -> Path:
    """The directory, made if need be, without what a killed write left; DataError if it is unusable."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left_behind in directory.glob(".*.safetensors.*.tmp"):
            left_behind.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{directory} cannot hold checkpoints: {error.strerror or error}; choose another directory."
        ) from None
    return directory


def save_run(trainer: Any, path: Path, carried: Sequence[Any]) -> None:
    """Put all that a Trainer's run is into the file `path`; `carried`: the state's leaves, all rows."""
    optimizer, average = trainer.optimizer.state_dict(), {}
    if trainer.average is not None:
        average = trainer.average.state_dict()
    arrays = {
        **with_prefix("model", trainer.model.state_dict()),
        **with_prefix("best", trainer.best or {}),
        **with_prefix("optimizer", _arrays_of(optimizer)),
        **with_prefix("average", _arrays_of(average)),
        **with_prefix("state", {str(i): rows for i, rows in enumerate(carried)}),
    }
    record = {
        "progress": trainer.progress.to_record(),
        "optimizer": _others_of(optimizer),
        "average": _others_of(average),
        "schedule": None if trainer.schedule is None else trainer.schedule.state_dict(),
        "random": random.get_state(),
        "notes": trainer.notes,
        "options": trainer.options,
        "setup": trainer.setup,
        "mark": trainer.mark,
        "frozen": frozen(trainer.model),
    }
    write_checkpoint(path, arrays, record)


def _arrays_of(state: dict[str, Any]) -> Arrays:
    return {name: value for name, value in state.items() if isinstance(value, np.ndarray)}


def _others_of(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if not isinstance(value, np.ndarray)}


def resume_run(trainer: Any, path: Path) -> int | None:
    """Make a Trainer what it was when `save_run` wrote `path`; after an error, nothing is changed.

    Returns the mark of the batch that was trained on last.
    """
    arrays, record = read_checkpoint(path)
    parts = trainer.model, trainer.optimizer, trainer.schedule, trainer.average
    numbers = random.get_state()
    before = [(part, part.state_dict()) for part in parts if part is not None]
    try:
        _take_up(trainer, arrays, record)
    except BaseException as error:
        for part, state in before:
            part.load_state_dict(state)
        random.set_state(numbers)
        if isinstance(error, TinyseqError):  # of another model, optimizer or schedule
            raise DataError(f"{path} is not the checkpoint of such a run: {error}") from error
        if isinstance(error, KeyError | TypeError | ValueError | AttributeError | IndexError):
            raise DataError(
                f"{path} is damaged: its record is not that of a training run "
                f"({type(error).__name__}: {error})."
            ) from error
        raise
    mark: int | None = record.get("mark")
    return mark


def _take_up(trainer: Any, arrays: Arrays, record: dict[str, Any]) -> None:
    model, optimizer, schedule = trainer.model, trainer.optimizer, trainer.schedule
    now, setup = trainer.setup, record.get("setup") or trainer.setup  # tinyseq 0.1 wrote none
    refuse_other_judge(now, setup)
    model.load_state_dict(under("model", arrays))
    optimizer.load_state_dict(record["optimizer"] | under("optimizer", arrays))
    kept = record.get("average") or {}
    if (trainer.average is None) != (not kept):
        have, made = ("averages", "without one") if kept else ("no averages", "with one")
        raise DataError(f"The checkpoint holds {have} of the Parameters, and the Trainer was made {made}.")
    if trainer.average is not None:
        trainer.average.load_state_dict(kept | under("average", arrays))
    rates, rate = first_rates(schedule), optimizer.lr
    if schedule is not None:
        if record["schedule"] is None:
            raise ConfigError(f"it has no schedule, so leave Trainer(schedule={schedule!r}) out.")
        schedule.load_state_dict(record["schedule"])
        now, setup = now | {"lr": optimizer.lr}, setup | {"lr": rate}  # of functions without a name
    elif record["schedule"] is not None:
        warnings.warn(
            f"The run began with a schedule, and goes on without one, at a rate of {optimizer.lr:g}: "
            "pass it to the Trainer as before.",
            stacklevel=4,
        )
    keep_new_options(optimizer, schedule, rates, trainer.options, record.get("options"))
    progress = Progress.from_record(record["progress"])
    carried, state = under("state", arrays), None
    places = trainer.team.places(len(carried["0"])) if carried else []
    if places:
        carried = {name: rows[places] for name, rows in carried.items()}
        like = model.initial_state(len(carried["0"]))
        leaves = [_constant(carried[str(i)], leaf) for i, leaf in enumerate(flatten(like))]
        state = rebuild(like, iter(leaves))
    say_changes(now, setup, stacklevel=5)
    if now["frozen"] == setup["frozen"] and "frozen" in record:  # by then, as a function after an epoch may
        for path, parameter in model.named_parameters():
            parameter.requires_grad = path not in record["frozen"]
    random.set_state(record["random"])
    trainer.progress, trainer.state, trainer.best = progress, state, under("best", arrays) or None


def _constant(values: Any, like: Tensor) -> Tensor:
    """`values` from a file as a constant on the backend of `like`, whichever is in use."""
    return make_tensor(backend_of(like.data).asarray(values, like.dtype), None)


def write_checkpoint(path: Path, arrays: Arrays, record: dict[str, Any]) -> None:
    """Put arrays and a JSON-able record into the file `path`, which at any instant is the old or the new one.

    One file holds both, so no kill can leave the arrays of one step beside the record of another.
    """
    write_container(path, arrays, {"format": FORMAT, "version": VERSION, **record})


def read_checkpoint(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the record that `write_checkpoint` wrote.

    Raises DataError, in one sentence, for a file that is missing, cut short, or written by something else.
    """
    with open_container(path) as file:
        if file.record.get("format") != FORMAT:
            raise DataError(f"{path} was written by tinyseq, but it is no checkpoint of a training run.")
        if file.record.get("version") != VERSION:
            raise DataError(
                f"{path} is a checkpoint of version {file.record.get('version')}, and this tinyseq reads "
                f"version {VERSION}: use the tinyseq that wrote it, or train again."
            )
        return {name: file.array(name) for name in file.shapes}, file.record


def under(prefix: str, arrays: Arrays) -> Arrays:
    """The arrays whose names begin with `prefix` and a dot, under the rest of their names."""
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def with_prefix(prefix: str, arrays: Arrays) -> Arrays:
    """The same arrays, each under `prefix`, a dot, and its name."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}
