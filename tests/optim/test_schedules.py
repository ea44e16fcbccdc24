"""Learning rates over time: values, counts, and states that resume."""

import inspect
import json
import math

import numpy as np
import pytest

from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Parameter
from tinyseq.optim import (
    SGD,
    Constant,
    Cosine,
    Exponential,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    Warmup,
)


def optimizer(*rates: float) -> SGD:
    return SGD([{"parameters": [Parameter(np.ones(1))], "lr": rate} for rate in rates])


@pytest.mark.parametrize(
    ("factor", "values"),
    [
        (Constant(), [1, 1, 1, 1]),
        (StepDecay(2, 0.5), [1, 1, 0.5, 0.5, 0.25]),
        (StepDecay(3), [1, 1, 1, 0.1, 0.1, 0.1, 0.01]),
        (Exponential(0.9), [1, 0.9, 0.81, 0.729]),
        (Cosine(4), [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0, 0, 0]),
        (Cosine(2, floor=0.2), [1, 0.6, 0.2, 0.2]),
        (Warmup(4), [0.25, 0.5, 0.75, 1, 1, 1]),
        (Warmup(2, then=Exponential(0.5)), [0.5, 1, 1, 0.5, 0.25]),
        (lambda count: 10.0 - count, [10, 9, 8]),
    ],
    ids=lambda value: "function" if inspect.isfunction(value) else str(value),  # which has an address
)
def test_values(factor: object, values: list[float]) -> None:
    trained = optimizer(2.0, 0.5)
    schedule = Schedule(trained, factor)  # type: ignore[arg-type]
    for value in values:
        assert [group["lr"] for group in trained.groups] == pytest.approx([2 * value, 0.5 * value])
        schedule.step()
    assert schedule.count == len(values)


def test_schedules_resume() -> None:
    whole, half = optimizer(1.0), optimizer(1.0)
    first, second = Schedule(whole, Cosine(9)), Schedule(half, Cosine(9))
    for _ in range(4):
        first.step()
        second.step()
    saved = json.loads(json.dumps(second.state_dict()))
    resumed = optimizer(half.lr)  # as it is when the optimiser's state is loaded first
    third = Schedule(resumed, Cosine(9))
    third.load_state_dict(saved)
    for _ in range(3):
        assert resumed.lr == whole.lr
        first.step()
        third.step()


def test_a_plateau_reduces_after_more_than_patience() -> None:
    trained = optimizer(1.0, 4.0)
    schedule = ReduceOnPlateau(trained, factor=0.5, patience=1, threshold=0.1, min_lr=0.3)
    rates = []
    for value in [1.0, 0.5, 0.45, 0.41, 0.39, float("nan"), 0.5, 0.5, 0.5]:
        schedule.step(value)
        rates.append(trained.lr)
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3]
    assert trained.groups[1]["lr"] == 0.5


def test_a_plateau_of_what_should_grow() -> None:
    trained = optimizer(1.0)
    schedule = ReduceOnPlateau(trained, factor=0.5, patience=0, mode="max")
    for value, rate in [(0.5, 1.0), (0.6, 1.0), (0.6, 0.5), (-1.0, 0.25), (0.7, 0.25)]:
        schedule.step(value)
        assert trained.lr == rate


@pytest.mark.parametrize("reports", [0, 3])
def test_plateaus_resume(reports: int) -> None:
    values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    whole = optimizer(1.0)
    first = ReduceOnPlateau(whole, factor=0.5, patience=2)
    for value in values[:reports]:
        first.step(value)
    resumed = optimizer(whole.lr)
    second = ReduceOnPlateau(resumed, factor=0.5, patience=2)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for value in values[reports:]:
        first.step(value)
        second.step(value)
        assert resumed.lr == whole.lr
    assert whole.lr < 1


def test_states_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="saved with 2 groups, but the optimiser has 1"):
        Schedule(optimizer(1.0), Constant()).load_state_dict(
            Schedule(optimizer(1.0, 1.0), Constant()).state_dict()
        )
    with pytest.raises(DataError, match=r"no state of Schedule, which has \['base', 'count'\]"):
        Schedule(optimizer(1.0), Constant()).load_state_dict({"count": "3", "base": [1.0]})
    with pytest.raises(DataError, match=r"no state of ReduceOnPlateau, which has \['best', 'waited'\]"):
        ReduceOnPlateau(optimizer(1.0)).load_state_dict({"best": 1.0})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDecay(0), r"StepDecay\(every=0\): it must be above 0"),
        (lambda: Exponential(-1.0), r"Exponential\(factor=-1\.0\)"),
        (lambda: Cosine(0), r"Cosine\(total=0\)"),
        (lambda: Warmup(-3), r"Warmup\(total=-3\)"),
        (lambda: ReduceOnPlateau(optimizer(1.0), mode="least"), r"mode='least'\): choose 'min' or 'max'"),
        (lambda: ReduceOnPlateau(optimizer(1.0), factor=1.0), r"factor=1\.0, patience=10\): the factor"),
        (lambda: ReduceOnPlateau(optimizer(1.0), patience=-1), r"patience=-1\): the factor"),
    ],
)
def test_options_without_sense_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]
