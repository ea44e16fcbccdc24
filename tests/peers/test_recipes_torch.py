"""Each recipe's model and its twin in PyTorch are the same: loss, gradients and the place of dropout."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq.nn import Dropout
from tinyseq.optim import clip_grad_norm
from tinyseq.training import Outcome
from tinyseq.training.objectives import whole_sequences

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")

SMALL: dict[str, dict[str, Any]] = {
    "adding-problem": {"steps": 12, "hidden": 8},
    "copy-memory": {"pause": 6, "hidden": 8},
    "duplicate-questions": {"examples": 300},
    "grapheme-to-phoneme": {"examples": 100, "hidden": 16, "beam": 2},
    "image-to-word": {"examples": 200},
    "language-to-name": {"examples": 300},
    "music": {"examples": 20},
    "names-by-language": {"examples": 300},
    "ner": {"examples": 100},
    "next-character": {"characters": 20_000},
    "one-shot": {"examples": 60, "margin": 0.02},  # so that not every triplet costs something
    "pos-tagging": {"examples": 100},
    "reply": {"examples": 100, "hidden": 16},
    "sentiment": {"examples": 200},
    "slot-filling": {"examples": 200},
    "speech": {"examples": 150, "beam": 2},
    "translation": {"examples": 100, "hidden": 16, "beam": 2},
    "word-lm": {"words": 10_000},
}


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    from tests.benchmarks import torch_twin

    torch.set_default_dtype(torch.float64)
    yield torch_twin
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def scaling_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """In training, dropout multiplies by 1 + p on both sides: in another place it gives another loss."""
    monkeypatch.setattr(Dropout, "_drop", lambda self, x: x * (1 + self.p))
    scale = lambda self, x: x * (1 + self.p) if self.training else x
    monkeypatch.setattr(torch.nn.Dropout, "forward", scale)


def recipe_losses(twin: Any, name: str) -> int:
    """Compare the first two batches of every model of a recipe, in both modes; how many models there are."""
    compared = 0

    class Compare:
        def __init__(self, model: Any, optimizer: Any, objective: Any = whole_sequences, **_: Any) -> None:
            self.model, self.objective, self.history = model.to("float64"), objective, []
            rng = np.random.default_rng(0)
            for parameter in model.parameters():  # biases that are 0 would hide a mistake
                parameter.data[...] += 0.1 * rng.normal(size=parameter.shape)
                parameter.changed()

        def fit(self, batches: Any, valid: Any = None, **_: Any) -> None:
            nonlocal compared
            twins = twin.Twins()
            theirs = twins(self.model)
            before = self.model.state_dict()
            for training in (False, True):
                self.model.train(training)
                theirs.train(training)
                state = their_state = None
                for batch in islice(batches, 2):
                    loss, targets, state = self.objective(self.model, batch, state)[:3]
                    peer, their_targets, their_state = self.objective(
                        theirs, twin.as_torch(batch), their_state
                    )[:3]
                    assert targets == their_targets
                    assert loss.item() == pytest.approx(peer.item(), rel=1e-10)
                    self.model.zero_grad()
                    theirs.zero_grad()
                    loss.backward()
                    peer.backward()
                    state = None if state is None else tinyseq.detach(state)
                    their_state = twin.detached(their_state)
                    # before the links, as it sees also what none of them leads to
                    norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), np.inf)
                    assert clip_grad_norm(self.model, np.inf) == pytest.approx(norm.item(), rel=1e-9)
                    for link in twins.links:
                        wanted = link.back(link.theirs.grad)
                        np.testing.assert_allclose(link.ours.grad.numpy(), wanted, rtol=1e-7, atol=1e-10)
            assert {id(link.ours) for link in twins.links} == {id(p) for p in self.model.parameters()}
            trained = sum(p.numel() for p in theirs.parameters() if p.requires_grad)
            frozen = sum(2 * cell.hidden_size for cell in self.model.modules() if hasattr(cell, "b_h"))
            assert trained - frozen == self.model.parameter_count()
            twins.write()
            for path, value in self.model.state_dict().items():
                np.testing.assert_array_equal(value, before[path])
            self.model.to("float32")
            compared += 1

        def evaluate(self, batches: Any) -> float:
            return 0.0

        def restore_best(self) -> None:
            pass

    with twin.training_by(Compare), twin.gru_of_torch():
        tinyseq.recipes[name](None, **SMALL[name])
    return compared


@pytest.mark.parametrize("name", list(tinyseq.recipes))
@pytest.mark.usefixtures("scaling_dropout")
def test_the_twin_of_a_recipe_has_its_loss_and_gradients(twin: Any, name: str) -> None:
    expected = {"adding-problem": 4, "copy-memory": 4, "sentiment": 4, "music": 2, "speech": 2}
    assert recipe_losses(twin, name) == expected.get(name, 1)


@pytest.mark.parametrize("name", ["next-character", "copy-memory"])
def test_without_dropout_the_whole_training_is_the_same(
    twin: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same initial values and batches: losses and figures after two epochs, restored and decoded."""
    torch.set_default_dtype(torch.float32)

    def without_a_draw(*args: Any, **options: Any) -> Any:
        numbers = tinyseq.random.get_state()
        trainer = twin.TorchTrainer(*args, **options)
        tinyseq.random.set_state(numbers)
        return trainer

    found = []
    for trainer in (twin.TimedTrainer, without_a_draw):
        with twin.training_by(trainer), twin.gru_of_torch():
            found.append(tinyseq.recipes[name](None, **SMALL[name], epochs=2))
    for ours, theirs in zip(*found, strict=True):
        assert ours.losses == pytest.approx(theirs.losses, rel=1e-4)
        assert ours.value == pytest.approx(theirs.value, rel=1e-4)


def test_a_recipe_trains_by_torch_and_all_is_put_back(twin: Any) -> None:
    torch.set_default_dtype(torch.float32)
    recipe = tinyseq.recipes["names-by-language"]
    options: dict[str, Any] = {"examples": 600, "epochs": 4}
    with twin.training_by(twin.TorchTrainer), twin.gru_of_torch():
        (outcome,) = recipe(None, **options)
    assert outcome.losses[-1] < 0.7 * outcome.losses[0], "it learns"
    assert outcome.value > 0.4
    module = sys.modules["tinyseq_recipes.names_by_language"]
    assert module.Trainer is tinyseq.training.Trainer
    assert tinyseq.cells["gru"](2, 3).reset == "before"


def test_the_verdict_on_a_figure(twin: Any) -> None:
    """Twice the standard error of a difference of means, by Student's t; which way is better counts."""
    from tests.benchmarks.parity_tasks import Run, Task, compared

    def row(ours: list[float], theirs: list[float], lower: bool = False) -> dict[str, Any]:
        runs = [
            [Run(Outcome("gru", "figure", value, 0.5, lower), seconds) for value in values]
            for values, seconds in ((ours, 2.0), (theirs, 3.0))
        ]
        return compared(Task("recipe", None), *runs)

    near = row([0.7, 0.8, 0.9], [0.75, 0.85, 0.95])
    assert near["noise"] == pytest.approx(2.776 * 0.1 * (2 / 3) ** 0.5)  # both sides scatter by 0.1
    assert (near["verdict"], near["ratio"], near["beats_baseline"]) == ("alike", 1.5, [True, True])
    assert row([0.7, 0.71, 0.72], [0.8, 0.81, 0.82])["verdict"] == "behind"
    assert row([0.7, 0.71, 0.72], [0.8, 0.81, 0.82], lower=True)["verdict"] == "ahead"
    assert row([0.4, 0.41], [0.6, 0.61])["beats_baseline"] == [False, True]
    assert row([0.7], [0.2])["verdict"] == "?", "one seed says nothing about the noise"
