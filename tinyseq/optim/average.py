"""Averages of a model's Parameters over its updates: they are evaluated, while training goes on beside."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyseq.backend import Array, backend_of
from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Module, Parameter


class Average:
    """The mean of each Parameter over all updates, which `Trainer(average=...)` keeps and evaluates with.

    A subclass may weigh updates otherwise (`share`), or begin later (`end_epoch`). Source: Polyak and
    Juditsky (1992).
    """

    def __init__(self, model: Module) -> None:
        self.parameters: dict[str, Parameter] = dict(model.named_parameters())
        self.updates = 0  # that went into the averages
        self.runs = True  # whether updates are taken in
        self.values: dict[str, Array] = {}

    def share(self) -> float:
        """How much the newest of `updates` values counts, between 0 and 1."""
        return 1 / self.updates

    def update(self) -> None:
        """Take in the Parameters as they are after an update."""
        if not self.runs:
            return
        self.updates += 1
        share = self.share()
        for name, parameter in self.parameters.items():
            mean = self.values.get(name)
            if mean is None:
                self.values[name] = parameter.data.copy()
            else:
                mean += share * (parameter.data - mean)

    def end_epoch(self, loss: float) -> None:
        """Hear the loss of a finished epoch."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the Parameters are their averages, if there are any yet."""
        kept = {name: self.parameters[name].data.copy() for name in self.values}
        self.apply()
        try:
            yield
        finally:
            for name, values in kept.items():
                self.parameters[name].data[...] = values
                self.parameters[name].changed()

    def apply(self) -> None:
        """Make the Parameters their averages, for good: when training is over."""
        for name, mean in self.values.items():
            self.parameters[name].data[...] = mean
            self.parameters[name].changed()

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs: averages by the Parameter's path, and what JSON can hold."""
        values = {
            f"mean.{name}": backend_of(mean).to_numpy(mean).copy() for name, mean in self.values.items()
        }
        return {"updates": self.updates, "runs": self.runs, **values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict()` of an equal average gave. Raises DataError where it does not fit."""
        means = {key[5:]: np.asarray(value) for key, value in state.items() if key.startswith("mean.")}
        shapes = {name: parameter.shape for name, parameter in self.parameters.items()}
        found = {name: mean.shape for name, mean in means.items()}
        if not {"updates", "runs"} <= state.keys() or (found and found != shapes):
            raise DataError(f"These averages do not fit {type(self).__name__} of this model.")
        self.updates, self.runs = int(state["updates"]), bool(state["runs"])
        self.values = {
            name: backend_of(self.parameters[name].data).asarray(mean, self.parameters[name].dtype).copy()
            for name, mean in means.items()
        }


class ExponentialAverage(Average):
    """A mean in which an update counts `decay` times as much with every one after it.

    The first updates are averaged plainly, until there are 1 / (1 - decay) of them: so it starts unbiased.
    """

    def __init__(self, model: Module, decay: float = 0.999) -> None:
        super().__init__(model)
        if not 0 <= decay < 1:
            raise ConfigError(f"ExponentialAverage(decay={decay!r}): it must be within [0, 1).")
        self.decay = decay

    def share(self) -> float:
        """1 - decay, once there are enough updates."""
        return max(1 - self.decay, 1 / self.updates)


class TriggeredAverage(Average):
    """The plain mean over all updates since the loss stopped falling.

    It begins after the first epoch whose loss is above the lowest of those that lie `patience` epochs or more
    before it. Source: Merity et al. (2018), algorithm 1 (NT-ASGD).
    """

    def __init__(self, model: Module, patience: int = 5) -> None:
        super().__init__(model)
        if patience < 1:
            raise ConfigError(f"TriggeredAverage(patience={patience}): it waits for 1 epoch or more.")
        self.patience, self.runs = patience, False
        self.losses: list[float] = []

    def end_epoch(self, loss: float) -> None:
        """Begin, if the loss is above one of long ago."""
        before = self.losses[: max(0, len(self.losses) - self.patience)]
        self.runs = self.runs or (bool(before) and loss > min(before))
        self.losses.append(loss)

    def state_dict(self) -> dict[str, Any]:
        """As of any average, with the losses so far."""
        return {**super().state_dict(), "losses": list(self.losses)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict()` gave."""
        super().load_state_dict(state)
        self.losses = [float(loss) for loss in state["losses"]]
