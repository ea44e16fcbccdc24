"""Learning rates over time: a factor of the number of updates, and the object that applies it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tinyseq.errors import ConfigError, DataError
from tinyseq.optim.optimizer import Optimizer


@dataclass(frozen=True)
class Constant:
    """1 throughout."""

    def __call__(self, count: int) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """Times `factor` after every `every` updates."""

    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _positive("StepDecay", every=self.every, factor=self.factor)

    def __call__(self, count: int) -> float:
        return float(self.factor ** (count // self.every))


@dataclass(frozen=True)
class Exponential:
    """Times `factor` after each update."""

    factor: float

    def __post_init__(self) -> None:
        _positive("Exponential", factor=self.factor)

    def __call__(self, count: int) -> float:
        return float(self.factor**count)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to `floor` in `total` updates, then `floor`.

    Source: Loshchilov and Hutter (2017), equation 5.
    """

    total: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        _positive("Cosine", total=self.total)

    def __call__(self, count: int) -> float:
        done = min(count, self.total) / self.total
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Warmup:
    """From 1/total to 1 on a line over the first `total` updates, then the schedule `then` from its start."""

    total: int
    then: Callable[[int], float] = Constant()

    def __post_init__(self) -> None:
        _positive("Warmup", total=self.total)

    def __call__(self, count: int) -> float:
        return (count + 1) / self.total if count < self.total else self.then(count - self.total)


class Schedule:
    """Sets the learning rate of every group to its first value times `factor(count)`.

    `count` is the number of `step()` calls so far; call it after each `optimizer.step()`. Any function of an
    integer serves as factor.
    """

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]) -> None:
        self.optimizer = optimizer
        self.factor = factor
        self.base = [float(group["lr"]) for group in optimizer.groups]
        self.count = 0
        self._apply()

    def step(self) -> None:
        """Go on to the next update."""
        self.count += 1
        self._apply()

    def _apply(self) -> None:
        for group, base in zip(self.optimizer.groups, self.base, strict=True):
            group["lr"] = base * float(self.factor(self.count))

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs, as JSON can hold it."""
        return {"count": self.count, "base": list(self.base)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; raises DataError if it does not fit."""
        _check_state("Schedule", state, {"count": int, "base": list})
        if len(state["base"]) != len(self.base):
            raise DataError(
                f"This schedule was saved with {len(state['base'])} groups, but the optimiser has "
                f"{len(self.base)}."
            )
        self.count, self.base = state["count"], list(state["base"])
        self._apply()


class ReduceOnPlateau:
    """Multiplies every learning rate by `factor` after more than `patience` reports that are no better.

    Better is less than the best so far by more than `threshold` (greater, for mode "max").
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        min_lr: float = 0.0,
        mode: str = "min",
    ) -> None:
        if mode not in ("min", "max"):
            raise ConfigError(f"ReduceOnPlateau(mode={mode!r}): choose 'min' or 'max'.")
        if not 0 < factor < 1 or patience < 0:
            raise ConfigError(
                f"ReduceOnPlateau(factor={factor!r}, patience={patience!r}): the factor must be between 0 "
                "and 1, the patience 0 or more."
            )
        self.optimizer = optimizer
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self.min_lr = min_lr
        self.sign = 1.0 if mode == "min" else -1.0
        self.best = math.inf  # of sign * value
        self.waited = 0

    def step(self, value: float) -> None:
        """Report the next value, such as the validation loss of an epoch. NaN counts as no better."""
        if self.sign * value < self.best - self.threshold:
            self.best, self.waited = self.sign * value, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.waited = 0
            for group in self.optimizer.groups:
                lowest = min(self.min_lr, group["lr"])  # a rate that began below it is not raised
                group["lr"] = max(lowest, group["lr"] * self.factor)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs, as JSON can hold it; the rates themselves are the optimiser's."""
        return {"best": self.best if math.isfinite(self.best) else None, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; raises DataError if it does not fit."""
        _check_state("ReduceOnPlateau", state, {"best": (float, int, type(None)), "waited": int})
        self.best = math.inf if state["best"] is None else float(state["best"])
        self.waited = state["waited"]


def _positive(name: str, **values: float) -> None:
    for option, value in values.items():
        if not value > 0:
            raise ConfigError(f"{name}({option}={value!r}): it must be above 0.")


def _check_state(name: str, state: Mapping[str, Any], kinds: dict[str, Any]) -> None:
    if state.keys() != kinds.keys() or not all(isinstance(state[key], kind) for key, kind in kinds.items()):
        raise DataError(f"This is no state of {name}, which has {sorted(kinds)}: {dict(state)!r}.")
