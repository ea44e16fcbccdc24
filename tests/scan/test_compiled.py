"""A compiled scan on the tape: memory that is never shared by accident, flags that are never ignored."""

import gc
import threading
from typing import Any

import numpy as np
import pytest
from tinyseq_cells.lstm import LSTM

import tinyseq
from tinyseq import Tensor, ops
from tinyseq.contracts import Cell
from tinyseq.errors import ConfigError
from tinyseq.nn import Linear, Parameter
from tinyseq.scan import Recurrent, scan
from tinyseq.scan.memory.workspace import Pool, rows_of
from tinyseq.scan.running import compiled
from tinyseq.sequences import Layout, Sequences


class Leaky(Cell):
    """A cell with configuration of every kind."""

    def __init__(self, size: int) -> None:
        self.input_size = self.output_size = size
        self.leak = 0.5
        self.activation = ops.tanh
        self.mix = Linear(size, size)
        self.scales = [Parameter(np.ones(size)), Parameter(np.full(size, 2.0))]

    def initial_state(self, batch_size: int) -> Any:
        return self.zeros(batch_size, self.input_size)

    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        h = self.leak * state + self.activation(self.mix(x) * self.scales[0]) * self.scales[1]
        if self.training:
            h = h * 0.9
        return h, h


def batch(lengths: list[int], size: int, seed: int = 0) -> Sequences:
    layout = Layout(lengths)
    rows = np.random.default_rng(seed).normal(size=(layout.total, size)).astype("f")
    return Sequences(Tensor(rows, requires_grad=True), layout)


def both(cell: Cell, xs: Sequences) -> tuple[np.ndarray, np.ndarray]:
    ways = [scan(cell, xs, compiled=way)[0].data.numpy() for way in (None, False)]
    return ways[0], ways[1]


def test_configuration_is_part_of_the_program() -> None:
    cell, xs = Leaky(3), batch([4, 2], 3)
    for change in (
        lambda: None,
        lambda: setattr(cell, "leak", 0.25),
        lambda: setattr(cell, "activation", ops.sigmoid),
        lambda: cell.eval(),
        lambda: cell.scales.reverse(),
        lambda: setattr(cell, "mix", Linear(3, 3, bias=False)),
        lambda: cell.to("float64"),
    ):
        change()
        ours, theirs = both(cell, Sequences(xs.data.astype(cell.scales[0].dtype), xs.layout))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_equal_cells_share_one_program() -> None:
    xs = batch([3, 3], 3)
    state, other = Leaky(3).initial_state(2), Leaky(4)
    programs = [compiled.program_for(Leaky(3).step, xs.data, state)[0] for _ in range(2)]
    assert programs[0] is programs[1]
    assert compiled.program_for(other.step, batch([3], 4).data, other.initial_state(1))[0] is not programs[0]


def test_results_are_the_callers_own() -> None:
    """What was handed out does not change with the next batches, and may be written to."""
    layer = Recurrent(LSTM(3, 4))
    first, second = batch([5, 3], 3), batch([5, 3], 3, seed=1)
    ys, final = layer.scan(first)
    kept = ys.data.numpy().copy(), final.c.numpy().copy()
    (ys.data * ys.data).sum().backward()
    grad = first.data.grad.numpy()
    copy = grad.copy()
    first_ys = ys.data
    for _ in range(3):
        again = layer(second)
        (again.data * again.data).sum().backward()
    np.testing.assert_array_equal(first_ys.numpy(), kept[0])
    np.testing.assert_array_equal(final.c.numpy(), kept[1])
    np.testing.assert_array_equal(grad, copy)
    ys.data.data[...] = np.nan
    assert np.isfinite(layer(first).data.numpy()).all()


def test_forward_passes_may_wait_for_their_backward_passes() -> None:
    """Batches of other sizes in between, so that memory grows under those that wait."""
    layer = Recurrent(LSTM(3, 4))
    batches = [batch([2], 3), batch([9, 7, 7], 3, seed=1), batch([2], 3, seed=2), batch([3, 1], 3, seed=3)]
    alone = [tinyseq.grad((layer(b).data * layer(b).data).sum(), [b.data])[0].numpy() for b in batches]
    waiting = [layer(b).data for b in batches]
    for i in (1, 0, 3, 2):
        (found,) = tinyseq.grad((waiting[i] * layer(batches[i]).data).sum(), [batches[i].data])
        np.testing.assert_allclose(found.numpy(), alone[i], rtol=1e-5, atol=1e-6)


def test_the_backward_pass_may_run_twice() -> None:
    layer, xs = Recurrent(LSTM(3, 4)), batch([4, 2], 3)
    y = (layer(xs).data * layer(xs).data).sum()
    first, second = (tinyseq.grad(y, [xs.data], retain_graph=True)[0].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_workspaces_come_back() -> None:
    layer, xs = Recurrent(LSTM(3, 4)), batch([4, 2], 3)
    program, _, _ = compiled.program_for(layer.cell.step, xs.data, layer.initial_state(2))
    layer(xs).data.sum().backward()
    gc.collect()
    before = len(program.workspaces._free), len(program.scratches._free)
    for _ in range(4):
        layer(xs).data.sum().backward()
    gc.collect()
    assert (len(program.workspaces._free), len(program.scratches._free)) == before


def test_without_gradients_nothing_is_kept() -> None:
    layer, xs = Recurrent(LSTM(3, 4)), batch([4, 2], 3)
    with tinyseq.no_grad():
        ys, final = layer.scan(xs)
    assert not ys.data.requires_grad
    assert not final.h.requires_grad
    with tinyseq.no_grad():
        program, _, _ = compiled.program_for(layer.cell.step, xs.data, layer.initial_state(2))
    assert program.backward_stores == []
    assert "def backward" not in program.source


def test_frozen_parameters_and_constant_inputs_get_no_gradient() -> None:
    cell, xs = Leaky(3), batch([3, 2], 3)
    cell.mix.freeze()
    y = scan(cell, xs.detach())[0].data.sum()
    y.backward()
    assert all(p.grad is None for p in cell.mix.parameters())
    assert cell.scales[0].grad is not None
    assert xs.data.grad is None


def test_threads_do_not_meet() -> None:
    layer = Recurrent(LSTM(3, 4))
    batches = [batch([6, n], 3, seed=n) for n in range(1, 5)]
    alone = [tinyseq.grad(layer(b).data.sum(), [b.data])[0].numpy() for b in batches]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(20):
            found = tinyseq.grad(layer(batches[i]).data.sum(), [batches[i].data])[0].numpy()
            if not np.array_equal(found, alone[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(batches))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_state_carried_from_batch_to_batch() -> None:
    """Two halves with the state handed over, gradient and all, are the whole."""
    layer, whole = Recurrent(LSTM(3, 4)), batch([6, 6], 3)
    (halves,) = tinyseq.grad(_in_halves(layer, whole), [whole.data])
    (at_once,) = tinyseq.grad((layer(whole).data * layer(whole).data).sum(), [whole.data])
    np.testing.assert_allclose(halves.numpy(), at_once.numpy(), rtol=1e-4, atol=1e-6)


def _in_halves(layer: Recurrent, whole: Sequences) -> Tensor:
    half = Layout([3, 3])
    first, state = layer.scan(Sequences(whole.data[:6], half))
    second, _ = layer.scan(Sequences(whole.data[6:], half), state)
    return (first.data * first.data).sum() + (second.data * second.data).sum()


def test_second_derivatives_take_the_tape() -> None:
    layer, xs = Recurrent(LSTM(3, 4)), batch([3, 2], 3)
    with tinyseq.higher_order():
        y = (layer(xs).data * layer(xs).data).sum()
        (g,) = tinyseq.grad(y, [xs.data], create_graph=True)
        (h,) = tinyseq.grad((g * g).sum(), [xs.data])
    assert np.isfinite(h.numpy()).all()


def test_nan_stays_in_its_sequence() -> None:
    layer, xs = Recurrent(LSTM(3, 4)), batch([3, 3], 3)
    xs.data.data[0] = np.nan
    rows = layer(xs).data.numpy()
    assert np.isnan(rows[::2]).all()
    assert np.isfinite(rows[1::2]).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_many_steps_run_without_prepared_slices(reverse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinyseq.scan.memory import workspace

    cell, xs = LSTM(3, 4), batch([7, 4, 4], 3)
    want = scan(cell, xs, reverse=reverse, compiled=False)[0].data.numpy()
    monkeypatch.setattr(workspace, "PREPARED_STEPS", 2)
    layer = Recurrent(cell, reverse=reverse)
    for _ in range(2):
        ys = layer(xs)
        ys.data.sum().backward()
        np.testing.assert_allclose(ys.data.numpy(), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("checkpoint", [1, 2, 3, 100])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[7, 7], [2, 7, 5, 1, 4]], ids=str)
def test_checkpoints_change_nothing(lengths: list[int], reverse: bool, checkpoint: int) -> None:
    cell, xs = LSTM(3, 4), batch(lengths, 3)
    leaves = [xs.data, *cell.parameters()]
    found = []
    for k in (None, checkpoint):
        ys, final = scan(cell, xs, reverse=reverse, checkpoint=k)
        loss = (ys.data * ys.data).sum() + (final.c * final.c).sum()
        found.append([ys.data, *final, *tinyseq.grad(loss, leaves)])
        with tinyseq.no_grad():
            rows = scan(cell, xs, reverse=reverse, checkpoint=k)[0].data.numpy()
        np.testing.assert_allclose(rows, ys.data.numpy(), rtol=1e-5, atol=1e-6)
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)


def test_a_very_long_sequence_fits_into_memory() -> None:
    """100,000 steps: what is kept beyond inputs and outputs does not grow with the number of steps."""
    layer = Recurrent(LSTM(2, 3), checkpoint=500)
    xs = batch([100_000], 2)
    program, _, _ = compiled.program_for(layer.cell.step, xs.data, layer.initial_state(1))
    layer(xs).data.sum().backward()
    assert np.isfinite(xs.data.grad.numpy()).all()
    held = [w.memory.capacity for w in program.workspaces._free] + [
        m.capacity for m in program.scratches._free
    ]
    assert 0 < max(held) < 2_000 * 40 * 4


def test_checkpoints_are_compiled() -> None:
    with pytest.raises(
        ConfigError, match="a checkpoint of 1 step or more, and compiled; got 2, compiled=False"
    ):
        scan(LSTM(3, 4), batch([3], 3), checkpoint=2, compiled=False)


def test_a_step_without_state_has_gradients() -> None:
    xs = batch([3, 2], 3)
    ys, _ = scan(lambda x, s: (x * x, s), xs, ())
    ys.data.sum().backward()
    np.testing.assert_allclose(xs.data.grad.numpy(), 2 * xs.data.numpy(), rtol=1e-6)


def test_what_is_collected_while_memory_is_lent_can_be_given_back() -> None:
    pool = Pool(lambda: None)

    def lend() -> None:
        with pool._lock:  # as in `take`, when the collector finds a run that nobody needs
            pool.give(rows_of((1,), False))

    thread = threading.Thread(target=lend, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert not thread.is_alive()
