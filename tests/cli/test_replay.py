"""A run leaves a receipt, from which it can be made again and compared."""

import json
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq.training.receipts import differences, weights_hash


@pytest.fixture(params=["train", "train-lm"])
def trained(request: Any, file: Any, command: Any) -> Any:
    run = file.parent / "run"
    if request.param == "train":
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


def test_a_text_that_moved_is_named_and_another_is_refused(trained: Any, command: Any, refused: Any) -> None:
    text = trained.parent / "text.txt"
    moved = text.rename(trained.parent / "moved.txt")
    text.write_text("another text. " * 100)
    assert "is not the text that the run" in refused("replay", trained)
    code, out, _ = command("replay", trained, "--text", moved)
    assert code == 0
    assert "The weights are the same, bit for bit." in out


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "tinyseq.receipt"}', "nul\0", "[" * 10_000])
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
