"""Plugins listed, checked and begun by the command."""

import os
import re
import runpy
import subprocess
import sys
import tomllib

import pytest

import tinyseq
from tinyseq.cli import skeleton
from tinyseq.registry import catalogue, discovery
from tinyseq.testing import check

WRONG_CELL = """
from typing import NamedTuple
import tinyseq

class State(NamedTuple):
    h: tinyseq.Tensor

class {name}(tinyseq.Cell):
    version = 3

    def __init__(self, input_size: int{more}):
        self.input_size = self.output_size = input_size

    def initial_state(self, batch_size):
        return State(self.zeros(batch_size, self.input_size))

    def step(self, x, state):
        h = {step}
        return h, State(h)
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the path, where packages can be laid as if installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv(discovery.VARIABLE, raising=False)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    monkeypatch.undo()
    catalogue.refresh()


def lay(site, package, points, **modules):
    info = site / f"{package.replace('-', '_')}-0.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.2\n")
    (info / "entry_points.txt").write_text(points)
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)
    catalogue.refresh()


def table(out):
    """The rows of a list, by their first two cells; every column begins where its title does."""
    title, *lines = out.split("\n\n")[0].splitlines()
    starts = [title.index(word) for word in ("KIND", "NAME", "VERSION", "DISTRIBUTION", "STATE")]
    rows = {}
    for line in lines:
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        assert all(line[start - 1] == " " for start in starts[1:])
        rows[cells[0], cells[1]] = cells[2:]
    return rows


def test_the_list_shows_every_plugin_and_imports_none(command, site):
    lay(site, "good", "[tinyseq.cells]\ngood = fake_good:Good\n", fake_good="raise SystemExit(9)")
    code, out, err = command("plugins")
    assert (code, err) == (0, "")
    rows = table(out)
    known = {(k, name) for k, r in catalogue.registries.items() for name in r}
    assert rows.keys() == known
    assert rows["cell", "good"] == ["-", "good 0.2", "available"]
    assert rows["layer", "linear"][1] == f"tinyseq {tinyseq.__version__}"
    assert "fake_good" not in sys.modules


def test_loading_shows_versions_and_what_is_broken_and_why(command, site):
    good = WRONG_CELL.format(name="Good", more="", step="x")
    lay(site, "good", "[tinyseq.cells]\ngood = fake_good:Good\n", fake_good=good)
    lay(site, "bad", "[tinyseq.cells]\nbad = fake_bad:Bad\n", fake_bad="import not_there")
    options = WRONG_CELL.format(name="Open", more=", **options", step="x")
    lay(site, "open", "[tinyseq.cells]\nopen = fake_open:Open\n", fake_open=options)
    lay(site, "garbled", "[tinyseq.cells]\nno equals sign\n")
    code, out, _ = command("plugins", "--load")
    rows = table(out)
    assert code == 0
    assert rows["cell", "good"] == ["3", "good 0.2", "loaded"]
    assert rows["cell", "bad"] == ["-", "bad 0.2", "broken"]
    assert rows["cell", "lstm"] == ["1", f"tinyseq {tinyseq.__version__}", "loaded"]
    assert "\ncell 'bad' from bad 0.2 could not be imported: ModuleNotFoundError: No module" in out
    assert "\ncell 'open' from open 0.2 does not meet the contract:\n" in out
    assert "TS021 constructor must not take **options" in out
    assert "garbled-0.2.dist-info cannot be read" in out
    assert {state for *_, state in rows.values()} == {"loaded", "broken"}


def test_plugins_of_other_packages_can_be_switched_off(command, site, monkeypatch):
    lay(site, "good", "[tinyseq.cells]\ngood = fake_good:Good\n")
    monkeypatch.setenv(discovery.VARIABLE, "0")
    catalogue.refresh()
    _, out, _ = command("plugins")
    assert "good" not in out
    assert "Installed packages are not looked at, because TINYSEQ_PLUGINS=0." in out


def test_fifty_packages_are_listed_in_less_than_a_third_of_a_second(site):
    for i in range(50):
        lay(site, f"fake-{i}", f"[tinyseq.cells]\ncell{i} = fake_{i}:Cell\n")
    code = (
        "import sys; sys.argv[0] = 'tinyseq'; from tinyseq.cli import main; import time;"
        "start = time.process_time(); main(['plugins']); print(time.process_time() - start, file=sys.stderr)"
    )
    env = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
        )
        assert len(table(done.stdout)) > 80
        seconds.append(float(done.stderr))
    assert min(seconds) < 0.3  # of this process: others on the machine do not count


def test_a_check_prints_the_report_and_tells_by_its_exit_code(command, site):
    code, out, err = command("plugins", "check", "rnn", "input_size=2", "hidden_size=3", "activation=relu")
    assert (code, err) == (0, "")
    assert re.match(r"RNN: \d+ of \d+ laws that apply were tried, 0 broken\n", out)
    assert "RNN(input_size=2, hidden_size=3, activation='relu')" in out
    bad = WRONG_CELL.format(name="Bad", more="", step="x.mean(axis=0, keepdims=True) + state.h")
    lay(site, "bad", "[tinyseq.cells]\nbad = fake_bad:Bad\n", fake_bad=bad)
    code, out, err = command("plugins", "check", "bad")
    assert (code, err) == (1, "")
    assert "C2 rows: " in out
    assert "Usually: " in out
    assert "If this is not what Bad reads, see the options" in out


def test_a_check_reaches_losses_heads_and_layers(command):
    ignoring = ["cross-entropy", "ignore_index=-1", "--inputs", 3, "--ignored", "-1"]
    code, out, _ = command("plugins", "check", *ignoring)
    assert code == 0
    assert "L2 ignored-targets       kept" in out
    assert command("plugins", "check", "triplet", "--mines", "--inputs", 4)[0] == 0
    assert command("plugins", "check", "adam")[0] == 0
    cell = 'cell={class="gru", input_size=3, hidden_size=4}'
    assert command("plugins", "check", "recurrent", cell, "reverse=true", "--context", "future")[0] == 0
    assert command("plugins", "check", "head:tagger", "input_size=3", "tags=4", "--inputs", 4)[0] == 0
    assert command("plugins", "check", "layer-norm", "size=3", "--inputs", 3, "--context", "position")[0] == 0


def test_a_broken_plugin_fails_and_a_wrong_question_is_refused(command, refused, site):
    lay(site, "bad", "[tinyseq.cells]\nbad = fake_bad:Bad\n", fake_bad="import not_there")
    code, out, _ = command("plugins", "check", "bad")
    assert code == 1
    assert "could not be imported: ModuleNotFoundError: No module named 'not_there'" in out
    assert "No plugin named 'lsmt'. Did you mean 'lstm'" in refused("plugins", "check", "lsmt")
    assert "needs more than sizes" in refused("plugins", "check", "recurrent")
    assert "what CrossEntropy compares: say --inputs N" in refused("plugins", "check", "cross-entropy")
    said = refused("plugins", "check", "deep")
    assert "Deep cannot be made with no arguments: Deep needs at least one layer" in said
    assert "Say KEY=VALUE for each argument" in said
    assert "expected KEY=VALUE, such as hidden_size=5" in refused("plugins", "check", "gru", "7")


@pytest.mark.parametrize("kind", skeleton.KINDS)
def test_a_new_package_is_complete_and_keeps_the_laws(command, kind, tmp_path, site, monkeypatch):
    work = tmp_path / "a folder"
    work.mkdir()
    monkeypatch.chdir(work)
    code, out, err = command("plugins", "new", kind, "new-thing")
    assert (code, err) == (0, "")
    root = work / "tinyseq-new-thing"
    written = {str(path.relative_to(work)) for path in root.rglob("*") if path.is_file()}
    assert set(out.splitlines()[:-2]) == written
    assert (
        'Try it, where tinyseq is installed: cd tinyseq-new-thing && pip install -e ".[test]" && pytest'
        in out
    )
    assert "$" not in "".join((work / path).read_text() for path in written)
    assert {path.rpartition("/")[2] for path in written} >= {"README.md", "py.typed", "test_new_thing.py"}

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == [f"tinyseq>={tinyseq.__version__}"]
    (group,) = project["entry-points"]
    points = "".join(f"{name} = {target}\n" for name, target in project["entry-points"][group].items())
    monkeypatch.syspath_prepend(root / "src")
    lay(site, "tinyseq-new-thing", f"[{group}]\n{points}")

    tests = runpy.run_path(str(root / "tests" / "test_new_thing.py"))
    tests["test_it_is_found_by_its_name"]()
    (mark,) = tests["test_new_thing"].pytestmark
    laws = [param.values for param in mark.args[1]]
    assert len(laws) >= 2
    subjects = {id(subject): subject for _, subject in laws}
    component = catalogue.registries[kind]["new-thing"]
    assert component.__name__ == ("new_thing" if kind == "initializer" else "NewThing")
    if kind not in ("metric", "optimizer", "initializer"):  # which no saved model holds
        assert (component.api, component.version) == (1, 1)
        assert len(laws) > 20
        assert len(subjects) >= 2
    for subject in subjects.values():
        options = {key: getattr(subject.declared, key) for key in ("inputs", "reference", "context")}
        options = {key: value for key, value in options.items() if value is not None}
        assert check(component, [subject.case], draws=0, **options).ok


def test_nothing_is_overwritten_and_names_must_be_names(command, refused, tmp_path, monkeypatch, site):
    monkeypatch.chdir(tmp_path)
    assert command("plugins", "new", "cell", "mgu", "--package", "tinyseq-example")[0] == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "tinyseq-example").rglob("*")}
    said = refused("plugins", "new", "loss", "other", "--package", "tinyseq-example")
    assert said == (
        "tinyseq: tinyseq-example is already there, and nothing is overwritten: move it, or use --package."
    )
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "tinyseq-example").rglob("*")} == before
    for name in ("MGU", "a b", "../x", "for", "1st", "a--b", "a_b", ""):
        assert "is named by lower-case words" in refused("plugins", "new", "cell", name)
    assert "package is named by" in refused("plugins", "new", "cell", "mgu", "--package", "../up")
    assert "already offers the cell 'lstm'" in refused("plugins", "new", "cell", "lstm")
    assert "invalid choice: 'gate'" in refused("plugins", "new", "gate", "x")
    assert {path.name for path in tmp_path.iterdir()} == {"site", "tinyseq-example"}
    (tmp_path / "site").rmdir()
    monkeypatch.setattr("pathlib.Path.mkdir", lambda *args, **options: os.stat("/none/such"))
    assert "cannot be written: No such file" in refused("plugins", "new", "cell", "mgu")


def test_names_become_classes():
    names = ["mgu", "lstm", "focal-loss", "tagger", "x"]
    assert [skeleton.class_name(name) for name in names] == ["MGU", "LSTM", "FocalLoss", "Tagger", "X"]
