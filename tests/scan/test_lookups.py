"""A model whose encoder multiplies rows of the table gives what one that multiplies every token gives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN

from tinyseq import Cell, Recurrent, Sequences, Tensor, no_grad, ops, scan
from tinyseq.nn import Embedding, Module, Parameter, SequenceModel, init
from tinyseq.scan.passes import lookups
from tinyseq.scan.running.compiled import program_for
from tinyseq.scan.running.program import Options


class Highway(Cell):
    """A cell that uses its input without a matrix as well, and twice with one."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size = self.output_size = input_size
        self.w = Parameter(init.glorot_uniform((input_size, input_size)))
        self.u = Parameter(init.glorot_uniform((input_size, input_size)))

    def initial_state(self, batch_size: int) -> Any:
        return self.zeros(batch_size, self.output_size)

    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        gate = ops.sigmoid(x @ self.w)
        h = gate * ops.tanh(state + x @ self.u) + (1 - gate) * x
        return h, h


ENCODERS = {
    "rnn": lambda: Recurrent(RNN(4, 5)),
    "gru": lambda: Recurrent(GRU(4, 5, reset="before")),
    "gru, reset after": lambda: Recurrent(GRU(4, 5, reset="after")),
    "lstm": lambda: Recurrent(LSTM(4, 5, peepholes=True)),
    "in reverse": lambda: Recurrent(LSTM(4, 5), reverse=True),
    "highway": lambda: Recurrent(Highway(4, 4)),
    "bidirectional": lambda: Bidirectional(GRU(4, 3), LSTM(4, 2)),
    "deep": lambda: Deep(GRU(4, 5), RNN(5, 5)),
    "checkpointed": lambda: Recurrent(LSTM(4, 5), checkpoint=2),
}


class Squares(Module):
    """A head whose loss reaches every feature differently."""

    def loss(self, features: Sequences, targets: Any) -> Tensor:
        shape = features.data.shape
        scale = np.arange(features.data.size).reshape(shape) / features.data.size
        return (ops.square(features.data) * Tensor(scale.astype(features.dtype))).sum()


def results(model: SequenceModel, xs: Sequences, worth_it: float) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookups, "WORTH_IT", worth_it)
        model.zero_grad()
        loss = model.loss(xs, None)
        loss.backward()
        with no_grad():
            features = model(xs).data
    found = {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.numpy(), "features": features.numpy(), **found}


@pytest.mark.parametrize("name", ENCODERS)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
def test_values_and_gradients_are_the_same(name: str, lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = SequenceModel(Embedding(5, 4), ENCODERS[name](), Squares()).to("float64")
    xs = Sequences.from_list([rng.integers(0, 5, n) for n in lengths])
    from_table, plain = results(model, xs, 0), results(model, xs, np.inf)
    assert from_table.keys() == plain.keys()
    assert "embed.weight" in plain
    for key, value in plain.items():
        np.testing.assert_allclose(from_table[key], value, rtol=1e-11, atol=1e-12)


def test_on_every_backend(backend: str) -> None:
    model = SequenceModel(Embedding(5, 4), ENCODERS["lstm"](), Squares())
    xs = Sequences.from_list([np.array(ids) for ids in ([0, 3, 3, 1], [4], [3, 0])])
    from_table, plain = results(model, xs, 0), results(model, xs, np.inf)
    for key, value in plain.items():
        np.testing.assert_allclose(from_table[key], value, rtol=1e-4, atol=1e-6)


def test_a_frozen_table_gets_no_gradient() -> None:
    model = SequenceModel(Embedding(5, 4), ENCODERS["lstm"](), Squares())
    model.embed.weight.requires_grad = False
    found = results(model, Sequences.from_list([np.arange(5)]), 0)
    assert "embed.weight" not in found
    assert found["encoder.cell.w_x"].any()


def test_it_is_done_where_tokens_outnumber_the_rows_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SequenceModel(Embedding(5, 4), ENCODERS["gru"](), Squares())
    used = []
    look_up = lookups.LookUp
    monkeypatch.setattr(lookups, "LookUp", lambda *given: used.append(given) or look_up(*given))
    model(Sequences.from_list([np.arange(5), np.arange(4)]))
    assert not used
    model(Sequences.from_list([np.arange(5), np.arange(5)]))
    assert used == [(model.embed.weight, model.encoder.cell)]


def test_the_work_is_done_on_the_table() -> None:
    """No product of all tokens is left, forward or backward."""
    cell, table = LSTM(4, 5), Parameter(np.ones((7, 4)))
    ids = Tensor(np.zeros(3, int))
    program, _, _ = program_for(lookups.LookUp(table, cell).step, ids, cell.initial_state(3))
    assert "matmul(table, cell_w_x)" in program.source
    assert "matmul(X.T" not in program.source
    before, after = program.source.split("def backward")
    assert before.count("matmul(") + before.count("@") + before.count("product(") == 2
    assert after.count("add_at") == 1


@pytest.mark.parametrize("compiled", [None, False])
def test_a_step_may_look_up_rows_itself(compiled: bool | None) -> None:
    table = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)

    def step(ids: Any, state: Any) -> tuple[Any, Any]:
        h = state + ops.take(table, ids, axis=0)
        return h, h

    def run(*ids: int) -> Tensor:
        xs = Sequences.from_padded(np.array([ids]))
        ys, _ = scan(step, xs, Tensor(np.zeros((1, 2))), compiled=compiled)
        return ys.data

    total = run(0, 2, -1)  # NumPy's negative ids count from the end
    assert total.numpy().tolist() == [[0, 1], [4, 6], [8, 11]]
    total.sum().backward()
    assert table.grad is not None
    assert table.grad.numpy().tolist() == [[3, 3], [0, 0], [3, 3]]
    with pytest.raises(IndexError):
        run(0, 3)


def test_without_the_pass_every_token_is_looked_up_first() -> None:
    cell, table = LSTM(4, 5), Parameter(np.ones((7, 4)))
    ids, options = Tensor(np.zeros(3, int)), Options(leave_out=("table_products",))
    program, _, _ = program_for(lookups.LookUp(table, cell).step, ids, cell.initial_state(3), options)
    assert "run.look_up(table, " in program.source


def test_embedded_tokens_of_ones_own_keep_their_gradient() -> None:
    embed, layer = Embedding(3, 4), Recurrent(RNN(4, 5))
    features = embed(Sequences.from_list([np.arange(3).repeat(4)]))
    seen: list[Any] = []
    features.data.register_hook(lambda g: seen.append(g.shape))
    layer(features).data.sum().backward()
    assert seen == [(12, 4)]
