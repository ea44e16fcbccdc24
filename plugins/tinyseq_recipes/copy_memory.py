"""Copy memory: does a model remember a whole word while nothing happens?

A few symbols, a long pause, a signal, and then the symbols are to be said again. Who remembers nothing can
say that there is a pause, and guess: (symbols to recall) x log 8 / steps nats a step. Sources: Hochreiter and
Schmidhuber (1997); in this form Arjovsky, Shah and Bengio (2016), section 5.1.
"""

import math
from pathlib import Path

import numpy as np
from tinyseq_heads.language_model import LanguageModelHead

from tinyseq import Sequences
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.training import Outcome
from tinyseq_recipes import long_memory

SYMBOLS, PAUSE, SIGNAL = 8, 8, 9


def copy_memory(
    data: Path | None = None,
    *,
    length: int = 3,
    pause: int = 20,
    hidden: int = 64,
    epochs: int = 8,
    updates: int = 100,
    batch: int = 32,
    lr: float = 3e-3,
    plot: str = "",
    seed: int = 0,
) -> list[Outcome]:
    """RNN, IRNN, GRU and LSTM say symbols again after a pause.

    The data are always made up.
    """
    long_memory.check("Copy memory", data, plot)
    steps = pause + 2 * length

    def draw(rng: np.random.Generator, size: int) -> tuple[Sequences, Sequences]:
        word = rng.integers(SYMBOLS, size=(size, length))
        xs, ys = (np.full((size, steps), PAUSE) for _ in range(2))
        xs[:, :length] = ys[:, -length:] = word
        xs[:, -length - 1] = SIGNAL
        return Sequences.from_padded(xs), Sequences.from_padded(ys)

    baseline = length * math.log(SYMBOLS) / steps
    print(f"baseline: remembers nothing, {baseline:.4f} nats a step")
    task = long_memory.Task(
        metric="nats a step",
        width=16,
        draw=draw,
        model=lambda encoder: SequenceModel(Embedding(10, 16), encoder, LanguageModelHead(hidden, 9)),
        error=lambda model, features, wanted: model.head.loss(features.last(), wanted.last()),
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
