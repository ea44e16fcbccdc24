"""Copy memory: does a model remember a whole word while nothing happens?

A few symbols, a long pause, a signal, and then the symbols are to be said again. Who remembers nothing can
say that there is a pause, and guess: (symbols to recall) x log 8 / steps nats a step. Sources: Hochreiter and
Schmidhuber (1997); in this form Arjovsky, Shah and Bengio (2016), section 5.1.
"""

import math
from pathlib import Path

import numpy as np
from tinyseq_heads.language_model import LanguageModelHead

import tinyseq
from tinyseq import Sequences
from tinyseq.errors import ConfigError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer
from tinyseq_recipes.common import Drawn, losses, show, show_epoch
from tinyseq_recipes.gradients import CELLS, check_plot, gradient_norms, show_curves

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
    if data:
        raise ConfigError("Copy memory makes its data up: leave out --data.")
    check_plot(plot)
    steps = pause + 2 * length

    def draw(rng: np.random.Generator, size: int = batch) -> tuple[Sequences, Sequences]:
        word = rng.integers(SYMBOLS, size=(size, length))
        xs, ys = (np.full((size, steps), PAUSE) for _ in range(2))
        xs[:, :length] = ys[:, -length:] = word
        xs[:, -length - 1] = SIGNAL
        return Sequences.from_padded(xs), Sequences.from_padded(ys)

    baseline = length * math.log(SYMBOLS) / steps
    print(f"baseline: remembers nothing, {baseline:.4f} nats a step")
    outcomes, before, after = [], {}, {}
    for name, cell in CELLS.items():
        print(f"\n{name}")
        tinyseq.seed(seed)
        recurrent = tinyseq.Recurrent(cell(16, hidden))
        model = SequenceModel(Embedding(10, 16), recurrent, LanguageModelHead(hidden, 9))
        xs, wanted = draw(np.random.default_rng(2))

        def last(hs: Sequences, model: SequenceModel = model, wanted: Sequences = wanted) -> tinyseq.Tensor:
            return model.head.loss(hs.last(), wanted.last())  # type: ignore[no-any-return]

        before[name] = gradient_norms(recurrent.cell, model.embed(xs), last)
        trainer = Trainer(model, Adam(model, lr=lr), clip=1.0, after_epoch=[show_epoch])
        trainer.fit(Drawn(draw, updates), epochs=epochs)
        after[name] = gradient_norms(recurrent.cell, model.embed(xs), last)
        nats = trainer.evaluate([draw(np.random.default_rng(1), 1000)])
        outcomes.append(
            Outcome(name, "nats a step", nats, baseline, lower_is_better=True, losses=losses(trainer))
        )
    show_curves({"before training": before, "after training": after}, plot)
    print()
    return [show(outcome) for outcome in outcomes]
