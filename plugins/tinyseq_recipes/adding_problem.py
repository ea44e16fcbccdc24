"""The adding problem: does a model remember two numbers for a hundred steps?

Each step holds a number and a mark; two numbers are marked, one in each half, and their sum is asked for at
the end. Always saying 1 costs 1/6. The gradient has to come all the way back to the marks: the curve shows in
which cell it does. Source: Hochreiter and Schmidhuber (1997), as Le, Jaitly and Hinton (2015) pose it.
"""

from pathlib import Path
from typing import Any

import numpy as np

import tinyseq
from tinyseq import Head, Sequences, Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Linear, SequenceModel, Sequential
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer
from tinyseq_recipes.common import Drawn, losses, show, show_epoch
from tinyseq_recipes.gradients import CELLS, check_plot, gradient_norms, show_curves


class Regression(Head):
    """A number from the last step of each sequence; the loss is the mean squared error."""

    def __init__(self, input_size: int) -> None:
        self.linear = Linear(input_size, 1)

    def predict(self, features: Any) -> Tensor:
        """Numbers (batch,)."""
        return self.linear(features.last()).squeeze(-1)  # type: ignore[no-any-return]

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The mean squared error against numbers (batch,)."""
        error = self.predict(features) - Tensor(targets)
        return (error * error).mean()


def adding_problem(
    data: Path | None = None,
    *,
    steps: int = 60,
    hidden: int = 64,
    epochs: int = 8,
    updates: int = 100,
    batch: int = 32,
    lr: float = 3e-3,
    plot: str = "",
    seed: int = 0,
) -> list[Outcome]:
    """RNN, IRNN, GRU and LSTM add two numbers that stand far apart.

    The data are always made up.
    """
    if data:
        raise ConfigError("The adding problem makes its data up: leave out --data.")
    check_plot(plot)

    def draw(rng: np.random.Generator, size: int = batch) -> tuple[Sequences, Any]:
        numbers, marks = rng.random((size, steps)), np.zeros((size, steps))
        half = steps // 2
        places = np.stack([rng.integers(half, size=size), rng.integers(half, steps, size)])
        marks[np.arange(size), places] = 1
        xs = np.stack([numbers, marks], axis=-1).astype(np.float32)
        return Sequences.from_padded(xs), (numbers * marks).sum(1).astype(np.float32)

    test = [draw(np.random.default_rng(1), 1000)]
    baseline = float(((test[0][1] - 1) ** 2).mean())
    print(f"baseline: always 1, squared error {baseline:.4f}")
    outcomes, before, after = [], {}, {}
    for name, cell in CELLS.items():
        print(f"\n{name}")
        tinyseq.seed(seed)
        recurrent = tinyseq.Recurrent(cell(2, hidden))
        model = SequenceModel(Sequential(), recurrent, Regression(hidden))
        xs, wanted = draw(np.random.default_rng(2))

        def error(hs: Sequences, model: SequenceModel = model, wanted: Any = wanted) -> Tensor:
            return model.head.loss(hs, wanted)  # type: ignore[no-any-return]

        before[name] = gradient_norms(recurrent.cell, xs, error)
        trainer = Trainer(model, Adam(model, lr=lr), clip=1.0, after_epoch=[show_epoch])
        trainer.fit(Drawn(draw, updates), epochs=epochs)
        after[name] = gradient_norms(recurrent.cell, xs, error)
        figure = trainer.evaluate(test)
        outcome = Outcome(name, "squared error", figure, baseline, lower_is_better=True)
        outcomes.append(outcome._replace(losses=losses(trainer)))
    show_curves({"before training": before, "after training": after}, plot)
    print()
    return [show(outcome) for outcome in outcomes]
