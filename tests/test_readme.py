"""What the README says is so: its code runs, its commands are the gate's, its names and links exist."""

import re
import tomllib
from pathlib import Path

import pytest

import tinyseq
from tinyseq.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)
    assert found, f"the README has no {language} block"
    return found


def test_the_code_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tinyseq.cells, "_registered", {})
    exec(compile("\n".join(blocks("python")), "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert [line[:9] for line in out.splitlines()[:2]] == ["epoch 1: ", "epoch 2: "]
    assert "(2, 5)" in out
    assert ", 0 broken" in out


def test_the_two_commands_are_those_of_the_gate():
    wanted = re.findall(r"grep -m1 -x '([^']+)' README\.md", (ROOT / ".ci" / "run").read_text())
    assert len(wanted) == 2
    commands = "".join(blocks("sh")).splitlines()
    for pattern in wanted:  # a basic regular expression of grep
        literal = re.sub(r"\\([.\[\]])", r"\1", pattern)
        assert literal in commands


def test_the_commands_have_options_that_exist(capsys):
    for line in "".join(blocks("sh")).splitlines():
        if line.startswith("tinyseq "):
            with pytest.raises(SystemExit) as stop:
                main([*line.split()[1:2], "--help"])
            assert stop.value.code == 0
            known = capsys.readouterr().out
            assert set(re.findall(r"--[a-z-]+", line)) <= set(re.findall(r"--[a-z-]+", known))


@pytest.mark.parametrize("kind", ["cells", "wrappers", "layers", "losses", "heads", "optimizers"])
def test_every_name_in_the_table_is_registered(kind):
    (row,) = re.findall(rf"^\| {kind} \| (.*) \|$", README, re.M)
    names = re.findall(r"`([a-z-]+)`", row)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(names) == set(project["entry-points"][f"tinyseq.{kind}"])


def test_every_public_name_in_the_table_is_there():
    (row,) = re.findall(r"^\| engine \| (.*) \|$", README, re.M)
    for name in re.findall(r"`(\w+)`", row):
        assert hasattr(tinyseq, name) or hasattr(tinyseq.Tensor, name), name


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.stem)
def test_every_link_into_the_repository_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (ROOT / target).exists(), target


def test_the_map_shows_the_floors_as_they_are():
    (floors,) = (
        contract["layers"]
        for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
            "contracts"
        ]
        if contract["name"].startswith("imports only go down")
    )
    rooms = [re.sub(r"tinyseq\.", "", room) for floor in floors for room in floor.split(" | ")]
    drawn = (ROOT / "CONTRIBUTING.md").read_text().split("## Where to add")[0]
    rows = re.findall(r"^\| (\[.*?) \|", drawn, re.M)
    shown = [room for row in rows for room in re.findall(r"\[(\w+)\]", row)]
    assert sorted(shown) == sorted(rooms)
    assert [rooms.index(room) for room in shown] == sorted(map(rooms.index, shown))
