"""What a trace says is what the step computed, by a loop in NumPy, and by the compiled scan."""

import cProfile
import sys
from typing import NamedTuple

import numpy as np
import pytest
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.classifier import Classifier
from tinyseq_heads.decoder import Decoder

import tinyseq
from tinyseq import Sequences, Tensor, lens
from tinyseq.data import Vocabulary
from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Embedding, Linear, SequenceModel
from tinyseq.ops import concatenate, sigmoid, split, tanh
from tinyseq.scan.watch import watcher
from tinyseq.tasks import Classification, Predictor


class Kept(NamedTuple):
    h: Tensor


class Stranger(tinyseq.Cell):
    """A cell of somebody else's: a gate in a tuple, a part of a parameter, a field without a variable."""

    def __init__(self, input_size, hidden_size):
        self.input_size = self.output_size = hidden_size
        self.input_size = input_size
        self.both = Linear(input_size + hidden_size, 2 * hidden_size)

    def initial_state(self, batch_size):
        return Kept(self.zeros(batch_size, self.output_size))

    def step(self, x, state):
        gates = split(self.both(concatenate([x, state.h], axis=-1)), 2, axis=-1)
        first_rows = self.both.weight[:3]
        scale = first_rows.sum()
        return tanh(gates[0]), Kept(sigmoid(gates[1]) * state.h + tanh(gates[0]) + 0 * scale)


class Heir(Stranger):
    """Its gates are its parent's."""

    def step(self, x, state):
        y, after = super().step(x, state)
        doubled = y + y
        return doubled, after


class Around(tinyseq.Cell):
    """A cell that runs another."""

    def __init__(self, inner):
        self.inner = inner
        self.input_size, self.output_size = inner.input_size, inner.output_size

    def initial_state(self, batch_size):
        return self.inner.initial_state(batch_size)

    def step(self, x, state):
        y, after = self.inner.step(x, state)
        halved = y * 0.5
        return halved, after


def ragged(rng, width=4, lengths=(3, 5, 2)):
    return Sequences.from_list([rng.normal(size=(n, width)).astype("f") for n in lengths])


def arrays(values):
    return [part.numpy() for part in values.to_list()]


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_the_gates_of_an_lstm_are_those_of_a_loop_in_numpy(backend, rng):
    cell = LSTM(4, 3, peepholes=True)
    for p in (cell.p_i, cell.p_f, cell.p_o):
        p.data[...] = 0.3
    xs = ragged(rng)
    found = lens.trace(cell, xs)
    w_x, w_h, b, p_i, p_f, p_o = (
        p.numpy().astype(float) for p in (cell.w_x, cell.w_h, cell.b, cell.p_i, cell.p_f, cell.p_o)
    )
    for k, sequence in enumerate(arrays(xs)):
        h = c = np.zeros(3)
        for t, x in enumerate(sequence):
            i, f, g, o = np.split(x @ w_x + h @ w_h + b, 4)
            i, f, g = logistic(i + p_i * c), logistic(f + p_f * c), np.tanh(g)
            c = f * c + i * g
            o = logistic(o + p_o * c)
            h = o * np.tanh(c)
            for name, value in {"i": i, "f": f, "g": g, "o": o, "c": c, "h": h, "output": h}.items():
                np.testing.assert_allclose(arrays(found[name])[k][t], value, atol=2e-6)


@pytest.mark.parametrize("name", list(tinyseq.cells))
@pytest.mark.parametrize("reverse", [False, True])
def test_every_cell_is_seen_as_it_runs_compiled(name, reverse, rng):
    """Outputs, and of every field of the state what the scan gives at the end of each sequence."""
    layer = tinyseq.Recurrent(tinyseq.cells[name](4, 3), reverse=reverse)
    xs = ragged(rng)
    found = lens.trace(layer, xs)
    ys, final = layer.scan(xs)
    np.testing.assert_allclose(found["output"].data.numpy(), ys.data.numpy(), atol=2e-6)
    for field, value in final._asdict().items():
        after = found[f"next.{field}" if f"next.{field}" in found else field]
        ends = after.first() if reverse else after.last()
        np.testing.assert_allclose(ends.numpy(), value.numpy(), atol=2e-6)
    assert all(values.layout == xs.layout for values in found.values())


@pytest.mark.parametrize("name", list(tinyseq.cells))
def test_a_batch_shows_what_each_sequence_shows_alone(name, rng):
    cell, xs = tinyseq.cells[name](4, 3), ragged(rng)
    together = lens.trace(cell, xs)
    for k, sequence in enumerate(xs.to_list()):
        alone = lens.trace(cell, Sequences.from_list([sequence]))
        assert list(alone) == list(together)
        for value in alone:
            np.testing.assert_allclose(
                arrays(alone[value])[0], arrays(together[value])[k], atol=2e-6, err_msg=value
            )


def test_the_names_are_those_of_the_authors_text(rng):
    """Tuples by their parts; what has three rows of a parameter is not of three sequences."""
    cell = Stranger(4, 2)
    found = lens.trace(cell, Tensor(rng.normal(size=(3, 6, 4)).astype("f")))
    assert list(found) == ["x", "state.h", "gates.0", "gates.1", "h", "output"]
    np.testing.assert_allclose(
        found["output"].data.numpy(), np.tanh(found["gates.0"].data.numpy()), rtol=1e-6
    )
    h = [part.numpy() for part in found["h"].to_list()]
    before = [part.numpy() for part in found["state.h"].to_list()]
    np.testing.assert_array_equal(before[0][1:], h[0][:-1])


def test_an_inherited_step_and_an_inner_cell_are_seen_too(rng):
    xs = ragged(rng)
    assert {"gates.0", "doubled", "y"} <= set(lens.trace(Heir(4, 2), xs))
    nested = lens.trace(tinyseq.nn.Sequential(tinyseq.Recurrent(Around(Around(GRU(4, 3))))), xs)
    assert list(nested.layers) == ["layers.0.inner.inner", "layers.0.inner", "layers.0"]
    around = lens.trace(Around(LSTM(4, 3)), xs)
    assert {"inner.f", "inner.i", "halved"} <= set(around)
    np.testing.assert_array_equal(around["halved"].data.numpy(), around["inner.h"].data.numpy() * 0.5)


def test_layers_have_their_names(rng):
    encoder = Deep(Bidirectional(LSTM(8, 4), LSTM(8, 4)), GRU(8, 4))
    model = SequenceModel(Embedding(10, 8), encoder, Classifier(4, 3))
    xs = Sequences.from_list([[1, 2, 3], [4, 5, 6, 7]])
    found = lens.trace(model, xs)
    deep = "encoder.layers"
    assert list(found.layers) == [f"{deep}.0.forward_layer", f"{deep}.0.backward_layer", f"{deep}.1"]
    assert found["r"] is found["encoder.layers.1.r"]
    with pytest.raises(ConfigError, match=r"Several layers have a value 'f': say which, encoder\.layers\.0"):
        found["f"]
    with pytest.raises(ConfigError, match=r"no value 'encoder\.layers\.1\.q'.*Did you mean"):
        found["encoder.layers.1.q"]
    np.testing.assert_allclose(
        found["encoder.layers.1.output"].data.numpy(), model(xs).data.numpy(), atol=1e-6
    )
    assert "f" not in found
    assert "encoder.layers.1.r" in found
    assert "encoder.layers.1.r" in repr(found)
    assert len(found) == len(list(found))


def test_a_layer_that_runs_twice_has_a_number(rng):
    class Twice(tinyseq.Layer):
        def __init__(self):
            self.layer = tinyseq.Recurrent(GRU(4, 4))

        def forward(self, xs):
            return self.layer(self.layer(xs))

    found = lens.trace(Twice(), ragged(rng))
    assert list(found.layers) == ["layer", "layer(2)"]
    np.testing.assert_array_equal(found["layer(2).x"].data.numpy(), found["layer.h"].data.numpy())


@pytest.mark.parametrize("attend", ["after", "before"])
def test_with_targets_the_head_is_seen_too(attend, rng):
    """With attention before the cell, the decoder's cell runs inside the step of another scan."""
    cell = LSTM(8 if attend == "after" else 12, 5)
    model = SequenceModel(
        Embedding(9, 4), GRU(4, 4), Decoder(4, 7, cell, end=0, attention="general", attend=attend)
    )
    xs, targets = Sequences.from_list([[1, 2, 3], [4, 5]]), Sequences.from_list([[1, 0], [2, 3, 4, 0]])
    found = lens.trace(model, xs, targets)
    gate = next(values for name, values in found.items() if name.endswith("recurrence.f"))
    assert gate.lengths == (2, 4)
    assert found["encoder.z"].lengths == (3, 2)


def test_raw_text_goes_in_where_a_task_was_saved(tmp_path):
    words = Vocabulary(["good", "film"], unit="word", specials=["<unk>"], unknown="<unk>")
    task = Classification(words, Vocabulary(["neg", "pos"], unit="word"))
    model = SequenceModel(Embedding(3, 4), LSTM(4, 5), Classifier(5, 2))
    tinyseq.save(tmp_path / "m.safetensors", model, extra={"task": task.to_record()})
    predictor = tinyseq.load(tmp_path / "m.safetensors")
    assert isinstance(predictor, Predictor)
    found = lens.trace(predictor, ["a good film.", "film"])
    assert found.tokens == [["a", "good", "film", "."], ["film"]]
    assert found["f"].lengths == (4, 1)
    with pytest.raises(DataError, match="Each text needs a token"):
        lens.trace(predictor, ["good", " "])
    with pytest.raises(DataError, match="takes a list of texts"):
        lens.trace(predictor, "good film")


def test_nothing_stays_behind(rng):
    """The model's mode, its Parameters, random numbers, the profiler; also after an error."""
    model = SequenceModel(Embedding(5, 4), GRU(4, 3), Classifier(3, 2)).train()
    before, drawn = model.state_dict(), tinyseq.random.get_state()
    with cProfile.Profile():
        profiler = sys.getprofile()
        lens.trace(model, Sequences.from_list([[1, 2]]))
        assert sys.getprofile() is profiler
    with pytest.raises(tinyseq.errors.TinyseqError):
        lens.trace(model, Sequences.from_list([[1, 99]]))
    assert watcher() is None
    assert all(module.training for module in model.modules())
    assert tinyseq.random.get_state() == drawn
    assert not any(p.grad is not None for p in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_model_without_recurrence_says_so(rng):
    with pytest.raises(ConfigError, match="Linear ran no recurrence"):
        lens.trace(Linear(4, 3), ragged(rng))


def test_a_wrong_step_is_refused_as_ever(rng):
    class Wrong(Stranger):
        def step(self, x, state):
            return x

    with pytest.raises(TypeError, match="must return"):
        lens.trace(Wrong(4, 3), ragged(rng))
