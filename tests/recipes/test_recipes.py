"""Every recipe, at a size of seconds: it learns, a seed is one run, and its baseline is printed first."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import tinyseq
from tinyseq.registry import recipes
from tinyseq.training import Outcome

MINE = [record.name for record in recipes.records() if record.distribution.startswith("tinyseq ")]

# Options that make each recipe small, and the figures that must be better than the baseline's even so.
SMALL: dict[str, tuple[dict[str, Any], set[str]]] = {
    "adding-problem": ({"steps": 8, "hidden": 16, "epochs": 4, "updates": 40}, {"irnn", "gru"}),
    "copy-memory": (
        {"length": 1, "pause": 3, "hidden": 16, "epochs": 4, "updates": 50, "lr": 1e-2},
        {"gru", "lstm"},
    ),
    "duplicate-questions": (
        {"examples": 600, "epochs": 6, "embedding": 16, "hidden": 16, "lr": 1e-2},
        {"siamese bigru"},
    ),
    "grapheme-to-phoneme": (
        {"examples": 400, "epochs": 4, "batch": 16, "embedding": 16, "hidden": 32, "lr": 1e-2},
        {"gru, general attention, beam 5"},
    ),
    "image-to-word": (
        {"examples": 600, "epochs": 4, "batch": 16, "vision": 48, "hidden": 24, "lr": 1e-2},
        {"gru"},
    ),
    "language-to-name": ({"examples": 300, "epochs": 4, "hidden": 24, "lr": 1e-2}, set()),
    "music": ({"examples": 30, "epochs": 4, "hidden": 32, "lr": 1e-2}, set()),
    "names-by-language": ({"examples": 500, "epochs": 6, "hidden": 24, "lr": 1e-2}, {"gru"}),
    "ner": ({"examples": 200, "epochs": 4, "embedding": 16, "hidden": 12, "lr": 1e-2}, {"bilstm-crf"}),
    "next-character": ({"characters": 4000, "epochs": 3, "batch": 8, "hidden": 24, "lr": 1e-2}, set()),
    "one-shot": ({"examples": 50, "epochs": 3, "steps": 20, "batch": 12, "hidden": 16, "lr": 1e-2}, set()),
    "pos-tagging": (
        {"examples": 200, "epochs": 4, "batch": 4, "embedding": 16, "hidden": 12, "lr": 1e-2},
        {"bilstm"},
    ),
    "reply": (
        {"examples": 300, "epochs": 4, "batch": 16, "embedding": 16, "hidden": 32, "lr": 1e-2},
        set(),
    ),
    "sentiment": ({"examples": 300, "epochs": 6, "embedding": 16, "hidden": 12, "lr": 1e-2}, {"gru"}),
    "slot-filling": (
        {"examples": 200, "epochs": 6, "batch": 4, "embedding": 16, "hidden": 12, "lr": 1e-2},
        {"bilstm"},
    ),
    "speech": (
        {"examples": 250, "epochs": 3, "steps": 12, "most": 3, "stack": 2, "hidden": 24, "lr": 2e-2},
        {"bigru, beam 8"},
    ),
    "translation": (
        {"examples": 300, "epochs": 5, "batch": 16, "embedding": 16, "hidden": 32, "lr": 1e-2},
        set(),
    ),
    "word-lm": ({"words": 2000, "epochs": 2, "batch": 4, "window": 16, "hidden": 16, "lr": 1e-2}, set()),
}


@pytest.mark.parametrize("name", MINE)
def test_it_learns_and_prints_its_baseline_first(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    options, winners = SMALL[name]
    outcomes = recipes[name](None, **options)
    assert outcomes
    assert all(isinstance(outcome, Outcome) for outcome in outcomes)
    assert winners <= {outcome.model for outcome in outcomes}
    for outcome in outcomes:
        assert outcome.losses[-1] < outcome.losses[0], outcome
        if outcome.model in winners and outcome.baseline < 1:  # an accuracy of 1 cannot be beaten
            assert outcome.beats_baseline, outcome
    printed = capsys.readouterr().out
    assert 0 <= printed.index("baseline") < printed.index("epoch  1") < printed.rindex("test   ")
    assert all(f"test   {outcome}" in printed for outcome in outcomes)
    if "gram, " in printed:  # counts take memory, which is said beside the model's
        baseline, model = (
            re.search(rf"^{who}: .*, \d+\.\d MB$", printed, re.M) for who in ("baseline", "model")
        )
        assert baseline
        assert model


@pytest.mark.parametrize("name", MINE)
def test_a_seed_is_one_run(name: str) -> None:
    options = {**SMALL[name][0], "epochs": 1}
    recipe = recipes[name]
    first = recipe(None, **options)
    tinyseq.seed(99)  # what was drawn before does not matter
    assert recipe(None, **options) == first
    assert [o.losses for o in recipe(None, **options, seed=1)] != [o.losses for o in first]


@pytest.mark.parametrize("name", MINE)
def test_it_says_what_it_is_and_what_it_takes(name: str) -> None:
    recipe: Callable[..., Any] = recipes[name]
    first, _, rest = (inspect.getdoc(recipe) or "").partition("\n")
    assert first.endswith(".")
    assert len(first) <= 80
    assert "data" in rest.lower()
    data, *options = inspect.signature(recipe).parameters.values()
    assert (data.name, data.default, get_type_hints(recipe)["data"]) == ("data", None, Path | None)
    assert all(option.kind is option.KEYWORD_ONLY for option in options)
    assert {"seed", "epochs"} <= {option.name for option in options}
    assert len(inspect.getsource(inspect.getmodule(recipe))) < 8000  # one page, read in one sitting
    assert len(inspect.getdoc(inspect.getmodule(recipe)) or "") > 200  # which teaches


def test_every_recipe_is_tried_here_and_has_its_section_in_the_documentation() -> None:
    assert sorted(SMALL) == sorted(MINE)
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    for name in MINE:
        assert f"## {name}\n" in page
        assert f"tinyseq run {name}" in page
