"""Pictures of a training and of its result."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyseq.errors import ConfigError, ShapeError
from tinyseq.lens.pictures.paper import COLOURS, DASHES, MARKS, SHARES, SMALL, bare, figure, ticks

FEW = 20  # classes, up to which the counts are written into a confusion table


def losses(history: Sequence[Any]) -> Any:
    """Training and validation loss over the epochs, and the best epoch. history: a Trainer's, of Epochs."""
    if not history:
        raise ConfigError("There is no epoch to draw: train first.")
    drawn = figure(5.6, 3.4)
    axes = drawn.subplots()
    numbers = [epoch.number for epoch in history]
    lines = {"training": [epoch.train_loss for epoch in history]}
    if any(epoch.valid_loss is not None for epoch in history):
        lines["validation"] = [math.nan if e.valid_loss is None else e.valid_loss for e in history]
    for k, (name, values) in enumerate(lines.items()):
        axes.plot(numbers, values, label=name, color=COLOURS[k], linestyle=DASHES[k], marker=MARKS[k], ms=4)
    best = [epoch.number for epoch in history if epoch.best][-1:]
    for number in best:
        axes.axvline(number, color="#666666", linewidth=1, linestyle=":", label=f"best: epoch {number}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    bare(axes)
    axes.legend(frameon=False, handlelength=3)
    return drawn


def confusion(counts: Any, names: Sequence[str] | None = None) -> Any:
    """Who is taken for whom: a row for each right class, a column for each answer, counts in the cells.

    counts: (classes, classes), or a metric that has them as `confusion`, as MacroF1 has. Colours are shares
    of the row, so that rare classes can be read as well; up to 20 classes have their counts written down.
    """
    table = np.asarray(getattr(counts, "confusion", counts))
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not len(table):
        raise ShapeError(f"A confusion table is (classes, classes), not {table.shape}.")
    names = [str(k) for k in range(len(table))] if names is None else names
    if len(names) != len(table):
        raise ShapeError(f"A table of {len(table)} classes needs as many names, not {len(names)}.")
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = min(max(3.2, 1.4 + 0.42 * len(table)), 12)
    drawn = figure(side + 0.9, side)
    axes = drawn.subplots()
    image = axes.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    drawn.colorbar(image, ax=axes, label="share of the row", shrink=0.8)
    for row, column in np.argwhere(table) if len(table) <= FEW else ():
        shade = "white" if shares[row, column] > 0.5 else "black"
        count = f"{table[row, column]:,}"
        axes.text(column, row, count, ha="center", va="center", color=shade, fontsize=SMALL)
    ticks(axes.xaxis, names, turned=max(map(len, names)) > 3)
    ticks(axes.yaxis, names)
    axes.set_xlabel("answer")
    axes.set_ylabel("right class")
    return drawn
