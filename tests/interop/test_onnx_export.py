"""onnxruntime says what the model says, on every batch, of whatever lengths."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyseq
from tests.recipes.test_recipes import SMALL
from tinyseq import Sequences, Tensor, no_grad, recipes
from tinyseq.errors import ConfigError, DataError
from tinyseq.interop import to_onnx
from tinyseq.nn import (
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    Residual,
    SequenceModel,
    Sequential,
    TokenFeatures,
)
from tinyseq.ops import concatenate, relu, sigmoid, softmax, tanh
from tinyseq.scan.state import flatten
from tinyseq.training import Trainer

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[test-onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install '.[test-onnx]'")

WIDTH, TOLERANCE = 6, 1e-5
Deep, Bidirectional = tinyseq.layers["deep"], tinyseq.layers["bidirectional"]
LSTM, GRU, RNN = (tinyseq.cells[name] for name in ("lstm", "gru", "rnn"))
run = tinyseq.Recurrent


class TwoStates(NamedTuple):
    h: Tensor
    m: Tensor


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
        weights = softmax(z) * tinyseq.ops.where((state.m > 0) & (z < 1), state.m, 1.0)
        h = tanh(z + z @ self.mix.weight[: self.output_size].T) - weights.sum(axis=-1, keepdims=True)
        h = concatenate([h[:, ::-2], h[:, 1::2] ** 2 + abs(h[:, 0, None]).clip(0, 1)], axis=-1)
        return h * sigmoid(state.m), TwoStates(h, weights)


class Mine(tinyseq.Layer):
    """A stranger's layer: rows beside the mean of their sequence."""

    def __init__(self, size: int) -> None:
        self.input_size, self.output_size = size, size
        self.linear = Linear(size, size)

    def forward(self, xs: Any) -> Any:
        return xs.with_data(self.linear(xs.data) - xs.spread(xs.mean()))


ENCODERS = {
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
    "both ways": lambda: Bidirectional(LSTM(WIDTH, 2), GRU(WIDTH, 4)),
    "stacks both ways": lambda: Bidirectional(Deep(LSTM(WIDTH, 4), RNN(4, 2)), Deep(GRU(WIDTH, 4))),
    "deep": lambda: Deep(Dropout(0.5), LSTM(WIDTH, WIDTH), Bidirectional(RNN(WIDTH, 3), RNN(WIDTH, 3))),
    "residual": lambda: Deep(GRU(WIDTH, WIDTH), GRU(WIDTH, WIDTH), LayerNorm(WIDTH), residual=True),
    "rows": lambda: Sequential(Residual(Linear(WIDTH, WIDTH)), LayerNorm(WIDTH), lambda xs: xs.map(relu)),
    "a stranger's": lambda: Mine(WIDTH),
    "nothing": lambda: Sequential(),
}
HEADS = {
    "tagger": lambda: tinyseq.heads["tagger"](WIDTH, 4),
    "crf": lambda: tinyseq.heads["tagger"](WIDTH, 4, loss=tinyseq.losses["crf"](4)),
    "language-model": lambda: tinyseq.heads["language-model"](WIDTH, 9),
    "multi-label": lambda: tinyseq.heads["multi-label"](WIDTH, 5),
    "ctc": lambda: tinyseq.heads["ctc"](WIDTH, 5),
    **{
        f"classifier, {pooling}": lambda pooling=pooling: tinyseq.heads["classifier"](
            WIDTH, 4, pooling=pooling
        )
        for pooling in ("last", "mean", "max", "attention")
    },
    "siamese": lambda: tinyseq.heads["siamese"](WIDTH, 3),
}


def random_weights(model: Any, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data[...] = 0.5 * rng.normal(size=parameter.shape)
    return model


def answers(model: Any, xs: Any) -> list[Any]:
    """What onnxruntime says of a batch, with anything in the padding."""
    session = runtime.InferenceSession(to_onnx(model))
    feed = {"x": xs.numpy()} if isinstance(xs, Tensor) else {"x": xs.to_padded(3).numpy()}
    if isinstance(xs, Sequences):
        feed["lengths"] = np.array(xs.lengths)
    found: list[Any] = session.run(None, feed)
    return found


def check(model: Any, xs: Any) -> None:
    """Every output beside the model's own, at the steps that there are."""
    found = answers(model, xs)
    with no_grad(), model.evaluating():
        features = model(xs)
        decodes = hasattr(getattr(model.head, "criterion", None), "decode")
        wanted = model.head.projection(features) if decodes else model.head.predict(features)
        if decodes and len(found) == 2:  # the best path, and the scores
            wanted = model.head.predict(features), wanted
    for y, want in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        if isinstance(want, Sequences):
            for row, one in zip(y, want.to_list(), strict=True):
                np.testing.assert_allclose(row[: len(one)], one.numpy(), rtol=TOLERANCE, atol=TOLERANCE)
        else:
            np.testing.assert_allclose(y, want.numpy(), rtol=TOLERANCE, atol=TOLERANCE)


def check_written(model: Any, xs: Any) -> None:
    """Ids up to the end of each, the very same."""
    ids, lengths = answers(model, xs)
    with no_grad(), model.evaluating():
        wanted = model.predict(xs)
    assert [row[:n].tolist() for row, n in zip(ids, lengths, strict=True)] == [w.tolist() for w in wanted]


def ids_of(lengths: Iterable[int], most: int = 9, seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    return Sequences.from_list([rng.integers(0, most, n) for n in lengths])


def sees_ahead(encoder: str) -> bool:
    return any(getattr(part, "sees_ahead", False) for part in ENCODERS[encoder]().modules())


PAIRS = [(e, h) for e in ENCODERS for h in HEADS if not (h == "language-model" and sees_ahead(e))]


@pytest.mark.filterwarnings("ignore:pooling=.last")
@pytest.mark.parametrize(("encoder", "head"), PAIRS)
def test_every_layer_under_every_head(encoder: str, head: str) -> None:
    model = random_weights(SequenceModel(Embedding(9, WIDTH), ENCODERS[encoder](), HEADS[head]()))
    check(model, ids_of([3, 7, 1, 5]))


@pytest.mark.parametrize("encoder", ["lstm", "of one's own, reversed", "deep"])
@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_any_lengths(encoder: str, lengths: list[int], seed: int) -> None:
    model = random_weights(
        SequenceModel(Embedding(9, WIDTH), ENCODERS[encoder](), HEADS["classifier, mean"]()), seed
    )
    check(model, ids_of(lengths, seed=seed))


@pytest.mark.parametrize("attend", ["after", "before"])
@pytest.mark.parametrize("attention", [None, "dot", "general", "additive"])
@pytest.mark.parametrize("condition", ["state", "input", "both"])
@pytest.mark.parametrize("deep", [False, True])
def test_decoders_write_the_same(attention: Any, attend: str, condition: str, deep: bool) -> None:
    width = 4 + WIDTH * ((attention is not None and attend == "before") + (condition != "state"))
    cell = LSTM(width, WIDTH)
    if deep:
        cell = Deep(GRU(width, WIDTH), Dropout(0.5), Attentive(WIDTH, WIDTH), residual=False)
    head = tinyseq.heads["decoder"](
        WIDTH, 7, cell,
        end=0, attention=attention, attend=attend, condition=condition, pooling="mean", max_length=12,
    )  # fmt: skip
    both = Bidirectional(GRU(WIDTH, 3), GRU(WIDTH, 3))
    for seed in range(3):
        model = random_weights(SequenceModel(Embedding(9, WIDTH), both, head), seed)
        check_written(model, ids_of([3, 7, 1, 5]))


def test_features_of_tokens() -> None:
    rng = np.random.default_rng(0)
    spelling = run(LSTM(3, 4))
    embed = TokenFeatures(Embedding(9, 3), Embedding(4, 2), Embedding(11, 3), spelling, pooling="last")
    model = random_weights(SequenceModel(embed, run(LSTM(9, WIDTH)), HEADS["tagger"]()))
    letters = lambda n: -np.sort(-rng.integers(0, 11, (n, 6)))  # zeros behind
    tokens = [
        np.concatenate([rng.integers(0, 9, (n, 1)), rng.integers(0, 4, (n, 1)), letters(n)], 1)
        for n in (2, 5, 1)
    ]
    check(model, Sequences.from_list(tokens))


@pytest.mark.parametrize("encoder", ["grus", "both ways", "reversed"])
def test_pooling_where_each_direction_has_read_everything(encoder: str) -> None:
    head = tinyseq.heads["classifier"](WIDTH, 4, pooling="ends")
    check(random_weights(SequenceModel(Embedding(9, WIDTH), ENCODERS[encoder](), head)), ids_of([3, 7, 1, 5]))


def test_tied_weights_are_written_once() -> None:
    embed = Embedding(50, WIDTH)
    tied = SequenceModel(
        embed, run(GRU(WIDTH, WIDTH)), tinyseq.heads["language-model"](WIDTH, 50, tied=embed)
    )
    check(random_weights(tied), ids_of([4, 2], 50))
    weights = [w for w in onnx.load_from_string(to_onnx(tied)).graph.initializer if 50 in w.dims]
    assert len([w for w in weights if WIDTH in w.dims]) == 1


def test_a_cell_and_a_layer_by_themselves() -> None:
    rng = np.random.default_rng(0)
    xs = Sequences.from_list([rng.normal(size=(n, WIDTH)).astype("float32") for n in (3, 1, 4)])
    for layer in (random_weights(Attentive(WIDTH, 4)), random_weights(Deep(GRU(WIDTH, 3), LSTM(3, 5)))):
        (found,) = answers(layer, xs)
        with no_grad():
            wanted = (run(layer) if isinstance(layer, tinyseq.Cell) else layer)(xs).to_padded().numpy()
        np.testing.assert_allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("encoder", ["lstm", "grus", "deep"])
def test_double_precision_runs_as_a_scan(encoder: str) -> None:
    model = random_weights(SequenceModel(Embedding(9, WIDTH), ENCODERS[encoder](), HEADS["tagger"]()))
    check(model.to("float64"), ids_of([3, 1, 4]))


@pytest.mark.parametrize("encoder", [*(n for n in ENCODERS if n not in ("rows", "a stranger's", "nothing"))])
def test_states_go_in_and_out(encoder: str) -> None:
    """Two pieces, the second from the state after the first, which ended at different steps."""
    model = random_weights(SequenceModel(Embedding(9, WIDTH), ENCODERS[encoder](), HEADS["multi-label"]()))
    model.eval()
    session = runtime.InferenceSession(to_onnx(model, state=True))
    names = [i.name for i in session.get_inputs()][2:]
    state = model.initial_state(3)
    carried = [leaf.numpy() for leaf in flatten(state)]
    for xs in (ids_of([3, 5, 1]), ids_of([2, 2, 4], seed=1)):
        with no_grad():
            features, state = model.scan(xs, state)
            wanted = model.head.predict(features).to_padded().numpy()
        feed = {"x": xs.to_padded().numpy(), "lengths": np.array(xs.lengths)}
        y, *carried = session.run(None, {**feed, **dict(zip(names, carried, strict=True))})
        for row, one, n in zip(y, wanted, xs.lengths, strict=True):
            np.testing.assert_allclose(row[:n], one[:n], rtol=TOLERANCE, atol=TOLERANCE)
        for one, leaf in zip(carried, flatten(state), strict=True):
            np.testing.assert_allclose(one, leaf.numpy(), rtol=TOLERANCE, atol=TOLERANCE)


def test_no_state_is_said() -> None:
    with pytest.raises(ConfigError, match="has no state"):
        to_onnx(SequenceModel(Embedding(9, WIDTH), Sequential(), HEADS["tagger"]()), state=True)


@pytest.mark.parametrize("name", list(recipes))
def test_the_models_of_every_recipe(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the recipe makes them, after an update or two, on a batch of its own."""
    fit, models = Trainer.fit, list[Any]()

    def short(self: Trainer, batches: Any, valid: Any = None, *, epochs: int) -> Any:
        batch = next(iter(batches))
        models.append((self.model, batch[0]))
        return fit(self, [batch], epochs=1)

    monkeypatch.setattr(Trainer, "fit", short)
    recipes[name](None, **SMALL[name][0])
    assert models
    for model, xs in models:
        xs = xs if isinstance(xs, Sequences | Tensor) else Tensor(xs)
        if isinstance(xs, Tensor) and xs.dtype.kind != "f":
            xs = Sequences.from_padded(xs)
        if xs.dtype == np.float64:
            xs = xs.map(lambda x: x.astype("float32"))
        if type(model.head).__name__ in ("Decoder", "Generator"):
            check_written(model, xs)
        else:
            check(model, xs)


class Peeking(Module):
    """What depends on the lengths of a batch."""

    def __init__(self) -> None:
        self.input_size = WIDTH

    def forward(self, xs: Any) -> Any:
        return xs.with_data(xs.data * float(max(xs.lengths)))


class Stateful(Peeking):
    def scan(self, xs: Any, state: Any = None) -> Any:
        return xs, ()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Peeking, "encoder cannot be exported"),
        (Stateful, "encoder, a Stateful, has a scan"),
        (lambda: Sequential(lambda xs: xs.map(lambda x: x * x.mean(axis=0))), "encoder.0 cannot be exported"),
    ],
)
def test_what_cannot_be_exported_is_named(make: Any, said: str, tmp_path: Any) -> None:
    model = SequenceModel(Embedding(9, WIDTH), make(), HEADS["tagger"]())
    with pytest.raises(ConfigError, match=said):
        to_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
    assert model.training


def test_a_place_that_is_none(tmp_path: Any) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        to_onnx(run(LSTM(2, 3)), tmp_path / "no folder" / "model.onnx")


def test_the_opset_is_said() -> None:
    found = onnx.load_from_string(to_onnx(run(LSTM(2, 3))))
    assert [(o.domain, o.version) for o in found.opset_import] == [("", 18)]
    assert [d.dim_param for d in found.graph.input[0].type.tensor_type.shape.dim[:2]] == ["batch", "time"]
