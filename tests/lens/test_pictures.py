"""Pictures show the numbers that they were given, take labels literally, and refuse what does not fit."""

import sys
import warnings

import numpy as np
import pytest
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM

import tinyseq
from tinyseq import Sequences, lens
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.evaluation import MacroF1
from tinyseq.lens import pictures
from tinyseq.lens.pictures import paper, steps
from tinyseq.training.records import Epoch, History

TEXT = "<b> $x_$\n"


@pytest.fixture(autouse=True)
def _needs_matplotlib(request):
    if "without_matplotlib" not in request.node.name:
        pytest.importorskip("matplotlib", reason="the extra plot is not installed")


def shown(figure):
    """The texts of a figure, once it was drawn without a warning."""
    from matplotlib.text import Text

    with warnings.catch_warnings(action="error"):
        assert paper.png(figure).startswith(b"\x89PNG")
    assert figure._repr_png_().startswith(b"\x89PNG")
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def image(figure, k=0):
    return figure.axes[k].images[0].get_array()


def traced(cell, lengths=(9, 4)):  # as long as TEXT
    rng = np.random.default_rng(0)
    return lens.trace(cell, Sequences.from_list([rng.normal(size=(n, 4)).astype("f") for n in lengths]))


def test_gates_are_drawn_unit_by_unit_over_the_characters():
    trace = traced(LSTM(4, 3))
    figure = pictures.gates(trace, labels=TEXT)
    for k, name in enumerate(("i", "f", "o")):
        np.testing.assert_allclose(image(figure, k), trace[name].to_list()[0].numpy().T)
        assert figure.axes[k].images[0].get_clim() == (0, 1)
    texts = shown(figure)
    assert {"<", "b", "␣", "$", "⏎", "i\n3 units"} <= set(texts)


def test_a_named_value_of_any_sequence_and_size():
    trace = traced(Deep(LSTM(4, 3), GRU(3, 100)))
    figure = pictures.gates(trace, "c", "layers.1.h", sequence=1)
    assert image(figure, 1).shape == (64, 4)
    assert "layers.1.h\n64 of 100 units" in shown(figure)
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high
    with pytest.raises(ShapeError, match="has 4 positions, and there are 9 labels"):
        pictures.gates(trace, "c", sequence=1, labels=TEXT)
    with pytest.raises(ShapeError, match="2 sequences, and no number 2"):
        pictures.gates(trace, "c", sequence=2)


def test_a_cell_without_gates_shows_its_outputs():
    assert steps.gate_names(traced(tinyseq.cells["rnn"](4, 3))) == ["output"]
    assert steps.gate_names(traced(GRU(4, 3))) == ["r", "z"]
    shown(pictures.gates(traced(tinyseq.cells["rnn"](4, 3))))


@pytest.mark.parametrize("name", list(tinyseq.cells))
def test_every_cell_can_be_drawn(name):
    trace = traced(tinyseq.cells[name](4, 3))
    shown(pictures.gates(trace))
    assert len(pictures.gates(trace, *trace).axes) == 2 * len(trace)  # panels, and their scales


def test_gradients_stand_side_by_side_by_their_distance():
    rng = np.random.default_rng(0)
    xs = Sequences.from_list([rng.normal(size=(n, 4)).astype("f") for n in (6, 3)])
    found = {
        name: lens.gradient_through_time(tinyseq.cells[name.lower()](4, 3), xs, jacobian=True)
        for name in ("RNN", "GRU")
    }
    figure = pictures.gradients(found)
    for axes, part in zip(figure.axes, ("norms", "singular_values"), strict=True):
        for line, through in zip(axes.lines, found.values(), strict=True):
            long, short = (values.numpy() for values in getattr(through, part)[""].to_list())
            expected = long.copy()
            expected[3:] = (expected[3:] + short) / 2
            np.testing.assert_array_equal(line.get_xdata(), [-5, -4, -3, -2, -1, 0])
            np.testing.assert_allclose(line.get_ydata(), expected)
    assert {"RNN", "GRU"} <= set(shown(figure))
    with pytest.raises(ConfigError, match="no layer 'encoder'"):
        pictures.gradients(found, layer="encoder")
    with pytest.raises(ConfigError, match="takes a dict"):
        pictures.gradients({})


def history(valid=True):
    losses = [(1.5, 1.6), (1.0, 1.2), (0.8, 1.3)]
    return History(
        Epoch(k + 1, a, b if valid else None, 0.1, 1.0, 10, 1.0, best=k < 2)
        for k, (a, b) in enumerate(losses)
    )


def test_losses_have_their_best_epoch():
    figure = pictures.losses(history())
    train, valid, best = figure.axes[0].lines
    np.testing.assert_array_equal(train.get_ydata(), [1.5, 1.0, 0.8])
    np.testing.assert_array_equal(valid.get_ydata(), [1.6, 1.2, 1.3])
    assert set(best.get_xdata()) == {2}
    assert "best: epoch 2" in shown(figure)
    assert len(pictures.losses(history(valid=False)).axes[0].lines) == 2
    with pytest.raises(ConfigError, match="no epoch"):
        pictures.losses(History())


def test_a_confusion_table_has_counts_and_shares():
    metric = MacroF1(3)
    metric.update(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 0]))
    figure = pictures.confusion(metric, ["$a", "b_c", "<d>"])
    np.testing.assert_allclose(image(figure), [[0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0, 1]])
    texts = shown(figure)
    assert {"$a", "b_c", "<d>"} <= set(texts)
    assert texts.count("1") == 5
    shown(pictures.confusion(np.eye(150, dtype=int)))
    with pytest.raises(ShapeError, match="3 classes needs as many names, not 2"):
        pictures.confusion(metric, ["a", "b"])
    with pytest.raises(ShapeError, match=r"\(classes, classes\), not \(2, 3\)"):
        pictures.confusion(np.ones((2, 3)))


def test_an_alignment_has_a_row_for_each_symbol_written():
    weights = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    figure = pictures.alignment(weights, ["a", "$b", "."], ["x", "<end>"])
    np.testing.assert_array_equal(image(figure), weights)
    assert {"$b", "<end>"} <= set(shown(figure))
    with pytest.raises(ShapeError, match=r"2 symbols written and 2 read are \(2, 2\), not \(2, 3\)"):
        pictures.alignment(weights, ["a", "b"], ["x", "y"])


def test_a_map_has_a_point_for_each_vector_and_no_label_on_another(rng):
    plane = np.array([[0.0, 0], [0, 0], [5, 5], [9, 1]])
    figure = pictures.vectors(plane, ["one", "hidden", "$two", "three"], ["<a>", "<a>", "b", "b"])
    points = np.concatenate([part.get_offsets() for part in figure.axes[0].collections])
    np.testing.assert_array_equal(points, plane)
    texts = shown(figure)
    assert {"one", "$two", "three", "<a>"} <= set(texts)
    assert "hidden" not in texts
    wide = rng.normal(size=(6, 5))
    points = pictures.vectors(wide).axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(points, lens.flat(wide))
    with pytest.raises(ShapeError, match="4 points need as many labels, not 1"):
        pictures.vectors(plane, ["one"])


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"tinyseq\[plot\]"):
        pictures.losses(history())
