"""The options of an optimizer in a run that is resumed."""

import warnings
from typing import Any

from tinyseq.optim import Optimizer, ReduceOnPlateau, Schedule


def options_of(optimizer: Optimizer) -> dict[str, Any]:
    """The options of an optimizer's groups, under "group.option", as files hold them."""
    state = optimizer.state_dict().items()
    return {key.removeprefix("groups."): value for key, value in state if key.startswith("groups.")}


def first_rates(schedule: Schedule | ReduceOnPlateau | None) -> list[float]:
    """The learning rates that a Schedule multiplies, one for each group."""
    return list(schedule.base) if isinstance(schedule, Schedule) else []


def keep_new_options(
    optimizer: Optimizer,
    schedule: Schedule | ReduceOnPlateau | None,
    rates: list[float],
    made_with: dict[str, Any],
    saved: Any,
) -> None:
    """Go on with the options that the optimizer was made with where they are not those the run began with.

    rates: the schedule's before it was resumed. Checkpoints of tinyseq 0.1 have no options: all is theirs.
    """
    if not isinstance(saved, dict):
        return
    new = {key: value for key, value in made_with.items() if saved.get(key) != value}
    for key, value in new.items():
        group, _, option = key.partition(".")
        optimizer.groups[int(group)][option] = tuple(value) if isinstance(value, list) else value
        if option == "lr" and isinstance(schedule, Schedule):
            schedule.base[int(group)] = rates[int(group)]
            schedule.load_state_dict(schedule.state_dict())
    if new:
        said = ", ".join(f"{key.partition('.')[2]}={value!r}" for key, value in new.items())
        before = ", ".join(repr(saved.get(key)) for key in new)
        warnings.warn(f"The run goes on with {said} of its optimizer, not with {before}.", stacklevel=5)
