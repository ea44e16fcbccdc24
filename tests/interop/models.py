"""Layers and heads of all kinds that are written to files: each is one test of a writer."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinyseq
from tests.recipes.test_recipes import SMALL
from tinyseq import Sequences, Tensor, ops, recipes
from tinyseq.nn import Dropout, LayerNorm, Linear, Residual, Sequential
from tinyseq.ops import concatenate, sigmoid, softmax, tanh
from tinyseq.training import Trainer

WIDTH = 6
Deep, Bidirectional = tinyseq.layers["deep"], tinyseq.layers["bidirectional"]
LSTM, GRU, RNN = (tinyseq.cells[name] for name in ("lstm", "gru", "rnn"))
run = tinyseq.Recurrent


class TwoStates(NamedTuple):
    h: Tensor
    x: Tensor  # a name that a step's input has too


class Attentive(tinyseq.Cell):
    """A cell with a learned first state, a softmax, slices, a reduction, a transposed weight, comparisons."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        self.mix = Linear(hidden_size + input_size, hidden_size)
        self.first = tinyseq.nn.Parameter(np.linspace(-1, 1, hidden_size))

    def initial_state(self, batch_size: int) -> TwoStates:
        h = tinyseq.ops.broadcast_to(self.first, (batch_size, self.output_size))
        return TwoStates(h, self.zeros(batch_size, self.output_size))

    def step(self, x: Any, state: Any) -> Any:
        z = self.mix(concatenate([state.h, x], axis=-1))
        weights = softmax(z) * tinyseq.ops.where((state.x > 0) & (z < 1), state.x, 1.0)
        h = tanh(z + z @ self.mix.weight[: self.output_size].T) - weights.sum(axis=-1, keepdims=True)
        h = concatenate([h[:, ::-2], h[:, 1::2] ** 2 + abs(h[:, 0, None]).clip(0, 1)], axis=-1)
        return h * sigmoid(state.x), TwoStates(h, weights)


class Varied(tinyseq.Cell):
    """A cell of the words that are neither arithmetic nor a reduction."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        self.mix = Linear(hidden_size + input_size, hidden_size)
        self.square = tinyseq.nn.Parameter(np.linspace(-1, 1, 9).reshape(3, 3))

    def initial_state(self, batch_size: int) -> Any:
        return self.zeros(batch_size, self.output_size)

    def step(self, x: Any, h: Any) -> Any:
        z = self.mix(concatenate([h, x], axis=-1))
        pairs = z.reshape(-1, self.output_size // 3, 3)
        z = z + ops.einsum("bwc,cd->bwd", pairs, self.square).reshape(-1, self.output_size)
        z = z + ops.tril(pairs, 1).reshape(z.shape) - ops.triu(pairs).reshape(z.shape)
        best, at = ops.top_k(z, 2)
        chosen = ops.one_hot(at[:, 0], self.output_size, dtype="float32").astype(z.dtype)
        z = ops.gelu(z) + ops.sin(ops.roll(z, 1, axis=-1)) * ops.cos(ops.cumsum(z, -1))
        z = z + chosen * best[:, 1:] - ops.sort(h) + ops.repeat(best, self.output_size // 2, axis=-1)
        h = tanh(z / (1 + ops.norm(z, axis=-1, keepdims=True)) + ops.logaddexp(h, ops.log_sigmoid(z)))
        return h, h


ENCODERS = {
    "words of all kinds": lambda: run(Varied(WIDTH, WIDTH)),
    "lstm": lambda: run(LSTM(WIDTH, WIDTH)),
    "peepholes": lambda: run(LSTM(WIDTH, WIDTH, peepholes=True, gate="hard_sigmoid", cell_output="linear")),
    "activations": lambda: Bidirectional(
        LSTM(WIDTH, 3, candidate="softplus"), LSTM(WIDTH, 3, gate="hard_sigmoid", cell_output="relu")
    ),
    "gru": lambda: run(GRU(WIDTH, WIDTH)),
    "gru, reset after": lambda: run(GRU(WIDTH, WIDTH, reset="after")),
    "grus": lambda: Bidirectional(GRU(WIDTH, 3, reset="after"), GRU(WIDTH, 3, reset="after")),
    "rnn": lambda: run(RNN(WIDTH, WIDTH, activation="relu")),
    "of one's own": lambda: run(Attentive(WIDTH, WIDTH)),
    "of one's own, reversed": lambda: run(Attentive(WIDTH, WIDTH), reverse=True),
    "reversed": lambda: run(LSTM(WIDTH, WIDTH), reverse=True),
    "bidirectional": lambda: Bidirectional(LSTM(WIDTH, 2), GRU(WIDTH, 4)),
    "stacks both ways": lambda: Bidirectional(Deep(LSTM(WIDTH, 4), RNN(4, 2)), Deep(GRU(WIDTH, 4))),
    "deep": lambda: Deep(Dropout(0.5), LSTM(WIDTH, WIDTH), Bidirectional(RNN(WIDTH, 3), RNN(WIDTH, 3))),
    "residual": lambda: Deep(GRU(WIDTH, WIDTH), GRU(WIDTH, WIDTH), LayerNorm(WIDTH), residual=True),
    "rows": lambda: Sequential(Residual(Linear(WIDTH, WIDTH)), LayerNorm(WIDTH)),
    "nothing": lambda: Sequential(),
}
HEADS = {
    "tagger": lambda: tinyseq.heads["tagger"](WIDTH, 4),
    "crf": lambda: tinyseq.heads["tagger"](WIDTH, 4, loss=tinyseq.losses["crf"](4)),
    "crf-iob2": lambda: tinyseq.heads["tagger"](
        WIDTH, 4, loss=tinyseq.losses["crf"](4), names=["O", "B-X", "I-X", "I-Y"], scheme="IOB2"
    ),
    "language-model": lambda: tinyseq.heads["language-model"](WIDTH, 9),
    "multi-label": lambda: tinyseq.heads["multi-label"](WIDTH, 5),
    "ctc": lambda: tinyseq.heads["ctc"](WIDTH, 5),
    **{
        f"classifier, {pooling}": lambda pooling=pooling: tinyseq.heads["classifier"](
            WIDTH, 4, pooling=pooling
        )
        for pooling in ("last", "mean", "max", "attention")
    },
    "regressor": lambda: tinyseq.heads["regressor"](WIDTH, 2),
    "regressor, pooled": lambda: tinyseq.heads["regressor"](WIDTH, 2, pooling="mean"),
    "activation-penalty": lambda: tinyseq.heads["activation-penalty"](HEADS["crf"](), dropout=0.5),
    "siamese": lambda: tinyseq.heads["siamese"](WIDTH),
    "siamese, projected": lambda: tinyseq.heads["siamese"](WIDTH, 3, pooling="last"),
}


def pairs(encoders: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every encoder with every head, but what sees ahead with none that predicts what comes."""
    ahead = {name for name, make in encoders.items() if any(sees_ahead(part) for part in make().modules())}
    return [(e, h) for e in encoders for h in HEADS if not (h == "language-model" and e in ahead)]


def sees_ahead(part: Any) -> bool:
    return getattr(part, "sees_ahead", False)


def random_weights(model: Any, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data[...] = 0.5 * rng.normal(size=parameter.shape)
    return model


def ids_of(lengths: Iterable[int], most: int = 9, seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    return Sequences.from_list([rng.integers(0, most, n) for n in lengths])


def models_of(name: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The models of a recipe as it makes them, after an update or two, each with a batch of its own."""
    fit, found = Trainer.fit, list[Any]()

    def short(self: Trainer, batches: Any, valid: Any = None, *, epochs: int) -> Any:
        batch = next(iter(batches))
        found.append((self.model, batch[0]))
        return fit(self, [batch], epochs=1)

    monkeypatch.setattr(Trainer, "fit", short)
    recipes[name](None, **SMALL[name][0])
    assert found
    return [(model, _sequences(xs)) for model, xs in found]


def _sequences(xs: Any) -> Any:
    """Ids as Sequences, features in float32."""
    xs = xs if isinstance(xs, Sequences | Tensor) else Tensor(xs)
    if isinstance(xs, Tensor) and xs.dtype.kind != "f":
        xs = Sequences.from_padded(xs)
    return xs.map(lambda x: x.astype("float32")) if xs.dtype == np.float64 else xs
