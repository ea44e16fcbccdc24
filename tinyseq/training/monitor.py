"""What is measured on validation data, and which epoch is best by it."""

import math
from collections.abc import Iterable, Iterator, Sized
from typing import Any

import numpy as np

from tinyseq.contracts import Metric
from tinyseq.errors import ConfigError, DataError


class Monitor:
    """The metrics of a model's head, and the one of them, or the loss, that epochs are judged by."""

    def __init__(self, model: Any, name: str, measure: bool) -> None:
        self.model = model
        self.name = name
        self.measure = measure
        self.known = self._metrics()
        if name != "loss" and name not in self.known:
            raise ConfigError(
                f"Trainer(monitor={name!r}): there is no such metric; choose from "
                f"{', '.join(['loss', *self.known])}."
            )
        if name != "loss" and not measure:
            raise ConfigError(f"Trainer(monitor={name!r}) has to measure it: leave measure=True.")

    def fresh(self) -> dict[str, Metric]:
        """New metrics by name, if any are to be measured."""
        return self._metrics() if self.measure else {}

    def _metrics(self) -> dict[str, Metric]:
        metrics = getattr(getattr(self.model, "head", None), "metrics", None)
        return metrics() if callable(metrics) else {}

    def judged(self, metrics: dict[str, float]) -> float | None:
        """What an epoch is judged by, the lower the better; None if that is its loss."""
        if self.name == "loss":
            return None
        value = metrics.get(self.name, math.nan)
        if not math.isfinite(value):  # what is infinitely good would be the best for ever, and is no figure
            return math.inf
        return -value if self.known[self.name].higher_is_better else value

    def of_training(self, loss: float) -> dict[str, float]:
        """The perplexity of the training data, where the loss is its logarithm."""
        criterion = getattr(getattr(self.model, "head", None), "criterion", None)
        if "perplexity" not in self.known or not getattr(criterion, "is_surprise", False):
            return {}
        return {"perplexity": math.exp(loss) if loss < 700 else math.inf}

    def check(self, valid: Iterable[Any] | None, epochs: int) -> None:
        """Refuse before the first of so many epochs what would lose it afterwards."""
        if valid is None:
            if self.name != "loss":
                raise ConfigError(
                    f"Trainer(monitor={self.name!r}) goes by the validation data: pass them to fit()."
                )
        elif isinstance(valid, Sized) and len(valid) == 0:
            raise DataError(
                "Validation would bring no batch: pass batches, or leave the validation data out."
            )
        elif epochs > 1 and isinstance(valid, Iterator):
            raise DataError(
                "Validation would bring no batch after the first epoch, because an iterator is used up then: "
                "pass a list, or an iterable that starts anew every epoch."
            )


def merged(parts: list[dict[str, Metric]]) -> dict[str, Metric]:
    """The metrics of all parts together; none where a part has measured none."""
    whole, *others = parts
    for other in others:
        whole = {name: metric for name, metric in whole.items() if name in other}
        for name, metric in whole.items():
            metric.merge(other[name])
    return whole


def values(metrics: dict[str, Metric]) -> dict[str, float]:
    """The figures that are numbers."""
    found = {name: metric.value() for name, metric in metrics.items()}
    return {name: float(v) for name, v in found.items() if isinstance(v, int | float | np.number)}
