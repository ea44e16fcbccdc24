"""What processes have to agree on before they train one model, and that what they share can be shared."""

import json
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.engine import higher_order, no_grad
from tinyseq.errors import ConfigError, ProcessError
from tinyseq.training.receipts import environment, weights_hash

APART = ("cores", "threads", "platform", "processor")
"""What the environment of a run says that may differ between machines."""


def require_same_run(trainer: Any) -> None:
    """Raise ConfigError, in all processes, unless all have the same code, options, weights and numbers."""
    team = trainer.team
    if team.alone:
        return
    others = {key: v for key, v in environment(trainer.model, trainer.optimizer).items() if key not in APART}
    options = {"clip": trainer.clip, "accumulate": trainer.accumulate, "patience": trainer.patience}
    progress = trainer.progress
    said = {
        **others,
        "optimizer": {"class": type(trainer.optimizer).__name__, **trainer.options},
        "schedule": None if trainer.schedule is None else trainer.schedule.state_dict(),
        "training": {**options, "monitor": trainer.monitor.name, "measure": trainer.monitor.measure},
        "directory": trainer.directory is not None,
        "notes": trainer.notes,
        "progress": {"epoch": progress.epoch, "batch": progress.batch, "step": progress.step},
        "weights": weights_hash(trainer.model.state_dict()),
        "random numbers": random.get_state(),
    }
    all_said = [_flat(json.loads(json.dumps(one, default=str))) for one in team.exchange((team.name, said))]
    mine = all_said[0]
    for other in all_said[1:]:
        apart = [key for key in dict.fromkeys([*mine, *other]) if mine.get(key) != other.get(key)]
        names = [key for key in apart if key != "0"]
        if names:
            key = names[0]
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            seeds = key.startswith(("1.weights", "1.random"))
            raise ConfigError(
                f"{other['0']} does not train what {mine['0']} trains: {key.removeprefix('1.')} is "
                f"{_brief(other.get(key))} there and {_brief(mine.get(key))} here{more}; "
                + ("begin every process with the same tinyseq.seed(n)." if seeds else "give all the same.")
            )


def require_same_weights(trainer: Any) -> None:
    """Raise ProcessError unless all processes have the same weights, bit for bit."""
    if trainer.team.alone:
        return
    hashes = trainer.team.exchange(weights_hash(trainer.model.state_dict()))
    apart = [rank for rank, found in enumerate(hashes) if found != hashes[0]]
    if apart:
        raise ProcessError(
            f"After epoch {trainer.progress.epoch}, rank {apart[0]} has other weights than rank 0, though "
            "both took the same steps: a function after a step changes them in one process only, or the "
            "machines compute differently; use machines of one kind."
        )


def refuse_inseparable(trainer: Any, batch: Any) -> None:
    """Raise ConfigError if the loss of a batch is not that of its shares together, tried on this one.

    So it is where a loss compares the sequences of a batch with each other, or a layer normalises over them.
    """
    team, model, numbers = trainer.team, trainer.model, random.get_state()
    if team.alone:
        return
    total, weight, failed = 0.0, 0.0, ""
    try:
        with no_grad(), higher_order(), model.evaluating():
            whole = trainer.objective(model, batch, None)
            try:
                for share in team.shares([batch]):
                    found = trainer.objective(model, share, None)
                    total, weight = found.mean.item() * found.targets, found.targets
            except Exception as error:  # of a loss that does without some of its batch
                failed = f" ({error})"
    finally:
        random.set_state(numbers)
    total, weight, _ = team.total(total, weight, False, batch)
    failures = "".join(team.exchange(failed))
    mean, count = whole.mean.item(), whole.targets
    if failures or not np.allclose([total, weight], [mean * count, count], rtol=1e-3):
        raise ConfigError(
            f"The loss of a batch is not that of its sequences one by one: {mean:.6g} for all, "
            f"{total / (weight or 1):.6g} for the shares of {team.size} processes together{failures}. A loss "
            "or a layer that compares the sequences of a batch with each other is trained in one process."
        )


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested dicts and lists as one dict, with paths of keys."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        start = f"{path}." if path else ""
        return {k: v for key, item in items for k, v in _flat(item, f"{start}{key}").items()}
    return {path: value}


def _brief(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
