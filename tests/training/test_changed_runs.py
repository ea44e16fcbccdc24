"""A run that is resumed with other parts says so, or is refused where its figures could not be compared."""

import re
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Sequences
from tinyseq.errors import DataError
from tinyseq.nn import Dropout, Embedding, SequenceModel, Sequential
from tinyseq.optim import (
    SGD,
    Adam,
    AdamW,
    Average,
    Constant,
    Cosine,
    ExponentialAverage,
    ReduceOnPlateau,
    Schedule,
    TriggeredAverage,
    Warmup,
)
from tinyseq.training import Trainer, whole_sequences


def batches(count: int = 4, size: int = 2, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [
        (Sequences.from_list([rng.integers(0, 9, 3) for _ in range(size)]), rng.integers(0, 3, size))
        for _ in range(count)
    ]


def other_objective(model: Any, batch: Any, state: Any) -> Any:
    return whole_sequences(model, batch, state)


def trainer(
    directory: Path | None,
    *,
    p: float = 0.5,
    smoothing: float = 0.0,
    weights: Any = None,
    frozen: bool = False,
    dtype: str = "float32",
    optimizer: Any = Adam,
    schedule: Any = None,
    average: Any = None,
    **options: Any,
) -> Trainer:
    tinyseq.seed(0)
    loss = tinyseq.losses["cross-entropy"](label_smoothing=smoothing, class_weights=weights)
    encoder = Sequential(Dropout(p), tinyseq.Recurrent(tinyseq.cells["gru"](4, 5)))
    model = SequenceModel(Embedding(9, 4), encoder, tinyseq.heads["classifier"](5, 3, loss=loss)).to(dtype)
    model.embed.freeze(frozen)
    made = optimizer(model, lr=0.01)
    options["schedule"] = schedule and schedule(made)
    options["average"] = average and average(model)
    return Trainer(model, made, directory=directory, bars=False, **options)


def resumed(directory: Path, before: dict[str, Any], now: dict[str, Any]) -> Trainer:
    trainer(directory, **before).fit(batches(), batches(seed=1), epochs=1)
    again = trainer(directory, **now)
    again.resume()
    return again


def factor(function: Any) -> Any:
    return lambda optimizer: Schedule(optimizer, function)


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "formula": ({"schedule": factor(Cosine(9))}, {"schedule": factor(Constant())}, "factor=Constant, not C"),
    "length": ({"schedule": factor(Cosine(9))}, {"schedule": factor(Cosine(8))}, "factor.total=8, not 9"),
    "after warmup": (
        {"schedule": factor(Warmup(9, Cosine(9)))},
        {"schedule": factor(Warmup(9, Cosine(5)))},
        "factor.then.total=5, not 9",
    ),
    "a function without a name": (
        {"schedule": factor(lambda n: 0.5**n)},
        {"schedule": factor(lambda n: 0.25**n)},
        r"lr=3.9\d*e-05, not 0.000625",
    ),
    "plateau": (
        {"schedule": ReduceOnPlateau},
        {"schedule": lambda o: ReduceOnPlateau(o, patience=3)},
        "schedule.patience=3, not 10",
    ),
    "clip": ({"clip": 1.0}, {}, "clip=none, not 1.0"),
    "accumulate": ({}, {"accumulate": 2}, "accumulate=2, not 1"),
    "objective": ({}, {"objective": other_objective}, "objective=other_objective, not whole_sequences"),
    "smoothing": ({}, {"smoothing": 0.1}, "label_smoothing=0.1, not 0.0"),
    "class weights": ({"weights": [1, 2, 3]}, {"weights": [1, 2, 4]}, "class_weights=.*4.*, not .*3"),
    "dropout": ({}, {"p": 0.1}, r"encoder.layers.0.p=0.1, not 0.5"),
    "frozen": ({}, {"frozen": True}, "frozen=.*embed.weight.*, not \\[\\]"),
    "dtype": ({}, {"dtype": "float64"}, "float64.*not.*float32"),
    "optimizer": ({}, {"optimizer": partial(AdamW, weight_decay=0.0)}, "optimizer=AdamW, not Adam"),
    "decay": ({"average": ExponentialAverage}, {"average": lambda m: ExponentialAverage(m, 0.5)}, "=0.5"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_changed_is_said(tmp_path, name):
    before, now, said = CHANGES[name]
    with pytest.warns(UserWarning, match=f"The run goes on with .*{said}") as found:
        again = resumed(tmp_path, before, now)
    assert found[0].filename == __file__  # it points at resume()
    again.fit(batches(), batches(seed=1), epochs=2)
    with warnings.catch_warnings():  # from now on it is such a run
        warnings.simplefilter("error")
        trainer(tmp_path, **now).resume()


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_not_changed_is_not_said(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i, options in enumerate(CHANGES[name][:2]):
            resumed(tmp_path / str(i), options, options).fit(batches(), batches(seed=1), epochs=2)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({}, {"monitor": "accuracy"}, "monitor was 'loss' and is 'accuracy'"),
        ({"monitor": "accuracy"}, {}, "monitor was 'accuracy' and is 'loss'"),
        (
            {"schedule": ReduceOnPlateau},
            {"schedule": lambda o: ReduceOnPlateau(o, mode="max")},
            "mode of ReduceOnPlateau was 'min' and is 'max'",
        ),
        ({"average": Average}, {"average": ExponentialAverage}, "'Average' and is 'ExponentialAverage'"),
        ({"average": Average}, {"average": TriggeredAverage}, "'Average' and is 'TriggeredAverage'"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, before, now, said):
    with pytest.raises(DataError, match=re.escape(said)):
        resumed(tmp_path, before, now)


def stop_after(step: int) -> Any:
    def stop(trainer: Trainer, now: Any) -> None:
        if now.number == step:
            trainer._interrupts.requested = True

    return stop


@pytest.mark.parametrize("other", [{"seed": 5}, {"size": 3}])
def test_other_batches_within_an_epoch_are_said(tmp_path, other):
    for folder in ("same", "other"):
        with pytest.raises(KeyboardInterrupt):
            trainer(tmp_path / folder, after_step=[stop_after(2)]).fit(batches(), epochs=1)
    again = trainer(tmp_path / "same")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.resume()
        again.fit(batches(), epochs=1)
    again = trainer(tmp_path / "other")
    again.resume()
    with pytest.warns(UserWarning, match="Batch 2 of this epoch is not the one"):
        again.fit(batches(**other), epochs=1)


def test_another_number_of_batches_is_said(tmp_path):
    again = resumed(tmp_path, {}, {})
    with pytest.warns(UserWarning, match="2 batches to an epoch, not 4"):
        again.fit(batches(2, 4), epochs=2)


def test_what_a_run_has_thawed_stays_thawed(tmp_path):
    def thaw(trainer: Trainer, epoch: Any) -> None:
        trainer.model.embed.freeze(epoch.number < 2)

    def weights(directory: Path | None, stops: list[int]) -> dict[str, Any]:
        for i, epochs in enumerate(stops):
            part = trainer(directory, frozen=True, optimizer=SGD, after_epoch=[thaw])
            if i:
                part.resume()
            part.fit(batches(), epochs=epochs)
        return part.model.state_dict()

    whole, parts = weights(None, [4]), weights(tmp_path, [1, 2, 3, 4])
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
