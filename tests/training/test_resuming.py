"""What is written can be trusted: damage is found, a refusal changes nothing, predictions stay put."""

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.errors import DataError
from tinyseq.nn import Dropout, Embedding, Linear, SequenceModel, Sequential
from tinyseq.optim import SGD, Adam, Cosine, Optimizer, ReduceOnPlateau, Schedule
from tinyseq.training import BatchLoss, Trainer
from tinyseq.training.trainer import CHECKPOINT


def model(width: int = 4) -> SequenceModel:
    tinyseq.seed(0)
    encoder = Sequential(Dropout(0.5), tinyseq.Recurrent(tinyseq.cells["gru"](4, width)), Dropout(0.5))
    return SequenceModel(Embedding(9, 4), encoder, tinyseq.heads["classifier"](width, 3))


def data() -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        (Sequences.from_list([rng.integers(0, 9, n) for n in (5, 3)]), np.array([0, 2])) for _ in range(4)
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    trained = model()
    Trainer(trained, Adam(trained), directory=folder).fit(data(), epochs=1)
    tinyseq.save(folder / "model.safetensors", trained)
    return folder


def damaged(content: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """The content with one bit flipped, a block of zeros, two blocks exchanged, or its end missing."""
    out, size = bytearray(content), len(content)
    n = int(rng.integers(1, 64))
    a, b = (int(rng.integers(0, size - n)) for _ in range(2))
    if kind == "flip":
        out[a] ^= 1 << int(rng.integers(8))
    elif kind == "zeros":
        out[a : a + n] = bytes(n)
    elif kind == "swap":
        out[a : a + n], out[b : b + n] = content[b : b + n], content[a : a + n]
    else:
        del out[a:]
    return bytes(out)


@given(kind=st.sampled_from(["flip", "zeros", "swap", "cut"]), seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", [CHECKPOINT, "model.safetensors"])
def test_every_damage_is_found(written, tmp_path_factory, name, kind, seed):
    content = (written / name).read_bytes()
    spoilt = damaged(content, kind, np.random.default_rng(seed))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / name).write_bytes(spoilt)
    if spoilt == content:
        return
    again = model()
    trainer = Trainer(again, Adam(again), directory=folder)
    before = again.state_dict()
    with pytest.raises(DataError) as caught:
        trainer.resume() if name == CHECKPOINT else tinyseq.load(folder / name)
    assert "\n" not in str(caught.value)
    assert all(np.array_equal(before[k], v) for k, v in again.state_dict().items())


def test_without_verifying_damaged_values_are_read(written, tmp_path):
    content = bytearray((written / "model.safetensors").read_bytes())
    content[-1] ^= 1
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged: the array"):
        tinyseq.load(path)
    assert tinyseq.load(path, verify=False).parameter_count() == model().parameter_count()


def test_a_refused_resume_changes_nothing(written, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes((written / CHECKPOINT).read_bytes())
    again = model()
    optimizer = SGD(again, lr=0.25, momentum=0.5)
    trainer = Trainer(again, optimizer, schedule=Schedule(optimizer, Cosine(5)), directory=tmp_path)
    again(data()[0][0]).data.sum().backward()
    optimizer.step()
    before, rates, numbers = again.state_dict(), optimizer.state_dict(), tinyseq.random.get_state()
    with pytest.raises(DataError, match="does not fit SGD"):
        trainer.resume()
    assert all(np.array_equal(before[k], v) for k, v in again.state_dict().items())
    assert all(np.array_equal(rates[k], v) for k, v in optimizer.state_dict().items())
    assert tinyseq.random.get_state() == numbers
    assert trainer.progress.epoch == 0


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_new_rate_stays_and_is_said(tmp_path, scheduled):
    def trainer(lr: float) -> Trainer:
        made = model()
        optimizer = Adam(made, lr=lr)
        schedule = Schedule(optimizer, lambda n: 1 / (1 + n)) if scheduled else None
        return Trainer(made, optimizer, schedule=schedule, directory=tmp_path)

    trainer(0.01).fit(data(), epochs=1)
    same = trainer(0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same.resume()
    assert same.optimizer.lr == pytest.approx(0.01 / 5 if scheduled else 0.01)
    other = trainer(0.5)
    with pytest.warns(UserWarning, match=r"goes on with lr=0.5 of its optimizer, not with 0.01"):
        other.resume()
    assert other.optimizer.lr == pytest.approx(0.5 / 5 if scheduled else 0.5)


def test_numbers_of_numpy_go_into_checkpoints(tmp_path):
    made = model()
    optimizer = Adam(made, lr=np.float32(1e-3), betas=(np.float64(0.9), np.float32(0.5)))
    schedule = Schedule(optimizer, lambda n: np.float32(0.5))

    def objective(model: Any, batch: Any, state: Any) -> BatchLoss:
        return BatchLoss(model.loss(*batch), np.int64(2))

    notes = {"count": np.int32(3), "rate": np.array(0.5), "where": Path("a") / "b"}
    trainer = Trainer(made, optimizer, objective, schedule=schedule, directory=tmp_path, notes=notes)
    trainer.fit(data(), epochs=2)
    again = Trainer(made, optimizer, objective, schedule=schedule, directory=tmp_path)
    again.resume()
    assert again.history == trainer.history


class Bounded(Optimizer):
    def __init__(self, parameters: Any, lr: float = 0.1, *, bound: float | None = None) -> None:
        super().__init__(parameters, lr=lr, bound=bound)

    def update(self, w: Any, g: Any, state: Any, options: Any, step: int) -> None:
        w -= options["lr"] * g


@pytest.mark.parametrize("bound", [None, 0.5])
def test_an_option_that_is_none_is_taken_up(bound):
    state = Bounded(Linear(2, 2), bound=bound).state_dict()
    other = Bounded(Linear(2, 2), bound=0.25)
    other.load_state_dict(state)
    assert other.groups[0]["bound"] == bound


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("way", ["add_group", "append", "extend"])
def test_parameters_added_later_are_trained_and_saved(way, early):
    body, head = Linear(2, 2), Linear(2, 2)
    optimizer = Adam(head, lr=0.1)

    def step() -> None:
        for part in (body, head):
            part.zero_grad()
        head(body(Tensor(np.ones((1, 2), np.float32)))).sum().backward()
        optimizer.step()

    if not early:
        step()
    if way == "add_group":
        optimizer.add_group({"parameters": body, "lr": 0.01})
    elif way == "append":
        optimizer.groups.append({**optimizer.groups[0], "parameters": list(body.parameters()), "lr": 0.01})
    else:
        optimizer.groups[0]["parameters"].extend(body.parameters())
    before = body.weight.numpy().copy()
    step()
    moved = np.abs(body.weight.numpy() - before).max()
    assert moved == pytest.approx(0.1 if way == "extend" else 0.01, rel=1e-3)
    assert len([key for key in optimizer.state_dict() if key.startswith("steps.")]) == 4


def answers(trained: Any) -> Any:
    return trained.predict(data()[0][0]).numpy()


def test_predictions_are_never_random_unless_asked(tmp_path):
    trained = model()
    assert np.array_equal(answers(trained), answers(trained)), "before any training"
    assert trained.training, "a prediction leaves the mode as it was"
    trainer = Trainer(trained, Adam(trained))
    trainer.fit(data(), epochs=2)
    numbers = tinyseq.random.get_state()
    first = answers(trained)
    assert np.array_equal(first, answers(trained))
    assert np.array_equal(trained(data()[0][0]).data.numpy(), trained(data()[0][0]).data.numpy())
    assert tinyseq.random.get_state() == numbers
    assert not trained.predict(data()[0][0]).requires_grad
    tinyseq.save(tmp_path / "m.safetensors", trained)
    loaded = tinyseq.load(tmp_path / "m.safetensors")
    assert not loaded.training
    np.testing.assert_array_equal(answers(loaded), first)
    trained.train()
    trainer.restore_best()
    assert not trained.training


def test_an_interrupted_epoch_leaves_a_model_that_answers():
    trained = model()

    def objective(model: Any, batch: Any, state: Any) -> BatchLoss:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        Trainer(trained, Adam(trained), objective).fit(data(), epochs=1)
    assert not trained.training
    assert math.isfinite(float(answers(trained).sum()))


def run_of(directory: Path, kind: str, inputs: int = 1, schedule: str = "cosine") -> Trainer:
    net = Linear(inputs, 1)
    optimizer: Optimizer = SGD(net, lr=0.1) if kind == "sgd" else Adam(net)
    made = {
        "none": lambda: None,
        "cosine": lambda: Schedule(optimizer, Cosine(9)),
        "plateau": lambda: ReduceOnPlateau(optimizer),
    }[schedule]()

    def objective(net: Any, batch: Any, state: Any) -> BatchLoss:
        return BatchLoss(net(Tensor(np.ones((1, inputs), "f"))).sum() ** 2, 1)

    return Trainer(net, optimizer, objective, schedule=made, directory=directory)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"kind": "adam"}, "does not fit Adam"),
        ({"inputs": 2}, r"weight has shape \(1, 1\)"),
        ({"schedule": "plateau"}, "no state of ReduceOnPlateau"),
    ],
)
def test_a_run_of_other_parts_is_no_damage(tmp_path, other, said):
    run_of(tmp_path, "sgd").fit([1], epochs=2)
    with pytest.raises(DataError, match=rf"is not the checkpoint of such a run: .*{said}") as raised:
        run_of(tmp_path, **{"kind": "sgd", **other}).resume()
    assert "damaged" not in str(raised.value)


def test_a_schedule_does_not_come_or_go_in_silence(tmp_path):
    run_of(tmp_path / "with", "sgd").fit([1], epochs=2)
    trainer = run_of(tmp_path / "with", "sgd", schedule="none")
    with pytest.warns(UserWarning, match="goes on without one, at a rate of 0"):
        trainer.resume()
    run_of(tmp_path / "without", "sgd", schedule="none").fit([1], epochs=2)
    with pytest.raises(DataError, match="it has no schedule, so leave"):
        run_of(tmp_path / "without", "sgd").resume()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.25])
def test_a_figure_that_is_no_number_costs_no_epoch(tmp_path, value):
    """A perplexity may be infinite, a rate over nothing is NaN, and JSON has neither."""

    def trainer() -> Trainer:
        made = run_of(tmp_path, "sgd")

        def evaluate(valid: Any) -> float:
            made.measured = {"figure": value}
            return 1.0

        made.evaluate = evaluate  # type: ignore[method-assign]
        return made

    whole = trainer()
    whole.fit([1], [1], epochs=2)
    again = trainer()
    again.resume()
    np.testing.assert_equal(again.history[-1].metrics, {"figure": value})
    assert len(again.fit([1], [1], epochs=3)) == 3
