"""What a newcomer's installation must look like."""

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, **env},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("group", sorted(PROJECT["entry-points"]))
def test_installed_entry_points_are_those_of_pyproject(group):
    found = importlib.metadata.entry_points(group=group)
    installed = {p.name: p.value for p in found if p.dist.name == "tinyseq"}
    assert installed == PROJECT["entry-points"][group], (
        'the installation is stale: pip install -e ".[test]" again'
    )


@pytest.mark.parametrize("group", sorted(PROJECT["entry-points"]))
def test_every_entry_point_loads(group):
    for name in PROJECT["entry-points"][group]:
        (point,) = importlib.metadata.entry_points(group=group, name=name)
        assert callable(point.load())


def test_core_dependencies_are_three():
    names = {requirement.split(">")[0] for requirement in PROJECT["dependencies"]}
    assert names == {"numpy", "safetensors", "tqdm"}


def test_importing_tinyseq_imports_no_plugin_and_no_optional_package():
    loaded = run("import sys, tinyseq; print(*sorted({name.split('.')[0] for name in sys.modules}))").split()
    unwanted = {"cupy", "numba", "torch", "matplotlib", "tqdm", "hypothesis", "pytest"}
    assert not unwanted & set(loaded)
    assert not [name for name in loaded if name.startswith("tinyseq_")]


def test_the_repository_root_does_not_leak_into_the_interpreter():
    run(
        "import importlib.util as u, tinyseq_cells;"
        "assert u.find_spec('plugins') is None, 'plugins/ is importable'; assert u.find_spec('docs') is None"
    )


def test_no_file_is_too_long_to_read_in_one_sitting():
    tracked = subprocess.run(
        ["git", "ls-files", "*.py", "*.cpp", "*.h"], cwd=ROOT, capture_output=True, text=True
    )
    if tracked.returncode:
        pytest.skip("not a git checkout: the list of files comes from git")
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in tracked.stdout.split()}
    assert {name: n for name, n in lengths.items() if n > 400} == {}
