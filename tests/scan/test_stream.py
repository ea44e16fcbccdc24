"""Reading one step at a time gives what reading all steps at once gives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN
from tinyseq_heads.language_model import LanguageModelHead

from tinyseq import Layer, Recurrent, Sequences, Tensor, no_grad
from tinyseq.decoding import generate
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import Embedding, Linear, Module, SequenceModel
from tinyseq.sequences import stream

CELLS = {
    "rnn": RNN,
    "gru": GRU,
    "lstm": LSTM,
    "peepholes": lambda i, h: LSTM(i, h, peepholes=True),
}


class OnlyScan(Layer):
    """A layer with a state and without a stream of its own."""

    def __init__(self, layer: Recurrent) -> None:
        self.layer = layer

    def initial_state(self, batch_size: int) -> Any:
        return self.layer.initial_state(batch_size)

    def forward(self, xs: Any) -> Any:
        return self.layer(xs)

    def scan(self, xs: Any, state: Any = None) -> tuple[Any, Any]:
        return self.layer.scan(xs, state)


def agree(layer: Any, width: int, batch: int, steps: int, seed: int) -> None:
    """Read some steps at once and the rest one by one; all outputs must be those of reading all at once."""
    x = np.random.default_rng(seed).normal(size=(batch, steps + 2, width)).astype(np.float32)
    with no_grad():
        expected = layer(Sequences.from_padded(x)).to_padded().numpy()
        _, state = layer.scan(Sequences.from_padded(x[:, :2]), None)
        step = stream(layer, state)
        got = [step(Tensor(x[:, t])) for t in range(2, steps + 2)]
    assert not any(y.requires_grad for y in got)
    found = np.stack([y.numpy() for y in got], 1)
    np.testing.assert_allclose(found, expected[:, 2:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("compiled", [None, False])
@pytest.mark.parametrize("name", CELLS)
@given(batch=st.integers(1, 4), steps=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_a_cell(name: str, compiled: bool | None, batch: int, steps: int, seed: int) -> None:
    agree(Recurrent(CELLS[name](3, 5), compiled=compiled), 3, batch, steps, seed)


def test_layers_of_layers() -> None:
    inner = Deep(LSTM(4, 4), OnlyScan(Recurrent(GRU(4, 4))), residual=True)
    agree(Deep(Linear(3, 4), inner, RNN(4, 2)), 3, 2, 5, 0)


def test_outputs_stay_as_they_were_handed_out() -> None:
    step = Recurrent(LSTM(2, 3)).stream(LSTM(2, 3).initial_state(1))
    first = step(Tensor(np.ones((1, 2), np.float32)))
    before = first.numpy().copy()
    step(Tensor(np.ones((1, 2), np.float32)))
    assert np.array_equal(first.numpy(), before)


def test_two_streams_of_a_cell_do_not_meet() -> None:
    layer = Recurrent(GRU(2, 3))
    xs = [Tensor(np.full((1, 2), value, np.float32)) for value in (0.5, -2.0)]
    alone = [layer.stream(layer.initial_state(1))(x).numpy() for x in xs]
    steps = [layer.stream(layer.initial_state(1)) for _ in xs]
    together = [step(x).numpy() for step, x in zip(steps, xs, strict=True)]
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("compiled", [None, False])
def test_parameters_count_as_they_are_at_each_step(compiled: bool | None) -> None:
    layer = Recurrent(RNN(2, 3), compiled=compiled)
    step = layer.stream(layer.initial_state(1))
    x = Tensor(np.ones((1, 2), np.float32))
    assert step(x).numpy().any()
    for parameter in layer.parameters():
        parameter.data = np.zeros_like(parameter.data)
        parameter.changed()
    assert not step(x).numpy().any()


def test_what_cannot_be_streamed_is_refused() -> None:
    cell = LSTM(2, 3)
    with pytest.raises(ConfigError, match="begins with the last step, so it cannot read a stream"):
        Recurrent(cell, reverse=True).stream(cell.initial_state(1))
    step = Recurrent(cell).stream(cell.initial_state(2))
    with pytest.raises(ShapeError, match=r"reads rows of shape \(2, 2\) at each step, not \(1, 2\)"):
        step(Tensor(np.zeros((1, 2), np.float32)))


class WithoutStream(Module):
    """The same model, which only has `scan` to offer."""

    def __init__(self, model: SequenceModel) -> None:
        self.model, self.head = model, model.head

    def scan(self, xs: Any, state: Any) -> tuple[Any, Any]:
        return self.model.scan(xs, state)


def test_a_model_writes_the_same_with_and_without_a_stream() -> None:
    encoder = Deep(LSTM(4, 6), GRU(6, 6), residual=True)
    model = SequenceModel(Embedding(9, 4), encoder, LanguageModelHead(6, 9))
    ids = list(generate(model, [1, 2, 3], 40, seed=3))
    assert len(set(ids)) > 3
    assert ids == list(generate(WithoutStream(model), [1, 2, 3], 40, seed=3))
