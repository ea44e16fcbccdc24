"""onnxruntime says what the model says, on every batch, of whatever lengths."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyseq
from tests.interop import models
from tests.interop.models import (
    GRU,
    HEADS,
    LSTM,
    WIDTH,
    Attentive,
    Bidirectional,
    Deep,
    ids_of,
    models_of,
    random_weights,
    run,
)
from tinyseq import Sequences, Tensor, no_grad, recipes
from tinyseq.errors import ConfigError, DataError
from tinyseq.interop import to_onnx
from tinyseq.nn import (
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    SequenceModel,
    Sequential,
    TokenFeatures,
)
from tinyseq.ops import relu
from tinyseq.scan.state import flatten

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[test-onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install '.[test-onnx]'")

TOLERANCE = 1e-5


class Mine(tinyseq.Layer):
    """A stranger's layer: rows beside the mean of their sequence."""

    def __init__(self, size: int) -> None:
        self.input_size, self.output_size = size, size
        self.linear = Linear(size, size)

    def forward(self, xs: Any) -> Any:
        return xs.with_data(self.linear(xs.data) - xs.spread(xs.mean()))


ENCODERS = models.ENCODERS | {
    "functions": lambda: Sequential(LayerNorm(WIDTH), lambda xs: xs.map(relu)),
    "a stranger's": lambda: Mine(WIDTH),
}
STATELESS = ("rows", "functions", "a stranger's", "nothing")


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


@pytest.mark.filterwarnings("ignore:pooling=.last")
@pytest.mark.parametrize(("encoder", "head"), models.pairs(ENCODERS))
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


def test_tokens_without_their_letters() -> None:
    dropped = tinyseq.layers["word-dropout"](0.5, columns=True)
    embed = Sequential(dropped, TokenFeatures(Embedding(9, 2), Embedding(6, 4)))
    model = random_weights(SequenceModel(embed, run(LSTM(WIDTH, WIDTH)), HEADS["tagger"]()))
    rng = np.random.default_rng(0)
    check(model, Sequences.from_list([rng.integers(0, 6, (n, 2)) for n in (2, 5, 1)]))


@pytest.mark.parametrize("encoder", ["grus", "bidirectional", "reversed"])
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


@pytest.mark.parametrize(
    "encoder", [*(n for n in ENCODERS if n not in ("rows", "functions", "a stranger's", "nothing"))]
)
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
    for model, xs in models_of(name, monkeypatch):
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
