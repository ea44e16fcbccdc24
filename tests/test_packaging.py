"""What a newcomer's installation must look like."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
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


@pytest.mark.parametrize("package", ["tinyseq", "tinyseq_cells"])
def test_the_package_is_found_without_running_an_import_hook(package):
    """Editors and type checkers look through the folders of the path, and run nothing."""
    run(
        "from importlib.machinery import PathFinder;"
        f"assert PathFinder.find_spec({package!r}), 'only an import hook finds it: pip install -e . again'"
    )


def test_no_file_is_too_long_to_read_in_one_sitting():
    tracked = subprocess.run(
        ["git", "ls-files", "*.py", "*.cpp", "*.h"], cwd=ROOT, capture_output=True, text=True
    )
    if tracked.returncode:
        pytest.skip("not a git checkout: the list of files comes from git")
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in tracked.stdout.split()}
    assert {name: n for name, n in lengths.items() if n > 400} == {}


def test_nothing_is_defined_that_nobody_names():
    """Functions and classes whose name stands nowhere else, in code, tests, docs or entry points."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: the list of files comes from git")
    texts = {
        name: (ROOT / name).read_text(encoding="utf-8")
        for name in listed.stdout.split()
        if name.endswith((".py", ".md", ".toml", ".txt"))
    }
    named = Counter(word for text in texts.values() for word in re.findall(r"\w+", text))
    dead = [
        f"{name}:{node.lineno} {node.name}"
        for name, text in texts.items()
        if name.startswith(("tinyseq/", "plugins/")) and name.endswith(".py")
        if name != "tinyseq/interop/runtime.py"  # the names of its functions are put together from parts
        for scope in ast.walk(ast.parse(text))
        if isinstance(scope, ast.Module | ast.ClassDef)
        for node in scope.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list
        if isinstance(scope, ast.Module)
        or re.match("_[a-z]", node.name)  # public methods may be called by others
        if named[node.name] == 1
    ]
    assert dead == []


def test_the_readme_of_a_package_has_links_that_lead_somewhere_from_elsewhere(tmp_path):
    built = f"from hatchling.build import prepare_metadata_for_build_wheel as p; print(p({str(tmp_path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", built], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = (tmp_path / done.stdout.split()[-1] / "METADATA").read_text(encoding="utf-8")
    source = PROJECT["urls"]["Source"]
    text = shown.partition("\n\n")[2]
    links = re.findall(r"\]\(([^)#]+)", text)
    local = [link for link in links if link.startswith(source)]
    assert len(local) > 10
    for link in local:
        kind, branch, path = link.removeprefix(f"{source}/").split("/", 2)
        assert (kind, branch) == ("raw" if path.endswith(".svg") else "blob", "main")
        assert (ROOT / path).is_file()
    assert all(link.startswith("https://") for link in links)
    assert re.sub(rf"{source}/(blob|raw)/main/", "", text) == (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_source_distribution_can_be_built_from(tmp_path):
    code = f"""
import os, sys, tarfile
from hatchling.build import build_sdist, prepare_metadata_for_build_wheel
folder = {str(tmp_path)!r}
name = build_sdist(folder)
tarfile.open(os.path.join(folder, name)).extractall(folder, filter="data")
os.chdir(os.path.join(folder, name.removesuffix(".tar.gz")))
print(prepare_metadata_for_build_wheel(folder))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / done.stdout.split()[-1] / "METADATA").is_file()
