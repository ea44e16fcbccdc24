"""Gates do what the docstrings say: forced shut or open through their biases, they show the effect."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_cells.gru import GRU, GRUState
from tinyseq_cells.lstm import LSTM, LSTMState
from tinyseq_cells.rnn import RNN, RNNState

import tinyseq
from tinyseq import Tensor, ops
from tinyseq.errors import ConfigError

SHUT, OPEN = -1e3, 1e3
SIZE = 3
seeds = st.integers(0, 2**32 - 1)
resets = pytest.mark.parametrize("reset", ["before", "after"])


def with_gates(cell: Any, order: str, seed: int, **forced: float) -> Any:
    """The cell in float64 with random parameters, and the biases of the named gates forced."""
    rng = np.random.default_rng(seed)
    cell = cell.to("float64")
    for parameter in cell.parameters():
        parameter.data = Tensor(0.5 * rng.normal(size=parameter.shape)).data
    bias = cell.b.numpy().copy()
    for gate, value in forced.items():
        block = order.index(gate) * SIZE
        bias[block : block + SIZE] = value
    cell.b.data = Tensor(bias).data
    return cell


def gru(reset: str, seed: int, **forced: float) -> Any:
    return with_gates(GRU(2, SIZE, reset=reset), "rzn", seed, **forced)  # type: ignore[arg-type]


def lstm(seed: int, *, peepholes: bool = False, cell_output: str = "tanh", **forced: float) -> Any:
    return with_gates(LSTM(2, SIZE, peepholes=peepholes, cell_output=cell_output), "ifgo", seed, **forced)


def drawn(seed: int, *widths: int) -> list[Tensor]:
    rng = np.random.default_rng(seed + 1)
    return [Tensor(0.5 * rng.normal(size=(2, width))) for width in widths]


def same(a: Tensor, b: Tensor) -> bool:
    return np.allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-12)


@resets
@given(seed=seeds)
def test_gru_update_gate(backend: str, reset: str, seed: int) -> None:
    """At 0 it keeps the previous state; at 1 it takes the candidate, which forgets all if reset is 0 too."""
    x, h = drawn(seed, 2, SIZE)
    kept, _ = gru(reset, seed, z=SHUT).step(x, GRUState(h))
    assert same(kept, h)
    cell = gru(reset, seed, z=OPEN, r=SHUT)
    taken, _ = cell.step(x, GRUState(h))
    candidate = ops.tanh((x @ cell.w_x + cell.b)[:, 2 * SIZE :])
    assert same(taken, candidate)
    half, _ = gru(reset, seed, z=0.0).step(x, GRUState(h))
    assert not same(half, h)


@resets
@given(seed=seeds)
def test_gru_reset_gate(backend: str, reset: str, seed: int) -> None:
    """At 0 it leaves the previous state out of the candidate; at 1 all of it goes in."""
    x, h, other = drawn(seed, 2, SIZE, SIZE)
    blind = gru(reset, seed, z=OPEN, r=SHUT)
    assert same(blind.step(x, GRUState(h))[0], blind.step(x, GRUState(other))[0])
    cell = gru(reset, seed, z=OPEN, r=OPEN)
    sum_n = (x @ cell.w_x + h @ cell.w_h + cell.b)[:, 2 * SIZE :]
    expected = ops.tanh(sum_n + cell.b_h if reset == "after" else sum_n)
    assert same(cell.step(x, GRUState(h))[0], expected)


@given(seed=seeds)
def test_the_reset_gate_acts_where_its_name_says(backend: str, seed: int) -> None:
    x, h = drawn(seed, 2, SIZE)
    for place in ("before", "after"):
        cell = gru(place, seed, z=OPEN)
        gates = ops.sigmoid(x @ cell.w_x + h @ cell.w_h + cell.b)
        r, w_n = gates[:, :SIZE], cell.w_h[:, 2 * SIZE :]
        recurrent = (r * h) @ w_n if place == "before" else r * (h @ w_n + cell.b_h)
        expected = ops.tanh((x @ cell.w_x + cell.b)[:, 2 * SIZE :] + recurrent)
        assert same(cell.step(x, GRUState(h))[0], expected)


@pytest.mark.parametrize("peepholes", [False, True])
@given(seed=seeds)
def test_lstm_gates(backend: str, peepholes: bool, seed: int) -> None:
    """Forget 0 forgets, 1 keeps; input 0 adds nothing, 1 the candidate; output 0 shows nothing, 1 all."""
    x, h, c = drawn(seed, 2, SIZE, SIZE)

    def memory(**forced: float) -> Tensor:
        _, state = lstm(seed, peepholes=peepholes, **forced).step(x, LSTMState(h, c))
        return state.c  # type: ignore[no-any-return]

    plain = lstm(seed, peepholes=peepholes)
    candidate = ops.tanh((x @ plain.w_x + h @ plain.w_h + plain.b)[:, 2 * SIZE : 3 * SIZE])
    assert same(memory(f=SHUT, i=SHUT), Tensor(np.zeros((2, SIZE))))
    assert same(memory(f=OPEN, i=SHUT), c)
    assert same(memory(f=SHUT, i=OPEN), candidate)
    assert same(memory(f=OPEN, i=OPEN), c + candidate)

    shown, state = lstm(seed, peepholes=peepholes, o=OPEN).step(x, LSTMState(h, c))
    assert same(shown, ops.tanh(state.c))
    assert same(shown, state.h)
    hidden, _ = lstm(seed, peepholes=peepholes, o=SHUT).step(x, LSTMState(h, c))
    assert same(hidden, Tensor(np.zeros((2, SIZE))))
    linear, state = lstm(seed, peepholes=peepholes, o=OPEN, cell_output="linear").step(x, LSTMState(h, c))
    assert same(linear, state.c)


@given(seed=seeds)
def test_peepholes_show_each_gate_the_memory_of_its_time(backend: str, seed: int) -> None:
    """i and f see the memory before the step, o the memory after it."""
    x, h, c = drawn(seed, 2, SIZE, SIZE)
    cell = lstm(seed, peepholes=True)
    i, f, g, o = ops.split(x @ cell.w_x + h @ cell.w_h + cell.b, 4, axis=-1)
    after = ops.sigmoid(f + cell.p_f * c) * c + ops.sigmoid(i + cell.p_i * c) * ops.tanh(g)
    shown = ops.sigmoid(o + cell.p_o * after) * ops.tanh(after)
    y, state = cell.step(x, LSTMState(h, c))
    assert same(y, shown)
    assert same(state.c, after)


def test_the_forget_bias_is_on_the_forget_gate_only() -> None:
    assert LSTM(2, SIZE).b.numpy().tolist() == [0] * 3 + [1] * 3 + [0] * 6
    assert LSTM(2, SIZE, forget_bias=-2.5).b.numpy().tolist() == [0] * 3 + [-2.5] * 3 + [0] * 6
    cell = LSTM(2, SIZE)
    state = LSTMState(Tensor(np.zeros((1, SIZE), "f")), Tensor(np.ones((1, SIZE), "f")))
    _, after = cell.step(Tensor(np.zeros((1, 2), "f")), state)
    np.testing.assert_allclose(after.c.numpy(), 1 / (1 + np.exp(-1)), rtol=1e-6)


def test_peepholes_start_as_a_plain_lstm() -> None:
    def scanned(**options: bool) -> Any:
        tinyseq.seed(0)
        return tinyseq.scan(LSTM(2, SIZE, **options), Tensor(np.ones((1, 4, 2), "f")))[0].numpy()  # type: ignore[arg-type]

    np.testing.assert_allclose(scanned(peepholes=True), scanned(peepholes=False), rtol=1e-6)


def test_the_irnn_starts_as_the_identity(backend: str) -> None:
    """Fed nothing, it keeps a state that is not negative for as long as one likes."""
    cell = RNN(2, SIZE, activation="relu", recurrent_init="identity")
    np.testing.assert_array_equal(cell.w_h.numpy(), np.eye(SIZE))
    state = RNNState(Tensor(np.array([[0.0, 1.5, 200.0]], "f")))
    _, final = tinyseq.scan(cell, Tensor(np.zeros((1, 50, 2), "f")), state)
    np.testing.assert_array_equal(final.h.numpy(), state.h.numpy())


@pytest.mark.parametrize("make", [RNN, GRU, LSTM])
def test_each_gate_starts_orthogonal(make: Any) -> None:
    for block in np.split(make(2, SIZE).w_h.numpy(), make(2, SIZE).w_h.shape[1] // SIZE, axis=1):
        np.testing.assert_allclose(block.T @ block, np.eye(SIZE), atol=1e-6)
    wide = make(2, 400).w_x.numpy()
    limit = np.sqrt(6 / 402)  # of one gate, not of the gates side by side
    assert 0.95 * limit < abs(wide).max() <= limit


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (
            lambda: GRU(2, 3, reset="inside"),
            r"GRU\(reset='inside'\): the reset gate acts 'before' .* or 'after'",
        ),  # type: ignore[arg-type]
        (
            lambda: LSTM(2, 3, gate="sigmoids"),
            r"no activation 'sigmoids'; choose from .* Did you mean 'sigmoid' or 'hard_sigmoid'",
        ),
        (lambda: RNN(2, 3, activation=np.tanh), "There is no activation <ufunc 'tanh'>"),  # type: ignore[arg-type]
        (lambda: LSTM(2, 3, recurrent_init="orthogonol"), "Did you mean 'orthogonal'"),
    ],
)
def test_options_that_do_not_exist_are_named(attempt: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        attempt()
