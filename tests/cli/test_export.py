"""A saved run leaves as ONNX or as Python."""

import importlib
from pathlib import Path

import numpy as np
import pytest

import tinyseq
from tests.cli.examples import run_of
from tinyseq.cli import main
from tinyseq.data import Vocabulary
from tinyseq.nn import Embedding, SequenceModel


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    head = tinyseq.heads["language-model"](4, 3)
    model = SequenceModel(Embedding(3, 4), tinyseq.Recurrent(tinyseq.cells["gru"](4, 4)), head)
    folder = tmp_path / "run"
    folder.mkdir()
    tinyseq.save(folder / "model.safetensors", model, {"vocabulary": Vocabulary(list("abc")).to_json()})
    return folder


def test_as_onnx(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="needs onnx: pip install '.[test-onnx]'")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install '.[test-onnx]'")
    target = saved / "model.onnx"
    assert main(["export", str(saved), str(target)]) == 0
    assert "bytes" in capsys.readouterr().out
    feed = {"x": np.array([[0, 2, 1]]), "lengths": np.array([3])}
    (y,) = runtime.InferenceSession(str(target)).run(None, feed)
    model = tinyseq.load(saved / "model.safetensors")
    np.testing.assert_allclose(y, model.predict(tinyseq.Tensor(feed["x"])).numpy(), rtol=1e-5, atol=1e-5)


def test_as_python(saved: Path) -> None:
    assert main(["export", str(saved / "model.safetensors"), str(saved / "abc.py")]) == 0
    text = (saved / "abc.py").read_text()
    assert "def predict" in text
    assert "def encode" in text
    assert (saved / "abc.npz").is_file()


@pytest.mark.parametrize(
    ("task", "texts"),
    [("tagging", ["Ann saw Rome .", "Bob saw"]), ("classification", ["good film", "dull , bad play"])],
)
def test_a_run_on_labelled_examples_answers_as_its_file_of_python(
    task: str, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the page about exchange does it."""
    described = run_of(task, tmp_path)
    assert main(["train", str(described)]) == 0
    assert main(["export", str(tmp_path / "run"), str(tmp_path / f"of_{task}.py")]) == 0
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(f"of_{task}")
    said = module.predict([module.encode(text.split()) for text in texts])
    predictor = tinyseq.load(tmp_path / "run" / "model.safetensors")
    answers = predictor.predict(texts)
    if task == "tagging":
        assert [module.decode(tags) for tags in said] == [answer.tags for answer in answers]
    else:
        assert module.decode([int(scores.argmax()) for scores in said]) == [a.label for a in answers]


@pytest.mark.parametrize(
    ("model", "file", "said"),
    [("run", "model.pt", "NAME.onnx or NAME.py"), ("nothing", "model.onnx", "nothing.\n")],
)
def test_what_is_wrong_is_said(
    saved: Path, model: str, file: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(saved.parent / model), str(saved / file)]) == 2
    assert said in capsys.readouterr().err
