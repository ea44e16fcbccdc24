"""What tasks for a long memory share: four cells learn the same, and their gradients are shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinyseq
from tinyseq import Cell, Sequences, Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer
from tinyseq_recipes.common import Drawn, losses, show, show_epoch
from tinyseq_recipes.gradients import CELLS, check_plot, gradient_norms, show_curves


class Task(NamedTuple):
    """draw(rng, batch): a batch, made up; model(cell, width): one that reads `width` features;
    error(model, features, targets): the loss of the last step alone, whose gradient is shown."""

    metric: str
    width: int
    draw: Callable[[np.random.Generator, int], Any]
    model: Callable[[tinyseq.Recurrent], SequenceModel]
    error: Callable[[SequenceModel, Sequences, Any], Tensor]


def check(name: str, data: Path | None, plot: str) -> None:
    """Raise ConfigError for data, which such a task makes up, and for a plot that cannot be drawn."""
    if data:
        raise ConfigError(f"{name} makes its data up: leave out --data.")
    check_plot(plot)


def compare(
    task: Task,
    baseline: float,
    *,
    hidden: int,
    epochs: int,
    updates: int,
    batch: int,
    lr: float,
    plot: str,
    seed: int,
) -> list[Outcome]:
    """Train an RNN, an IRNN, a GRU and an LSTM; show how much of the gradient comes back before and after."""
    test = [task.draw(np.random.default_rng(1), 1000)]
    outcomes, before, after = [], {}, {}
    for name, cell in CELLS.items():
        print(f"\n{name}")
        tinyseq.seed(seed)
        recurrent = tinyseq.Recurrent(cell(task.width, hidden))
        model = task.model(recurrent)
        before[name] = _norms(task, model, recurrent.cell)
        trainer = Trainer(model, Adam(model, lr=lr), clip=1.0, after_epoch=[show_epoch])
        trainer.fit(Drawn(lambda rng: task.draw(rng, batch), updates), epochs=epochs)
        after[name] = _norms(task, model, recurrent.cell)
        figure = trainer.evaluate(test)
        outcomes.append(
            Outcome(name, task.metric, figure, baseline, lower_is_better=True, losses=losses(trainer))
        )
    show_curves({"before training": before, "after training": after}, plot)
    print()
    return [show(outcome) for outcome in outcomes]


def _norms(task: Task, model: SequenceModel, cell: Cell) -> Any:
    xs, wanted = task.draw(np.random.default_rng(2), 32)
    return gradient_norms(cell, model.embed(xs), lambda features: task.error(model, features, wanted))
