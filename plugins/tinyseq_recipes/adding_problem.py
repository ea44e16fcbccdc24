"""The adding problem: does a model remember two numbers for a hundred steps?

Each step holds a number and a mark; two numbers are marked, one in each half, and their sum is asked for at
the end. Always saying 1 costs 1/6. The gradient has to come all the way back to the marks: the curve shows in
which cell it does. Source: Hochreiter and Schmidhuber (1997), as Le, Jaitly and Hinton (2015) pose it.
"""

from pathlib import Path

import numpy as np
from tinyseq_heads.regressor import Regressor

from tinyseq import Sequences
from tinyseq.nn import SequenceModel, Sequential
from tinyseq.training import Outcome
from tinyseq_recipes import long_memory


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
    long_memory.check("The adding problem", data, plot)

    def draw(rng: np.random.Generator, size: int) -> tuple[Sequences, np.ndarray]:
        numbers, marks = rng.random((size, steps)), np.zeros((size, steps))
        half = steps // 2
        places = np.stack([rng.integers(half, size=size), rng.integers(half, steps, size)])
        marks[np.arange(size), places] = 1
        xs = np.stack([numbers, marks], axis=-1).astype(np.float32)
        return Sequences.from_padded(xs), (numbers * marks).sum(1, keepdims=True).astype(np.float32)

    _, sums = draw(np.random.default_rng(1), 1000)
    baseline = float(((sums - 1) ** 2).mean())
    print(f"baseline: always 1, squared error {baseline:.4f}")
    task = long_memory.Task(
        metric="squared error",
        width=2,
        draw=draw,
        model=lambda encoder: SequenceModel(Sequential(), encoder, Regressor(hidden, 1, pooling="last")),
        error=lambda model, features, wanted: model.head.loss(features, wanted),
    )
    return long_memory.compare(
        task,
        baseline,
        hidden=hidden,
        epochs=epochs,
        updates=updates,
        batch=batch,
        lr=lr,
        plot=plot,
        seed=seed,
    )
