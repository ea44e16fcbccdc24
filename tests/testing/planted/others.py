"""Heads, metrics, optimisers, initialisers and ops with one fault each."""

import math
from typing import Any

import numpy as np

from tinyseq import ops, primitive, random
from tinyseq.contracts import Head, Metric
from tinyseq.contracts.pairing import beside
from tinyseq.evaluation import Accuracy, Perplexity
from tinyseq.nn import Linear
from tinyseq.optim import Adam


class Tagger(Head):
    """A right head: a class for each step."""

    def __init__(self, input_size: int, classes: int) -> None:
        self.input_size = input_size
        self.projection = Linear(input_size, classes)

    def loss(self, features: Any, targets: Any) -> Any:
        return ops.softmax_cross_entropy(self.projection(features).data, targets.data).mean()

    def predict(self, features: Any) -> Any:
        return self.projection(features).map(ops.log_softmax)

    def metrics(self) -> dict[str, Metric]:
        return {"perplexity": Perplexity()}


class OneScoreForAll(Tagger):
    def loss(self, features: Any, targets: Any) -> Any:
        scores = self.projection(features).data
        scores = 0 * scores + scores.mean(axis=0, keepdims=True)
        return ops.softmax_cross_entropy(scores, targets.data).mean()


class PredictsOverTheBatch(Tagger):
    def predict(self, features: Any) -> Any:
        return self.projection(features).map(lambda scores: ops.log_softmax(scores, axis=0))


class DropsAlways(Tagger):
    """Features are dropped in whatever mode it is."""

    def predict(self, features: Any) -> Any:
        kept = random.generator().random(features.data.shape) < 0.5
        return super().predict(features.map(lambda x: x * beside(x, kept, x.dtype)))


class MeanOfMeansHead(Tagger):
    def loss(self, features: Any, targets: Any) -> Any:
        scores = self.projection(features)
        return scores.with_data(ops.softmax_cross_entropy(scores.data, targets.data)).mean().mean()


class WeighsInSilence(Tagger):
    """Targets of class 0 count three times, of which the trainer hears nothing."""

    def counts(self, targets: Any) -> Any:
        return 1 + 2 * (targets.data.numpy() == 0)

    def loss(self, features: Any, targets: Any) -> Any:
        counts = self.counts(targets)
        costs = ops.softmax_cross_entropy(self.projection(features).data, targets.data)
        return (costs * beside(costs, counts, costs.dtype)).sum() * (1 / float(counts.sum()))


class WeighsAloud(WeighsInSilence):
    """The same, but it says so: a right head."""

    def weight(self, targets: Any) -> float:
        return float(self.counts(targets).sum())


class CountsIgnored(Accuracy):
    """What is ignored is never right, and still counts."""

    def update(self, predictions: Any, targets: Any) -> None:
        super().update(predictions, targets)
        self.count += int((targets == self.ignore_index).sum())


class SameMetricsAgain(Tagger):
    def metrics(self) -> dict[str, Metric]:
        self.kept = getattr(self, "kept", None) or super().metrics()
        return self.kept


class MeanPerplexity(Metric):
    """A mean over batches, of which each may have another size."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def update(self, scores: Any, targets: Any) -> None:
        nats = ops.softmax_cross_entropy(np.asarray(scores), np.asarray(targets))
        self.values.append(math.exp(float(nats.mean())))

    def merge(self, other: Any) -> None:
        self.values += other.values

    def value(self) -> float:
        return sum(self.values) / len(self.values)


class MergesCountsOnly(Perplexity):
    def merge(self, other: Perplexity) -> None:
        self.count += other.count


def perplexity(metric: Any, batches: Any) -> float:
    nats = [ops.softmax_cross_entropy(scores, targets) for scores, targets in batches]
    return math.exp(float(np.concatenate(nats).mean()))


class ForgetsItsMomentum(Adam):
    def load_state_dict(self, state: Any) -> None:
        super().load_state_dict({k: 0 * v if k.startswith("mean.") else v for k, v in state.items()})


class Ascends(Adam):
    def update(self, w: Any, g: Any, state: Any, options: Any, step: int) -> None:
        super().update(w, -g, state, options, step)


class DecaysEverything(Adam):
    def step(self) -> None:
        super().step()
        for parameter in self.groups[0]["parameters"]:
            parameter.data[...] = 0.99 * parameter.data
            parameter.changed()


class ForgetsTheBias(Adam):
    """Running means are used as they are, though they start at 0."""

    def update(self, w: Any, g: Any, state: Any, options: Any, step: int) -> None:
        super().update(w, g, state, options, 10**6)


def adam(optimizer: Adam, w: Any, gradients: Any) -> Any:
    """Kingma and Ba (2015), algorithm 1."""
    options = optimizer.groups[0]
    (b1, b2), m, v = options["betas"], 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        w = w - options["lr"] * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + options["eps"])
    return w


class HoldsAFunction(Adam):
    """An option that no checkpoint can hold."""

    def __init__(self, parameters: Any, lr: float = 1e-3) -> None:
        super().__init__(parameters, lr)
        self.groups[0]["rule"] = np.sign


def always_double(shape: Any, dtype: Any = np.float32) -> Any:
    return random.generator().normal(size=shape)


def unseeded(shape: Any, dtype: Any = np.float32) -> Any:
    return np.random.normal(size=shape).astype(dtype)


@primitive
def cube(xp: Any, x: Any) -> Any:
    return x * x * x, lambda g: (2 * g * x * x,)


@primitive
def column_mean(xp: Any, x: Any) -> Any:
    n = x.shape[1]
    return xp.sum(x, axis=0) * (1 / n), lambda g: (xp.broadcast_to(g * (1 / n), x.shape),)


def scored(metric: Any, rng: np.random.Generator, rows: int) -> Any:
    return rng.normal(size=(rows, 4)), rng.integers(0, 4, rows)


def matrix(rng: np.random.Generator, rows: int) -> Any:
    return [rng.normal(size=(rows + 1, 3))]


TAGGING = {"cases": [(3, 4)], "inputs": 4}
MEASURING = {"cases": [{}], "inputs": scored, "reference": perplexity}
IGNORING = {"cases": [{"ignore_index": -1}], "inputs": scored, "ignored": -1}

ADAM: dict[str, Any] = {"cases": [{"lr": 0.1}]}

PLANTS: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("one score for all steps", "H1", OneScoreForAll, TAGGING),
    ("prediction normalised over the batch", "H2", PredictsOverTheBatch, TAGGING),
    ("features dropped in evaluation mode", "H5", DropsAlways, TAGGING),
    ("head's loss is a mean of means", "H3", MeanOfMeansHead, TAGGING),
    ("class weights that nobody hears of", "H3", WeighsInSilence, TAGGING),
    ("ignored targets are counted", "E3", CountsIgnored, IGNORING),
    ("the same metrics again", "H4", SameMetricsAgain, TAGGING),
    ("perplexity averaged over batches", "E2", MeanPerplexity, MEASURING),
    ("merge forgets the sum", "E1", MergesCountsOnly, MEASURING),
    ("momentum lost when loading", "O2", ForgetsItsMomentum, {"cases": [{"lr": 0.1}]}),
    ("decays what has no gradient", "O3", DecaysEverything, {"cases": [{"lr": 0.1}]}),
    ("a mean that starts at 0 is not corrected", "O4", ForgetsTheBias, {**ADAM, "reference": adam}),
    ("an option that no checkpoint can hold", "O5", HoldsAFunction, ADAM),
    ("steps uphill", "O1", Ascends, {"cases": [{"lr": 0.1}]}),
    ("initialiser ignores the dtype", "I1", always_double, {}),
    ("initialiser draws from np.random", "I2", unseeded, {}),
    ("wrong factor in a pullback", "P1", cube, {"cases": [{}], "inputs": matrix}),
    (
        "mean over the wrong axis",
        "P2",
        column_mean,
        {"cases": [{}], "inputs": matrix, "reference": lambda x: x.mean(axis=0)},
    ),
]
RIGHT: list[tuple[Any, dict[str, Any]]] = [
    (Tagger, TAGGING),
    (WeighsAloud, TAGGING),
    (Perplexity, MEASURING),
    (Perplexity, IGNORING),
    (Accuracy, IGNORING),
    (Adam, {"cases": [{"lr": 0.1}]}),
]
