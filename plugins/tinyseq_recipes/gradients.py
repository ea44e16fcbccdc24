"""How much of a gradient arrives at each step: the curve that shows it vanish."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN

import tinyseq
from tinyseq import Sequences, Tensor, ops
from tinyseq.contracts import Cell
from tinyseq.errors import ConfigError
from tinyseq.scan.state import flatten, rebuild

Curve = np.ndarray[Any, np.dtype[np.float64]]

CELLS: dict[str, Callable[[int, int], Cell]] = {
    "rnn": RNN,
    "irnn": lambda m, n: RNN(m, n, activation="relu", recurrent_init="identity"),
    "gru": GRU,
    "lstm": LSTM,
}
"""IRNN: a rectified RNN that begins as an adder, Le, Jaitly and Hinton (2015)."""


def gradient_norms(cell: Cell, xs: Sequences, loss: Callable[[Sequences], Tensor]) -> Curve:
    """The norm of d loss / d state after each step, over all sequences of a batch of equal lengths: (steps,).

    Zeros are added to the state after each step; the gradient with respect to them is what is asked for.
    """
    start = cell.initial_state(len(xs))
    widths = [leaf.shape[1] for leaf in flatten(start)]
    steps = xs.lengths[0]
    added = Tensor(np.zeros((len(xs), steps, sum(widths)), np.float32), requires_grad=True)

    def step(inputs: Any, state: Any) -> tuple[Tensor, Any]:
        x, zeros = inputs
        _, state = cell.step(x, state)
        parts = ops.split(zeros, np.cumsum(widths)[:-1].tolist(), axis=-1)
        state = rebuild(state, iter([leaf + part for leaf, part in zip(flatten(state), parts, strict=True)]))
        return state.h, state

    hidden, _ = tinyseq.scan(step, (xs, Sequences.from_padded(added)), start, compiled=False)
    (gradient,) = tinyseq.grad(loss(hidden), [added])
    norms: Curve = np.sqrt((gradient.numpy().astype(np.float64) ** 2).sum((0, 2)))
    return norms


def show_curves(stages: Mapping[str, Mapping[str, Curve]], plot: str = "") -> None:
    """Print the norms of each cell at each stage, some steps before the end; with `plot`, draw them there.

    stages: "before training" and the like, with the curve of each cell. Raises ConfigError if a plot is
    wanted without matplotlib.
    """
    for title, curves in stages.items():
        steps = len(next(iter(curves.values())))
        print(f"\nnorm of the gradient with respect to the state, {title}")
        print("steps before the end" + "".join(f"{name:>11}" for name in curves))
        for back in sorted({round(share * (steps - 1)) for share in np.linspace(0, 1, 9)}):
            print(f"{back:>20}" + "".join(f"{curve[steps - 1 - back]:>11.1e}" for curve in curves.values()))
    if plot:
        _draw(stages, plot)


def _draw(stages: Mapping[str, Mapping[str, Curve]], plot: str) -> None:
    """A panel for each stage, on one scale."""
    figure = _figure_class()(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, len(stages), sharey=True, squeeze=False)[0]
    for axes, (title, curves) in zip(panels, stages.items(), strict=True):
        for name, curve in curves.items():
            axes.semilogy(np.maximum(curve[::-1], 1e-30), label=name.upper(), linewidth=2)
        axes.set_title(title)
        axes.set_xlabel("steps before the end")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("norm of d loss / d state")
    figure.suptitle("How much of the gradient arrives, step by step back from the end")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.savefig(plot, dpi=150)


def check_plot(plot: str) -> None:
    """Raise ConfigError if a plot is wanted without matplotlib: before the training, not after it."""
    if plot:
        _figure_class()


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError(
            "Drawing needs matplotlib: pip install 'tinyseq[plot]', or leave out plot."
        ) from None
    return Figure
