"""Averages of Parameters: closed forms, evaluation with them, and runs that go on from a checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Module, Parameter
from tinyseq.optim import SGD, Average, ExponentialAverage, TriggeredAverage
from tinyseq.training import BatchLoss, Trainer

PATH = np.random.default_rng(0).normal(size=(40, 3))


class Point(Module):
    """Three numbers, and the loss of where they are."""

    def __init__(self) -> None:
        self.w = Parameter(np.zeros(3))

    def loss(self) -> Any:
        return (self.w * self.w).sum()


def walked(average: Any, model: Point, path: Any) -> np.ndarray:
    for place in path:
        model.load_state_dict({"w": place})
        average.update()
    with average.applied():
        return model.w.numpy().copy()


def test_the_plain_mean(backend: str) -> None:
    model = Point()
    np.testing.assert_allclose(walked(Average(model), model, PATH), PATH.mean(0), atol=1e-6)
    np.testing.assert_allclose(model.w.numpy(), PATH[-1], atol=1e-6)


def test_the_exponential_mean_starts_unbiased() -> None:
    model, decay = Point(), 0.8
    wanted = PATH[0]
    for n, place in enumerate(PATH[1:], 2):
        share = max(1 / n, 1 - decay)
        wanted = share * place + (1 - share) * wanted
    np.testing.assert_allclose(walked(ExponentialAverage(model, decay), model, PATH), wanted, atol=1e-6)
    first = Point()
    np.testing.assert_allclose(
        walked(ExponentialAverage(first, 0.9), first, PATH[:10]), PATH[:10].mean(0), atol=1e-6
    )


def test_the_triggered_mean_begins_where_the_paper_says() -> None:
    """Algorithm 1: if t > n and v > min of logs[0 ... t - n - 1], then T = k."""
    losses = [5.0, 4.0, 3.0, 3.5, 2.9, 3.2, 3.6, 1.0]
    model, n = Point(), 3
    average = TriggeredAverage(model, n)
    begun = None
    for t, loss in enumerate(losses):
        if begun is None and t > n and loss > min(losses[: t - n]):
            begun = t
        average.end_epoch(loss)
        assert average.runs == (begun is not None)
    assert begun == 6
    np.testing.assert_allclose(walked(average, model, PATH), PATH.mean(0), atol=1e-6)


def step(model: Any, batch: Any, state: Any) -> BatchLoss:
    return BatchLoss(((model.w - tinyseq.Tensor(batch)) ** 2).sum(), 1.0)


BATCHES = [row.astype("float32") for row in PATH[:8]]


def trainer(average: Any, folder: Path | None = None, model: Any = None) -> Trainer:
    model = model or Point()
    made = None if average is None else average(model)
    return Trainer(model, SGD(model, lr=0.1), step, average=made, directory=folder, bars=False)


def test_validation_and_the_best_epoch_take_the_average_and_training_does_not() -> None:
    plain, averaged = trainer(None), trainer(Average)
    plain.fit(BATCHES, BATCHES, epochs=2)
    averaged.fit(BATCHES, BATCHES, epochs=2)
    np.testing.assert_array_equal(plain.model.w.numpy(), averaged.model.w.numpy())
    w, means = np.zeros(3, "float32"), []
    places = []
    for _ in range(2):
        for batch in BATCHES:
            w = w - np.float32(0.1) * 2 * (w - batch)
            places.append(w)
        mean = np.mean(places, 0)
        means.append(np.mean([((mean - batch) ** 2).sum() for batch in BATCHES]))
    np.testing.assert_allclose([epoch.valid_loss for epoch in averaged.history], means, rtol=1e-5)
    assert averaged.evaluate(BATCHES) == averaged.history[-1].valid_loss
    best = int(np.argmin(means))
    averaged.restore_best()
    np.testing.assert_allclose(averaged.model.w.numpy(), np.mean(places[: 8 * (best + 1)], 0), atol=1e-6)


@pytest.mark.parametrize("average", [Average, ExponentialAverage, lambda m: TriggeredAverage(m, 1)])
def test_a_run_goes_on_from_its_checkpoint(average: Any, tmp_path: Path) -> None:
    straight = trainer(average)
    straight.fit(BATCHES, BATCHES, epochs=5)
    trainer(average, tmp_path).fit(BATCHES, BATCHES, epochs=3)
    resumed = trainer(average, tmp_path)
    resumed.resume()
    resumed.fit(BATCHES, BATCHES, epochs=5)
    assert [e.valid_loss for e in straight.history] == [e.valid_loss for e in resumed.history]
    for trained in (straight, resumed):
        trained.average.apply()  # type: ignore[union-attr]
    np.testing.assert_array_equal(straight.model.w.numpy(), resumed.model.w.numpy())


def test_a_checkpoint_of_another_kind_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    trainer(Average, tmp_path / "a").fit(BATCHES, epochs=1)
    trainer(None, tmp_path / "b").fit(BATCHES, epochs=1)
    without, given = trainer(None, tmp_path / "a"), trainer(Average, tmp_path / "b")
    for other, said in ((without, "holds averages of the Parameters"), (given, "holds no averages")):
        with pytest.raises(DataError, match=said):
            other.resume()
        assert (other.model.w.numpy() == 0).all()


def test_options_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="decay"):
        ExponentialAverage(Point(), 1.0)
    with pytest.raises(ConfigError, match="patience"):
        TriggeredAverage(Point(), 0)
    with pytest.raises(DataError, match="do not fit Average"):
        Average(Point()).load_state_dict({"updates": 1, "runs": True, "mean.other": np.zeros(2)})
