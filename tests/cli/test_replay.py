"""A run leaves a receipt, from which it can be made again and compared."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyseq
from tests.cli.examples import TASKS, run_of
from tinyseq.training.receipts import differences, weights_hash


@pytest.fixture(params=["train", "train-lm", *TASKS])
def trained(request: Any, file: Any, command: Any) -> Any:
    run = file.parent / "run"
    if request.param in TASKS:
        described = run_of(request.param, file.parent)
        described.write_text(described.read_text().replace("epochs = 8", "epochs = 2"))
        assert command("train", described)[0] == 0
    elif request.param == "train":
        assert command("train", file)[0] == 0
    else:
        options = ["--hidden", 8, "--embedding", 8, "--batch", 4, "--window", 8, "--epochs", 2]
        assert command("train-lm", "--text", file.parent / "text.txt", "--save", run, *options)[0] == 0
    return run


def test_a_replayed_run_has_the_same_weights(trained: Any, command: Any) -> None:
    receipt = json.loads((trained / "receipt.json").read_text())
    assert len(receipt["history"]) == receipt["epochs"] == 2
    assert receipt["environment"]["tinyseq"] == tinyseq.__version__
    assert any(name.endswith(".GRU") or name.endswith(".LSTM") for name in receipt["environment"]["code"])
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    for named in (trained, trained / "receipt.json"):
        code, out, _ = command("replay", named)
        assert code == 0, out
        assert "changed since   nothing" in out
        assert "The weights are the same, bit for bit." in out
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


@pytest.mark.parametrize("named", ["/dev/zero", "a" * 5000])
def test_what_is_no_file_is_not_there(trained: Any, command: Any, tmp_path: Any, named: str) -> None:
    receipt = json.loads((trained / "receipt.json").read_text())
    (receipt["run"]["files"]["train"] if "files" in receipt["run"] else receipt["run"])["file"] = named
    (tmp_path / "damaged.json").write_text(json.dumps(receipt))
    code, _, err = command("replay", tmp_path / "damaged.json")
    assert code == 2
    assert "is not there" in err
    assert len(err) < 1000


def test_a_class_that_is_not_known_is_one_sentence(file: Any, command: Any, tmp_path: Any) -> None:
    assert command("train", file)[0] == 0
    receipt = json.loads((file.parent / "run" / "receipt.json").read_text())
    receipt["run"]["run"]["model"]["class"] = "modGl:sequence-model"
    refuses(command, tmp_path / "damaged.json", receipt)


def test_what_differs_is_told(trained: Any, command: Any) -> None:
    path = trained / "receipt.json"
    receipt = json.loads(path.read_text())
    receipt["environment"]["packages"]["numpy"] = "1.0"
    receipt["weights"] = "0" * 64
    path.write_text(json.dumps(receipt))
    code, out, _ = command("replay", path)
    assert code != 0
    assert f"packages numpy: 1.0 then, {np.__version__} now" in out
    assert "The weights differ." in out


def test_a_file_that_moved_is_named_and_another_is_refused(trained: Any, command: Any, refused: Any) -> None:
    notes = json.loads((trained / "receipt.json").read_text())["run"]
    option = "train" if "files" in notes else "text"
    file = Path(notes["files"]["train"]["file"] if "files" in notes else notes["file"])
    moved = file.rename(file.with_stem("moved"))
    assert f"is not there: say where it is with --{option}" in refused("replay", trained)
    file.write_bytes(moved.read_bytes().replace(b"a", b"e", 1))
    assert re.search(
        f"is not the (file|text) that the run .* read: .* --{option}", refused("replay", trained)
    )
    code, out, _ = command("replay", trained, f"--{option}", moved)
    assert code == 0
    assert "The weights are the same, bit for bit." in out


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other"}', "nul\0", "[" * 10_000])
def test_what_is_no_receipt_is_refused(content: str, tmp_path: Any, refused: Any) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(content)
    assert "is no receipt of a training run" in refused("replay", path)
    assert "cannot be read" in refused("replay", tmp_path / "none.json")


def test_a_run_in_code_leaves_a_receipt_that_says_so(tmp_path: Any, refused: Any) -> None:
    from tinyseq.nn import Linear
    from tinyseq.optim import SGD
    from tinyseq.training import BatchLoss, Trainer

    model = Linear(1, 1)
    objective = lambda model, batch, state: BatchLoss((model.weight * batch).sum(), 1)
    Trainer(model, SGD(model, lr=0.1), objective, directory=tmp_path).fit([1.0], epochs=1)
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert receipt["weights"] == weights_hash(model.state_dict())
    assert "is of a run in code" in refused("replay", tmp_path)


def test_hashes_and_differences() -> None:
    a = {"x": np.zeros(2, "f"), "y": np.ones((1, 2))}
    assert weights_hash(a) == weights_hash(dict(reversed(a.items())))
    for other in ({**a, "x": np.zeros(2)}, {**a, "y": np.ones((2, 1))}, {"x": a["x"]}):
        assert weights_hash(other) != weights_hash(a)
    assert differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}, "d": 4}) == [
        "b c: 2 then, 3 now",
        "d: nothing then, 4 now",
    ]


DAMAGES = [
    ("version", 2), ("version", None), ("version", "1"), ("epochs", 0), ("epochs", True), ("epochs", "2"),
    ("history", [1, 2]), ("history", []), ("weights", ""), ("run", {"settings": 3}), ("run", {"run": 3}),
    ("run.text", 3), ("run.file", ["a"]), ("run.file", "\0"), ("run.sha256", None), ("run.files", 3),
    ("run.files", {"train": "a"}), ("run.files", {"train": {"file": "\0"}}), ("run.files", {"test": {}}),
]  # fmt: skip
COLUMN = (-1, "a")
OTHERS = {  # of data: right in others
    "words": COLUMN, "tags": COLUMN, "text": COLUMN, "label": COLUMN, "encoding": ("a",), "vectors": (None,)
}  # fmt: skip
OF_OPTIONS = [-1, "a", None, [], 10**400, {"class": "gru"}]


def refuses(command: Any, path: Any, receipt: Any) -> None:
    path.write_text(json.dumps(receipt))
    code, out, err = command("replay", path)
    assert code == 2
    assert out == ""
    assert err.startswith(f"tinyseq: {path} "), err
    assert err.count("\n") == 1, err


def test_a_damaged_receipt_is_refused_in_a_sentence(trained: Any, command: Any, tmp_path: Any) -> None:
    text, path = (trained / "receipt.json").read_text(), tmp_path / "damaged.json"
    for where, value in DAMAGES:
        receipt = json.loads(text)
        *parents, key = where.split(".")
        (receipt[parents[0]] if parents else receipt)[key] = value
        refuses(command, path, receipt)
    of_run = json.loads(text)["run"]
    tables = [["settings"]] if "settings" in of_run else [["run", "data"], ["run", "training"], ["run"]]
    for table in tables:
        for key in json.loads(text)["run"][table[0]] if len(table) == 1 else of_run["run"][table[1]]:
            for value in OF_OPTIONS:
                if (key, value) in (("clip", None), ("cell", "a")) or value in OTHERS.get(key, ()):
                    continue
                receipt = json.loads(text)
                inner = receipt["run"]
                for name in table:
                    inner = inner[name]
                inner[key] = value
                refuses(command, path, receipt)


def test_every_option_of_a_receipt_is_needed(trained: Any, command: Any, tmp_path: Any) -> None:
    receipt = json.loads((trained / "receipt.json").read_text())
    part = receipt["run"].get("settings", receipt["run"].get("run"))
    for key in list(part):
        kept = part.pop(key)
        refuses(command, tmp_path / "damaged.json", receipt)
        part[key] = kept


def test_a_run_file_that_changed_is_told_and_what_it_was_is_replayed(file: Any, command: Any) -> None:
    assert command("train", file)[0] == 0
    file.write_text(file.read_text().replace("window = 16", "window = 9"))
    code, out, _ = command("replay", file.parent / "run")
    assert code == 0
    assert f"run file: data window: 16 then, 9 now in {file.name}" in out
    assert "The weights are the same, bit for bit." in out


def test_code_that_a_plugin_calls_is_hashed_with_its_package(tmp_path: Any, monkeypatch: Any) -> None:
    from tinyseq.training.receipts import _packages

    hashes = []
    for text in ("A = 1", "A = 2"):
        folder = tmp_path / text[-1] / "borrowed_helpers"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        (folder / "helper.py").write_text(text)
        module = type(json)("borrowed_helpers")
        module.__path__ = [str(folder)]
        monkeypatch.setitem(__import__("sys").modules, "borrowed_helpers", module)
        hashes.append(_packages.__globals__["_package"].__wrapped__("borrowed_helpers"))
    assert hashes[0] != hashes[1]
    assert set(_packages({"tinyseq.nn.layers", "tinyseq.ops", "tinyseq_cells.gru"})) == {
        "tinyseq",
        "tinyseq_cells",
    }
