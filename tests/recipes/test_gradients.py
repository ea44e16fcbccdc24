"""The gradient that arrives at each step: against one scan for each step, and against theory."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_cells.rnn import RNN
from tinyseq_recipes.gradients import CELLS, gradient_norms, show_curves

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.errors import ConfigError
from tinyseq.scan.state import flatten, rebuild


@pytest.mark.parametrize("name", CELLS)
@given(steps=st.integers(2, 6), batch=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_norms_equal_those_of_a_scan_from_each_step_on(name: str, steps: int, batch: int, seed: int) -> None:
    """The state after step t is the initial state of a shorter scan: its gradient is what is asked for."""
    tinyseq.seed(seed)
    cell = CELLS[name](2, 3)
    xs = np.random.default_rng(seed).normal(size=(batch, steps, 2)).astype(np.float32)

    def cost(hidden: Any) -> Tensor:
        return (hidden.last() * hidden.last()).sum()

    found = gradient_norms(cell, Sequences.from_padded(xs), cost)
    assert found.shape == (steps,)
    for t in range(1, steps):
        _, state = tinyseq.scan(cell, Tensor(xs[:, :t]))
        leaves = [Tensor(leaf.numpy(), requires_grad=True) for leaf in flatten(state)]
        rest = Sequences.from_padded(xs[:, t:])
        hidden, _ = tinyseq.scan(cell, rest, rebuild(state, iter(leaves)))
        gradients = tinyseq.grad(cost(hidden), leaves)
        wanted = np.sqrt(sum((g.numpy().astype(float) ** 2).sum() for g in gradients))
        assert found[t - 1] == pytest.approx(wanted, rel=1e-3, abs=1e-9)


def test_it_vanishes_in_an_rnn_of_small_weights_and_explodes_in_one_of_large_ones() -> None:
    curves = {}
    for scale in (0.5, 2.0):
        tinyseq.seed(0)
        cell = RNN(1, 4, activation="relu", recurrent_init="identity")
        cell.w_h.data[...] *= scale
        cell.w_h.changed()
        cell.w_x.data[...] = 1
        cell.w_x.changed()
        xs = Sequences.from_padded(np.ones((1, 11, 1), np.float32))
        curves[scale] = gradient_norms(cell, xs, lambda hidden: hidden.last().sum())
    for scale, curve in curves.items():
        np.testing.assert_allclose(curve, 2 * scale ** np.arange(10, -1, -1), rtol=1e-5)


def test_a_table_of_steps_before_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    show_curves({"before training": {"rnn": np.array([1e-6, 1e-3, 1.0])}, "after": {"rnn": np.ones(3)}})
    first, second = capsys.readouterr().out.strip().split("\n\n")
    lines = first.split("\n")
    assert lines[0] == "norm of the gradient with respect to the state, before training"
    assert [line.split() for line in lines[2:]] == [["0", "1.0e+00"], ["1", "1.0e-03"], ["2", "1.0e-06"]]
    assert second.startswith("norm of the gradient with respect to the state, after\n")


def test_a_plot_needs_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"pip install 'tinyseq\[plot\]', or leave out plot"):
        show_curves({"before training": {"rnn": np.ones(3)}}, str(tmp_path / "a.png"))


@pytest.mark.parametrize("name", ["adding-problem", "copy-memory"])
def test_that_is_said_before_the_training(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match="Drawing needs matplotlib"):
        tinyseq.recipes[name](None, plot="a.png")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["adding-problem", "copy-memory"])
def test_the_recipe_draws_both_stages_of_every_cell_into_the_file_it_was_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = pytest.importorskip("matplotlib.figure", reason="the extra plot is not installed").Figure
    drawn = []

    def savefig(self: Any, file: Any, **options: Any) -> None:
        drawn.append(self)
        save(self, file, **options)

    save = figure.savefig
    monkeypatch.setattr(figure, "savefig", savefig)
    tinyseq.recipes[name](None, hidden=4, epochs=1, updates=2, plot=str(tmp_path / "curve.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    (only,) = drawn
    assert [axes.get_title() for axes in only.axes] == ["before training", "after training"]
    for axes in only.axes:
        assert axes.get_yscale() == "log"
        curves = {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines}
        assert list(curves) == ["RNN", "IRNN", "GRU", "LSTM"]
        assert all((curve > 0).all() and curve[0] > curve[-1] for curve in curves.values())


def test_a_gradient_of_zero_is_drawn_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    show_curves({"before training": {"rnn": np.array([0, 1e-3, 1.0])}}, str(tmp_path / "curve.png"))
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
