"""Training runs that fail in one process; each gives back the error that it ended in."""

import numpy as np
from scenarios import SYMBOLS, collate, sentences, tagger

import tinyseq
from tinyseq.errors import TinyseqError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.ops import sqrt
from tinyseq.optim import SGD
from tinyseq.sequences import Sequences
from tinyseq.training import Trainer, whole_sequences

SCENARIOS = {}


def failing(function):
    """A scenario that ends in an error, which it gives back."""

    def play(processes, folder):
        try:
            function(processes, folder)
        except (TinyseqError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        return "nothing was raised"

    SCENARIOS[function.__name__] = play
    return play


@failing
def data_fail_in_one(processes, folder):
    trainer, batches, _ = tagger(processes)

    class Broken(list):
        def __iter__(self):
            for i, batch in enumerate(batches):
                if i == 2 and processes.rank == 1:
                    raise OSError("the disk is gone")
                yield batch

    trainer.fit(Broken([0] * 4), epochs=2)


@failing
def nan_in_one(processes, folder):
    """The gradient of one share is not finite, though all losses are."""
    trainer, batches, _ = tagger(processes)

    def objective(model, batch, state):
        found = whole_sequences(model, batch, state)
        if processes.rank == 1 and trainer.progress.step == 2:
            steep = sqrt((next(model.parameters()) * 0).sum())  # 0, with an infinite slope
            return found._replace(mean=found.mean + steep)
        return found

    trainer.objective = objective
    with np.errstate(all="ignore"):
        trainer.fit(batches, epochs=2)


@failing
def nan_loss_in_one(processes, folder):
    trainer, batches, _ = tagger(processes)

    def objective(model, batch, state):
        found = whole_sequences(model, batch, state)
        bad = processes.rank == 1 and trainer.progress.step == 2
        return found._replace(mean=found.mean * float("nan")) if bad else found

    trainer.objective = objective
    trainer.fit(batches, epochs=2)


@failing
def other_option(processes, folder):
    trainer, batches, _ = tagger(processes, lr=0.1 if processes.rank else 0.2)
    trainer.fit(batches, epochs=1)


@failing
def other_weights(processes, folder):
    trainer, batches, _ = tagger(processes)
    next(trainer.model.parameters()).data[...] += processes.rank
    trainer.fit(batches, epochs=1)


@failing
def other_version(processes, folder):
    before = tinyseq.__version__
    tinyseq.__version__ = f"0.{processes.rank}"
    try:
        trainer, batches, _ = tagger(processes)
        trainer.fit(batches, epochs=1)
    finally:
        tinyseq.__version__ = before


@failing
def other_batches(processes, folder):
    trainer, _, _ = tagger(processes)
    trainer.fit([collate(sentences(6 + processes.rank))] * 2, epochs=1)


@failing
def weights_come_apart(processes, folder):
    def change(trainer, step):
        next(trainer.model.parameters()).data[...] += processes.rank

    trainer, batches, _ = tagger(processes, after_step=[change])
    trainer.fit(batches, epochs=1)


@failing
def validation_fails_in_one(processes, folder):
    trainer, batches, valid = tagger(processes, directory=folder / "invalid")
    rows = list(valid)
    if processes.rank == 1:
        rows[1] = (rows[1][0], rows[1][1].with_data(rows[1][1].data + 40))
    trainer.fit(batches, rows, epochs=1)


@failing
def rows_compared(processes, folder):
    tinyseq.seed(0)
    head = tinyseq.heads["siamese"](8, loss=tinyseq.losses["info-nce"]())
    model = SequenceModel(Embedding(SYMBOLS, 8), tinyseq.Recurrent(tinyseq.cells["gru"](8, 8)), head)
    xs = Sequences.from_list([ids for ids, _ in sentences(8)])
    trainer = Trainer(model, SGD(model, lr=0.1), processes=processes, measure=False)
    trainer.fit([(xs, np.array([0, 1, 2, 3, 0, 1, 2, 3]))], epochs=1)
