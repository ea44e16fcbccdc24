"""Poolings by each direction's own end: what layers say, what heads do with it, and what it is worth."""

from typing import Any

import numpy as np
import pytest
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.classifier import Classifier
from tinyseq_heads.pooling import Ends

import tinyseq
from tinyseq import Recurrent, Sequences
from tinyseq.contracts import Layer
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import Dropout, Embedding, LayerNorm, Linear, Residual, SequenceModel, Sequential
from tinyseq.optim import Adam


def two_ways(size: int = 3) -> Bidirectional:
    return Bidirectional(LSTM(size, 2), GRU(size, 4))


class Unknown(Layer):
    """A layer that does not say where its ends are."""

    def forward(self, xs: Any) -> Any:
        return xs


class Swapped(Unknown):
    """Somebody else's bidirectional layer: features that read backward first."""

    def __init__(self) -> None:
        self.inner = two_ways()

    ends = ((4, "first"), (2, "last"))

    def forward(self, xs: Any) -> Any:
        ys = self.inner(xs)
        return ys.map(lambda y: tinyseq.ops.concatenate([y[:, 2:], y[:, :2]], axis=-1))


BOTH = ((2, "last"), (4, "first"))


@pytest.mark.parametrize(
    ("layer", "ends"),
    [
        (Recurrent(LSTM(3, 2)), ((2, "last"),)),
        (Recurrent(LSTM(3, 2), reverse=True), ((2, "first"),)),
        (two_ways(), BOTH),
        (Bidirectional(Deep(LSTM(3, 2)), Deep(GRU(3, 4))), BOTH),
        (Bidirectional(LSTM(3, 2), Deep(GRU(3, 4), two_ways(4))), ((2, "last"), (2, "first"), (4, "last"))),
        (Deep(LSTM(3, 3), two_ways(), Dropout(0.1)), BOTH),
        (Sequential(Dropout(0.1), two_ways(), LayerNorm(6), Dropout(0.1)), BOTH),
        (Residual(two_ways()), BOTH),
        (Sequential(two_ways(), Linear(6, 6)), None),  # each feature of a linear layer is of both directions
        (Bidirectional(LSTM(3, 2), Deep(GRU(3, 4), Unknown())), None),
        (Sequential(), None),
    ],
)
def test_layers_say_where_their_features_have_read_everything(layer: Any, ends: Any) -> None:
    assert layer.ends == ends


@pytest.mark.parametrize(
    "encoder", [two_ways(), Sequential(two_ways(), Dropout(0.5)), Deep(LSTM(3, 3), two_ways())]
)
def test_ends_are_the_final_states_of_both_directions(encoder: Any) -> None:
    xs = Sequences.from_list([np.random.default_rng(n).normal(size=(n, 3)).astype("f4") for n in (4, 1, 6)])
    head = Classifier(6, 2, pooling="ends")
    SequenceModel(Sequential(), encoder.eval(), head)
    pooled = head.pooling(encoder(xs)).numpy()
    for i, x in enumerate(xs.to_list()):
        y = encoder(Sequences.from_list([x])).to_list()[0].numpy()
        np.testing.assert_allclose(pooled[i], np.concatenate([y[-1, :2], y[0, 2:]]), rtol=1e-5)


def test_of_one_layer_they_are_the_states_it_hands_out() -> None:
    encoder = two_ways()
    xs = Sequences.from_list([np.random.default_rng(n).normal(size=(n, 3)).astype("f4") for n in (4, 1, 6)])
    ys, (ahead, back) = encoder.scan(xs)
    pooled = Ends(encoder.ends)(ys).numpy()
    np.testing.assert_array_equal(pooled, np.concatenate([ahead.h.numpy(), back.h.numpy()], axis=1))


def test_a_layer_of_somebody_else_says_it_by_one_attribute() -> None:
    xs = Sequences.from_list([np.random.default_rng(n).normal(size=(n, 3)).astype("f4") for n in (4, 1)])
    head, layer = Classifier(6, 2, pooling="ends"), Swapped()
    SequenceModel(Sequential(), layer, head)
    inner = layer.inner
    own = Ends(inner.ends)(inner(xs)).numpy()
    np.testing.assert_array_equal(head.pooling(layer(xs)).numpy(), np.roll(own, 4, axis=1))


def test_what_is_not_known_is_not_guessed() -> None:
    features = two_ways()(Sequences.from_list([np.ones((2, 3), "f4")]))
    with pytest.raises(ConfigError, match=r"put the head into a SequenceModel"):
        Classifier(6, 2, pooling="ends").predict(features)
    with pytest.raises(ConfigError, match=r"which features of Unknown read backward: let its last layer say"):
        SequenceModel(Sequential(), Unknown(), Classifier(6, 2, pooling="ends"))
    with pytest.raises(ShapeError, match=r"knows the ends of 5 features; these have shape \(6,\)"):
        Ends(((5, "last"),))(features)


def test_the_last_step_of_a_backward_reading_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r'"last" takes the last step, where 4 of the 6 features of Deep'):
        SequenceModel(Embedding(5, 3), Deep(two_ways()), Classifier(6, 2))
    SequenceModel(Embedding(5, 3), LSTM(3, 6), Classifier(6, 2))  # no warning, which would be an error here


def test_a_model_is_loaded_with_its_ends(tmp_path: Any) -> None:
    model = SequenceModel(Embedding(5, 3), two_ways(), Classifier(6, 2, pooling="ends"))
    xs = Sequences.from_list([[1, 2, 3], [4]])
    tinyseq.save(tmp_path / "m.safetensors", model)
    again = tinyseq.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(xs).numpy(), model.predict(xs).numpy())


@pytest.mark.filterwarnings("ignore:pooling")
@pytest.mark.parametrize(("pooling", "at_least", "at_most"), [("last", 0.0, 0.75), ("ends", 0.99, 1.0)])
def test_the_first_token_is_learned_from_the_end_that_has_read_it_last(
    pooling: str, at_least: float, at_most: float
) -> None:
    """The answer is the first of 40 random tokens: 0.5 by chance, and a step away for a backward reading."""
    tinyseq.seed(0)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2, (256, 40))
    encoder = Bidirectional(GRU(4, 8), GRU(4, 8))
    model = SequenceModel(Embedding(2, 4), encoder, Classifier(16, 2, pooling=pooling))
    optimizer = Adam(model, lr=0.02)
    for _ in range(30):
        for part in np.split(ids[:192], 6):
            optimizer.zero_grad()
            model.loss(Sequences.from_padded(part), part[:, 0]).backward()
            optimizer.step()
    predicted = model.eval().predict(Sequences.from_padded(ids[192:])).numpy().argmax(1)
    assert at_least <= (predicted == ids[192:, 0]).mean() <= at_most
