"""Cells with noise: against loops in NumPy that are given the same masks, and in evaluation against none."""

from typing import Any

import numpy as np
import pytest
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN
from tinyseq_cells.wrappers import RecurrentDropout, WeightDrop, Zoneout

import tinyseq
from tinyseq import Recurrent, Sequences, noise, random, scan
from tinyseq.errors import ConfigError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import SGD
from tinyseq.training import Trainer

LENGTHS = [3, 5, 2]


def sequences(width: int = 3, dtype: Any = np.float64) -> Sequences:
    rng = np.random.default_rng(0)
    return Sequences.from_list([rng.normal(size=(n, width)).astype(dtype) for n in LENGTHS])


def masks(xs: Sequences, *draws: noise.Draw) -> list[list[np.ndarray]]:
    """What a scan from seed 9 draws: for each request, for each sequence, (steps, ...); alike for `scan`."""
    random.seed(9)
    drawn = noise.ScanNoise(xs.layout)
    found = []
    for number, draw in enumerate(draws):
        whole = drawn.of(number, draw)
        owners = xs.layout.owners
        found.append([whole if draw.per == "scan" else whole[owners == k] for k in range(len(LENGTHS))])
    return found


def draw(per: noise.Per, p: float, *shape: int, kept: float = 1.0) -> noise.Draw:
    return noise.Draw(per, shape, np.dtype(np.float64), p, kept)


def lstm_step(cell: LSTM, w_h: Any, x: Any, read: Any, c: Any) -> tuple[Any, Any]:
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    i, f, g, o = np.split(x @ cell.w_x.numpy() + read @ w_h + cell.b.numpy(), 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def assert_outputs(cell: Any, xs: Sequences, wanted: list[list[Any]]) -> None:
    for compiled in (True, False):
        random.seed(9)
        got = scan(cell, xs, compiled=compiled)[0].to_list()
        for y, want in zip(got, wanted, strict=True):
            np.testing.assert_allclose(y.numpy(), np.stack(want), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_zoneout_is_its_formula(training: bool) -> None:
    cell = Zoneout(LSTM(3, 4), {"h": 0.3, "c": 0.6}).to("float64").train(training)
    xs = sequences()
    keep_h, keep_c = masks(xs, draw("step", 0.3, 4), draw("step", 0.6, 4))
    wanted = []
    for k, rows in enumerate(xs.to_list()):
        h = c = np.zeros(4)
        wanted.append([])
        for t, x in enumerate(rows.numpy()):
            new_h, new_c = lstm_step(cell.cell, cell.cell.w_h.numpy(), x, h, c)
            m_h, m_c = (keep_h[k][t], keep_c[k][t]) if training else (0.7, 0.4)
            h, c = m_h * new_h + (1 - m_h) * h, m_c * new_c + (1 - m_c) * c
            wanted[-1].append(h)
    assert_outputs(cell, xs, wanted)


def test_dropped_weights_are_the_same_at_every_step() -> None:
    cell, xs = WeightDrop(LSTM(3, 4), p=0.4).to("float64"), sequences()
    ((mask, *_),) = masks(xs, draw("scan", 0.4, 4, 16, kept=1 / 0.6))
    assert 0 < (mask == 0).sum() < mask.size
    wanted = []
    for rows in xs.to_list():
        h = c = np.zeros(4)
        wanted.append([])
        for x in rows.numpy():
            h, c = lstm_step(cell.cell, cell.cell.w_h.numpy() * mask, x, h, c)
            wanted[-1].append(h)
    assert_outputs(cell, xs, wanted)


def test_recurrent_dropout_reads_the_state_through_one_mask_a_sequence() -> None:
    cell, xs = RecurrentDropout(LSTM(3, 4), 0.5).to("float64"), sequences()
    (mask,) = masks(xs, draw("sequence", 0.5, 4, kept=2.0))
    wanted = []
    for k, rows in enumerate(xs.to_list()):
        h = c = np.zeros(4)
        wanted.append([])
        for t, x in enumerate(rows.numpy()):
            h, c = lstm_step(cell.cell, cell.cell.w_h.numpy(), x, h * mask[k][t], c)
            wanted[-1].append(h)
        assert (mask[k] == mask[k][0]).all()
    assert_outputs(cell, xs, wanted)


@pytest.mark.parametrize("wrap", [WeightDrop, RecurrentDropout])
def test_evaluation_is_the_cell_inside(wrap: Any) -> None:
    inner, xs = LSTM(3, 4), sequences(dtype=np.float32)
    outer = wrap(inner).eval()
    np.testing.assert_array_equal(scan(outer, xs)[0].data.numpy(), scan(inner, xs)[0].data.numpy())


def test_a_mask_lasts_for_one_batch() -> None:
    cell, xs = WeightDrop(LSTM(3, 4)), sequences(dtype=np.float32)
    random.seed(0)
    first, second = (scan(cell, xs)[0].data.numpy() for _ in range(2))
    assert (first != second).any()


def test_weights_of_parts_are_dropped_and_stay_what_they_were() -> None:
    class Parts(tinyseq.Cell):
        def __init__(self) -> None:
            self.input_size, self.output_size = 3, 4
            self.parts = [{"a": tinyseq.nn.Linear(7, 4)}]

        def initial_state(self, batch_size: int) -> Any:
            return (self.zeros(batch_size, 4),)

        def step(self, x: Any, state: Any) -> Any:
            h = tinyseq.ops.tanh(self.parts[0]["a"](tinyseq.ops.concatenate([x, state[0]], axis=-1)))
            return h, (h,)

    inner = Parts()
    cell, xs = WeightDrop(inner, ["parts.0.a.weight"], 0.9), sequences(dtype=np.float32)
    before = inner.state_dict()
    random.seed(0)
    dropped = scan(cell, xs)[0].data.numpy()
    assert (dropped != scan(inner, xs)[0].data.numpy()).any()
    for name, value in inner.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_mistakes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"LSTM has no Parameter 'w_hh'.*Did you mean 'w_h'"):
        WeightDrop(LSTM(2, 3), ["w_hh"])
    with pytest.raises(ConfigError, match="the state of GRU has no part 'c'; its parts are h"):
        Zoneout(GRU(2, 3), {"c": 0.5})
    with pytest.raises(ConfigError, match="GRU hands h on past its weights"):
        RecurrentDropout(GRU(2, 3))
    with pytest.raises(ConfigError, match="the state of RNN has no part 'c'"):
        RecurrentDropout(RNN(2, 3), states=["c"])
    with pytest.raises(ConfigError, match=r"p is a probability in \[0, 1\)"):
        Zoneout(RNN(2, 3), 1.0)
    with pytest.raises(ConfigError, match="WeightDrop takes a Cell, not Recurrent"):
        WeightDrop(Recurrent(RNN(2, 3)))  # type: ignore[arg-type]


def test_a_noisy_run_that_is_stopped_goes_on_bit_for_bit(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    batches = [
        (Sequences.from_list([rng.integers(0, 9, n) for n in LENGTHS]), np.array([0, 1, 0])) for _ in range(3)
    ]

    def trainer(folder: Any) -> Trainer:
        random.seed(1)
        cell = Zoneout(RecurrentDropout(WeightDrop(LSTM(5, 6))), 0.2)
        drop, embed = tinyseq.nn.VariationalDropout(0.3), tinyseq.nn.EmbeddingDropout(Embedding(9, 5), 0.2)
        encoder = tinyseq.nn.Sequential(drop, Recurrent(cell), drop)
        model = SequenceModel(embed, encoder, tinyseq.heads["classifier"](6, 2))
        return Trainer(model, SGD(model, lr=0.1), bars=False, measure=False, directory=folder)

    straight = trainer(tmp_path / "a")
    straight.fit(batches, batches, epochs=3)
    trainer(tmp_path / "b").fit(batches, batches, epochs=1)
    resumed = trainer(tmp_path / "b")
    random.seed(77)
    resumed.resume()
    resumed.fit(batches, batches, epochs=3)
    for name, value in straight.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], value)
    losses = [epoch.valid_loss for epoch in straight.history]
    assert losses == [epoch.valid_loss for epoch in resumed.history]
    assert losses[-1] == straight.evaluate(batches), "there is no noise in validation"


def test_they_are_saved_and_loaded(tmp_path: Any) -> None:
    cell = Zoneout(WeightDrop(LSTM(5, 6), ["w_h"], 0.3), {"h": 0.1})
    model = SequenceModel(Embedding(9, 5), Recurrent(cell), tinyseq.heads["classifier"](6, 2))
    tinyseq.save(tmp_path / "m.safetensors", model)
    again = tinyseq.load(tmp_path / "m.safetensors")
    assert again.encoder.cell.rates == [0.1, 0.0]
    assert again.encoder.cell.cell.weights == ("w_h",)
