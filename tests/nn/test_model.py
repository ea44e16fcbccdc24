"""SequenceModel: embed, encoder and head in a row, and state that passes through."""

from typing import Any

import numpy as np
import pytest
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_heads.classifier import Classifier

import tinyseq
from tinyseq import Recurrent, Sequences, Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Dropout, Embedding, Linear, Module, Residual, SequenceModel, Sequential


class Adder(Module):
    """A layer whose state is a number that it adds, and counts up."""

    def initial_state(self, batch_size: int) -> int:
        return 10 * batch_size

    def forward(self, xs: Tensor) -> Tensor:
        return self.scan(xs)[0]

    def scan(self, xs: Tensor, state: int | None = None) -> tuple[Tensor, int]:
        state = 0 if state is None else state
        return xs + state, state + 1


class Head(Module):
    """Squares of differences; predicts the features themselves."""

    def loss(self, features: Tensor, targets: Any) -> Tensor:
        return ((features - targets) ** 2).sum()

    def predict(self, features: Tensor) -> Tensor:
        return features


def model(encoder: Module) -> SequenceModel:
    return SequenceModel(Embedding(3, 2, init="ones"), encoder, Head())


def test_the_parts_stand_in_a_row() -> None:
    made = model(Linear(2, 2, init="identity"))
    assert np.array_equal(made([[0, 1]]).numpy(), np.ones((1, 2, 2)))
    assert np.array_equal(made.predict([[0, 1]]).numpy(), np.ones((1, 2, 2)))
    assert made.loss([[0, 1]], 3.0).item() == 4 * 4
    assert [path for path, _ in made.named_parameters()] == ["embed.weight", "encoder.weight", "encoder.bias"]


def test_state_is_handed_in_and_out() -> None:
    made = model(Adder())
    state = made.initial_state(2)
    assert state == 20
    features, state = made.scan([[0, 1]], state)
    assert (features.numpy() == 21).all()
    assert state == 21
    assert (made.scan([[0, 1]])[0].numpy() == 1).all()


def test_an_encoder_without_state_says_so() -> None:
    made = model(Linear(2, 2))
    for call in (lambda: made.initial_state(1), lambda: made.scan([[0]])):
        with pytest.raises(TypeError, match=r"Linear keeps no state, .* call the model itself"):
            call()


def test_a_cell_is_run_as_a_layer() -> None:
    made = SequenceModel(Embedding(3, 2), GRU(2, 4), Classifier(4, 3))
    assert isinstance(made.encoder, Recurrent)
    again = tinyseq.build(tinyseq.config(made))
    assert isinstance(again.encoder, Recurrent)
    assert again(Sequences.from_list([[0, 1]])).data.shape == (2, 4)


@pytest.mark.parametrize(
    ("embed", "encoder", "head", "message"),
    [
        (Embedding(3, 2), GRU(5, 4), Head(), r"Recurrent in the encoder takes 5 features, but is given 2"),
        (Embedding(3, 2), GRU(2, 4), Classifier(5, 3), r"Classifier in the head takes 5 .* is given 4"),
        (Embedding(3, 2), Sequential(), Classifier(5, 3), r"Classifier in the head takes 5 .* given 2"),
        (Embedding(3, 2), Dropout(0.5), Classifier(5, 3), r"Classifier in the head takes 5 .* given 2"),
        (Embedding(3, 2), Deep(GRU(2, 4)), Classifier(3, 2), r"Classifier in the head takes 3 .* given 4"),
        (Embedding(3, 2), Residual(Linear(3, 3)), Head(), r"Linear in the encoder takes 3 .* given 2"),
        (Sequential(Embedding(3, 2), Linear(4, 4)), Sequential(), Head(), r"Linear in the embed .* 2"),
        (Embedding(3, 2), Deep(Dropout(0.5), GRU(3, 4)), Head(), r"Deep in the encoder takes 3 .* given 2"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_found_when_the_model_is_made(
    embed: Module, encoder: Module, head: Module, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        SequenceModel(embed, encoder, head)
