"""Training runs that several processes play as one: what comes of them is given back."""

from dataclasses import replace

import numpy as np
from tinyseq_losses.cross_entropy import CrossEntropy

import tinyseq
from tinyseq.data import ContiguousWindows, LengthBatches
from tinyseq.nn import Dropout, Embedding, Module, Parameter, SequenceModel, Sequential
from tinyseq.optim import SGD, Adam, Cosine, ReduceOnPlateau, Schedule
from tinyseq.sequences import Sequences
from tinyseq.training import BatchLoss, HistoryFile, SaveBest, Trainer, carried_state

SYMBOLS, TAGS, IGNORED = 9, 4, -1


@tinyseq.register("layer", "layers")
class Layers(tinyseq.Layer):
    """A GRU under dropout, which may be 0."""

    def __init__(self, width: int, rate: float):
        self.recurrent = tinyseq.Recurrent(tinyseq.cells["gru"](width, width))
        self.dropout = Sequential(Dropout(rate))
        self.unused = Parameter(np.ones(3, np.float32))

    def initial_state(self, batch_size):
        return self.recurrent.initial_state(batch_size)

    def forward(self, xs):
        return self.scan(xs)[0]

    def scan(self, xs, state=None):
        ys, state = self.recurrent.scan(xs, state)
        return self.dropout(ys), state


def text(length):
    return np.cumsum(np.random.default_rng(0).integers(0, 3, length)) % SYMBOLS


def language_model(
    processes, *, length=300, dtype="float64", dropout=0.0, streams=5, optimizer=Adam, **options
):
    """Windows of a text, whose state goes on: a Trainer, and data of an uneven last window."""
    tinyseq.seed(7)
    head = tinyseq.heads["language-model"](8, SYMBOLS)
    model = SequenceModel(Embedding(SYMBOLS, 8), Layers(8, dropout), head).to(dtype)
    learning = optimizer(model, lr=1e-2)
    trainer = Trainer(
        model,
        learning,
        carried_state,
        schedule=Schedule(learning, Cosine(60)),
        clip=0.5,
        processes=processes,
        **options,
    )
    return trainer, ContiguousWindows(text(length), streams, 6), ContiguousWindows(text(90), 4, 6)


def sentences(count, longest=7):
    rng = np.random.default_rng(3)
    found = []
    for _ in range(count):
        length = int(rng.integers(1, longest + 1))
        tags = rng.integers(0, TAGS, length)
        tags[rng.random(length) < 0.3] = IGNORED
        found.append((rng.integers(0, SYMBOLS, length), tags))
    found[0][1][:] = IGNORED  # a sequence, and so a share, in which nothing counts
    return found


def collate(examples):
    return tuple(Sequences.from_list(part) for part in zip(*examples, strict=True))


def tagger(processes, *, count=23, batch=6, loss=None, lr=0.5, optimizer=SGD, **options):
    """Ragged batches in another order every epoch; the last one may have a single sequence."""
    tinyseq.seed(5)
    weights = np.array([1.0, 0.2, 2.0, 0.7])
    criterion = loss or CrossEntropy(ignore_index=IGNORED, class_weights=weights)
    head = tinyseq.heads["tagger"](8, TAGS, loss=criterion)
    model = SequenceModel(Embedding(SYMBOLS, 8), tinyseq.Recurrent(tinyseq.cells["lstm"](8, 8)), head)
    model.to("float64")
    trainer = Trainer(model, optimizer(model, lr=lr), processes=processes, **options)
    return trainer, LengthBatches(sentences(count), batch, collate), LengthBatches(sentences(11), 4, collate)


def outcome(trainer):
    return {
        "weights": trainer.model.state_dict(),
        "history": [replace(epoch, seconds=0.0) for epoch in trainer.history],
        "optimizer": trainer.optimizer.state_dict(),
        "steps": trainer.progress.step,
    }


SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


@scenario
def windows_float64(processes, folder):
    trainer, batches, valid = language_model(processes)
    trainer.fit(batches, valid, epochs=3)
    return outcome(trainer)


@scenario
def windows_float32(processes, folder):
    trainer, batches, valid = language_model(processes, dtype="float32", optimizer=SGD)
    trainer.fit(batches, valid, epochs=2)
    return outcome(trainer)


@scenario
def ragged_weighted(processes, folder):
    trainer, batches, valid = tagger(processes, patience=2, monitor="accuracy", clip=0.05)
    trainer.fit(batches, valid, epochs=8)
    trainer.restore_best()
    return outcome(trainer)


@scenario
def fewer_sequences_than_processes(processes, folder):
    trainer, batches, valid = tagger(processes, count=7, batch=2, optimizer=Adam, lr=0.01)
    trainer.schedule = ReduceOnPlateau(trainer.optimizer, patience=0)
    trainer.fit(batches, valid, epochs=4)
    return outcome(trainer)


@scenario
def summed_and_accumulated(processes, folder):
    loss = CrossEntropy(ignore_index=IGNORED, reduction="sum")
    trainer, batches, _ = tagger(processes, loss=loss, lr=0.01, accumulate=3)
    trainer.fit(batches, epochs=2)
    return outcome(trainer)


@scenario
def accumulated(processes, folder):
    trainer, batches, _ = tagger(processes, accumulate=2)
    trainer.fit(batches, epochs=2)
    return outcome(trainer)


@scenario
def classes_in_a_list(processes, folder):
    tinyseq.seed(2)
    head = tinyseq.heads["classifier"](8, 3)
    model = SequenceModel(Embedding(SYMBOLS, 8), tinyseq.Recurrent(tinyseq.cells["rnn"](8, 8)), head)
    model.to("float64")
    examples = [(ids, len(ids) % 3) for ids, _ in sentences(10)]

    def listed(some):
        return Sequences.from_list([ids for ids, _ in some]), [label for _, label in some]

    trainer = Trainer(model, SGD(model, lr=0.1), processes=processes)
    trainer.fit(LengthBatches(examples, 3, listed), epochs=3)
    return outcome(trainer)


@scenario
def dropout(processes, folder):
    trainer, batches, valid = language_model(processes, dropout=0.3, streams=8)
    trainer.fit(batches, valid, epochs=2)
    return outcome(trainer)


@scenario
def first_dropout_step(processes, folder):
    """What the first step drops in this process: the gradient of the one parameter."""
    tinyseq.seed(1)

    class Point(Module):
        def __init__(self):
            self.w, self.dropout = Parameter(np.ones(64)), Dropout(0.5)

    model = Point()
    seen = []

    def objective(model, batch, state):
        dropped = model.dropout(model.w)
        if model.training:
            seen.append(dropped.numpy() != 0)
        return BatchLoss(dropped.mean(), len(batch))

    before = tinyseq.random.get_state()
    Trainer(model, SGD(model, lr=0.0), objective, processes=processes).train_step(np.zeros((8, 1)))
    return {"seen": seen[0], "moved": before != tinyseq.random.get_state()}


class Down(Exception):
    pass


def stopped_after(steps):
    def stop(trainer, step):
        if step.number == steps:
            raise Down

    return stop


@scenario
def whole_run(processes, folder):
    trainer, batches, valid = language_model(processes, streams=7, dropout=0.0)
    trainer.fit(batches, valid, epochs=3)
    return outcome(trainer)


@scenario
def whole_run_with_dropout(processes, folder):
    trainer, batches, valid = language_model(processes, streams=7, dropout=0.2)
    trainer.fit(batches, valid, epochs=3)
    return outcome(trainer)


def interrupted(processes, folder, dropout):
    options = {"streams": 7, "dropout": dropout, "directory": folder / "run", "save_seconds": 0.0}
    trainer, batches, valid = language_model(
        processes,
        **options,
        after_step=[stopped_after(11)],
        after_epoch=[
            HistoryFile(folder / "run" / "history.csv"),
            SaveBest(folder / "run" / "best.safetensors"),
        ],
    )
    try:
        trainer.fit(batches, valid, epochs=3)
    except Down:
        return options
    raise AssertionError


def gone_on(processes, options):
    trainer, batches, valid = language_model(processes, **options)
    trainer.resume()
    assert trainer.progress.batch
    trainer.fit(batches, valid, epochs=3)
    return outcome(trainer)


@scenario
def resumed(processes, folder):
    return gone_on(processes, interrupted(processes, folder / "plain", 0.0))


@scenario
def resumed_with_dropout(processes, folder):
    return gone_on(processes, interrupted(processes, folder / "dropout", 0.2))


@scenario
def resumed_from_elsewhere(processes, folder):
    """A run that as many processes as `folder/elsewhere` says have begun."""
    return gone_on(processes, {"streams": 7, "dropout": 0.0, "directory": folder / "elsewhere" / "run"})


@scenario
def begin(processes, folder):
    interrupted(processes, folder / "elsewhere", 0.0)
