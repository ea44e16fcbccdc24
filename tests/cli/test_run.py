"""tinyseq run: the list, the options, and a recipe of one's own."""

from pathlib import Path
from typing import Any

import pytest

import tinyseq
from tinyseq.cli import main
from tinyseq.registry import recipes

SEEN: list[Any] = []


def count(data: Path | None = None, *, limit: int = 3, rate: float = 0.5, name: str = "a") -> None:
    """Count a little.

    Data: anything.
    """
    SEEN.append((data, limit, rate, name))
    print("baseline: 0")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "_registered", dict(recipes._registered))
    tinyseq.register("recipe", "count")(count)
    SEEN.clear()


def run(*arguments: str) -> Any:
    try:
        return main(["run", *arguments])
    except SystemExit as stop:  # argparse
        return stop.code


def test_one_recipe_a_line_name_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    lines = capsys.readouterr().out.strip().split("\n")
    assert [line.split()[0] for line in lines] == sorted(recipes)
    assert next(line for line in lines if line.startswith("count ")).split(maxsplit=1)[1] == "Count a little."


def test_a_broken_recipe_is_listed_with_its_cause(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = recipes.find("ner")
    monkeypatch.setattr(entry, "failure", "recipe 'ner' could not be imported")
    assert run("--list") == 0
    assert "broken: recipe 'ner' could not be imported" in capsys.readouterr().out


def test_options_reach_the_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt.gz").write_bytes(b"")
    assert run("count", "--data", str(tmp_path / "a.txt"), "--set", "limit=5", "--set", "rate=1") == 0
    assert run("count", "--set", "name=some text", "--set", "name=other") == 0
    first, second = SEEN
    assert first == (tmp_path / "a.txt", 5, 1, "a")
    assert second == (None, 3, 0.5, "other")
    assert capsys.readouterr().out.startswith("baseline: 0\nin 0 s\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Which recipe? tinyseq run --list shows them."),
        (["cuont"], "No recipe named 'cuont'. Did you mean 'count'?"),
        (["count", "--set", "limt=4"], "count has no option 'limt'. Did you mean 'limit'? Its options: "),
        (["count", "--set", "limit=many"], "count: limit must be a whole number, not 'many'."),
        (["count", "--set", "limit"], "expected KEY=VALUE, such as epochs=5, not 'limit'"),
        (["count", "--data", "nowhere"], "There is no nowhere to read data from: check the path."),
        (["adding-problem", "--data", "."], "makes its data up: leave out --data."),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err
    assert not SEEN
