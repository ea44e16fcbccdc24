"""A run file with ranges: mistakes have lines, killed trials go on bit for bit, the best can be run again."""

import json
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import pytest

import tinyseq
from tinyseq.registry.run_file import check
from tinyseq.registry.sweep_file import filled, read, toml_text

RANGES = """
[sweep]
trials = 4
directory = "sweep"

[sweep.ranges]
width = { low = 4, high = 8, step = 2 }
rate = { low = 1e-3, high = 1e-1, log = true }
cell = { choices = ["gru", "rnn"] }
"""
CHANGES = {
    "hidden_size = 8": 'hidden_size = "sweep.width"',
    "input_size = 8": 'input_size = "sweep.width"',
    "lr = 2e-3": 'lr = "sweep.rate"',
    'class = "gru"': 'class = "sweep.cell"',
    "epochs = 2": "epochs = 3",
}


@pytest.fixture
def sweep_file(file):
    found = file.with_name("sweep.toml")
    found.write_text(file.read_text() + RANGES)
    change(found, CHANGES)
    return found


def change(file, changes):
    for old, new in changes.items():
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))


@pytest.fixture
def optuna(monkeypatch):
    monkeypatch.setenv("TINYSEQ_EMITTER", "numpy")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return pytest.importorskip("optuna", reason="needs the extra sweep")


def weights(folder):
    return json.loads((folder / "receipt.json").read_text())["weights"]


def assert_is_a_run_of_its_own(command, trial, beside):
    """Trained by its run file alone, it has the same weights."""
    beside.mkdir()
    run = (trial / "run.toml").read_text().replace("../../text.txt", "../text.txt")
    (beside / "run.toml").write_text(run)
    assert command("train", beside / "run.toml")[0] == 0
    assert weights(beside) == weights(trial)


def test_trials_leave_receipts_and_the_best_a_run_file(command, sweep_file, optuna):
    code, out, err = command("sweep", sweep_file, "--processes", 2)
    assert (code, err) == (0, "")
    folder = sweep_file.parent / "sweep"
    assert sorted(path.name for path in folder.glob("0*")) == ["0000", "0001", "0002", "0003"]
    assert all(len(weights(folder / f"000{i}")) == 64 for i in range(4))
    _, table = out.split("\n\n", 1)
    rows = [line.split() for line in table.splitlines()[1:5]]
    figures = [float(row[4]) for row in rows if len(row) == 7]
    assert figures == sorted(figures)
    assert f"best           trial {rows[0][0]}, in {folder}" in out
    assert check(folder / "best.toml") == []
    best = tomllib.loads((folder / "best.toml").read_text())
    trial = tomllib.loads((folder / f"{int(rows[0][0]):04}" / "run.toml").read_text())
    assert {**best["training"], "directory": "."} == trial["training"]
    assert best["model"] == trial["model"]
    tinyseq.load(folder / f"{int(rows[0][0]):04}" / "model.safetensors")
    assert_is_a_run_of_its_own(command, folder / "0001", sweep_file.parent / "again")
    assert "already holds a sweep" in command("sweep", sweep_file)[2]
    sweep_file.write_text(sweep_file.read_text().replace("high = 8", "high = 6"))
    assert "has changed in more than trials" in command("sweep", sweep_file, "--resume")[2]


def test_a_killed_sweep_goes_on_with_its_trials_bit_for_bit(command, sweep_file, optuna):
    change(sweep_file, {"epochs = 3": "epochs = 8", "trials = 4": "trials = 3\nprune = false"})
    folder = sweep_file.parent / "sweep"
    words = [sys.executable, "-m", "tinyseq", "sweep", str(sweep_file)]

    def written():
        return sum(file.stat().st_size for file in folder.glob("*/log.txt"))

    for number in (signal.SIGKILL, signal.SIGTERM):
        before = written()
        resume = ["--resume"] if before else []
        with subprocess.Popen([*words, *resume], stdout=-1, stderr=-1) as job:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and written() == before:  # until a trial has begun
                time.sleep(0.02)
            time.sleep(0.2)
            job.send_signal(number)
        assert job.returncode == -number
    code, out, err = command("sweep", sweep_file, "--resume")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in folder.glob("0*")) == ["0000", "0001", "0002"]
    assert "failed" not in out
    logs = [(folder / f"000{i}" / "log.txt").read_text() for i in range(3)]
    resumed = next(i for i in range(3) if "goes on in epoch" in logs[i])
    assert_is_a_run_of_its_own(command, folder / f"000{resumed}", sweep_file.parent / "again")


def test_a_trial_that_fails_is_told_and_the_others_go_on(command, sweep_file, optuna):
    change(sweep_file, {"{ low = 1e-3, high = 1e-1, log = true }": "{ choices = [1e-2, 1e300] }"})
    change(sweep_file, {"trials = 4": "trials = 6\nseed = 1", "epochs = 3": "epochs = 1"})
    code, out, _ = command("sweep", sweep_file)
    assert code == 0
    assert "rate = 1e+300, " in out
    assert "failed: The " in out


def test_a_journal_without_its_end_is_mended(command, sweep_file, optuna):
    change(sweep_file, {"trials = 4": "trials = 1", "epochs = 3": "epochs = 1"})
    assert command("sweep", sweep_file)[0] == 0
    journal = sweep_file.parent / "sweep" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "work')
    code, out, err = command("sweep", sweep_file, "--resume")
    assert (code, err) == (0, "")
    assert "best           trial 0" in out


def test_every_mistake_has_its_line(refused, sweep_file):
    text = sweep_file.read_text()
    for old, new, said in [
        ("trials = 4", "trials = 0", "sweep.trials: must be 1 or more, not 0."),
        ("low = 4, high = 8", "low = 8, high = 8", "sweep.ranges.width: low must be below high"),
        ("low = 1e-3", "low = 0.0", "sweep.ranges.rate: low must be below high"),
        ("low = 1e-3", 'low = "1e-3"', "sweep.ranges.rate: must be { low = ..., high = ... }"),
        ('choices = ["gru", "rnn"]', "choices = []", "sweep.ranges.cell: choices stand alone"),
        ('choices = ["gru", "rnn"]', 'choices = ["gru", "rn"]', "'rn'"),
        ('lr = "sweep.rate"', "lr = 0.1", 'sweep.ranges.rate: nothing says "sweep.rate".'),
        (
            'hidden_size = "sweep.width"',
            'hidden_size = "sweep.with"',
            "There is no range 'with'. Did you mean 'width'?",
        ),
        ("low = 4, high", "low = -4, high", "(with width = -4, rate = 0.001, cell = 'gru')"),
        ("[sweep]", "[sweeps]", "sweeps: is no part of a run."),
    ]:
        assert old in text
        sweep_file.write_text(text.replace(old, new))
        error = refused("sweep", sweep_file)
        assert said in error, error
        assert "sweep.toml, line " in error
    assert not (sweep_file.parent / "sweep").exists()


def test_without_a_sweep_there_is_nothing_to_resume(refused, sweep_file, optuna):
    assert "There is no sweep in" in refused("sweep", sweep_file, "--resume")


def test_without_the_extra_it_is_named(refused, sweep_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'tinyseq[sweep]'" in refused("sweep", sweep_file)


def test_the_run_file_of_a_trial_is_the_document_with_its_values(sweep_file):
    sweep = read(sweep_file)
    values = {"width": 6, "rate": 0.5, "cell": "rnn"}
    shown = toml_text(filled(sweep.document, values))
    assert tomllib.loads(shown) == filled(sweep.document, values)
    assert "sweep." not in shown
    (sweep_file.parent / "deep").mkdir()
    sweep.write_run(values, sweep_file.parent / "deep" / "run.toml", ".")
    assert check(sweep_file.parent / "deep" / "run.toml") == []
    shutil.rmtree(sweep_file.parent / "deep")
