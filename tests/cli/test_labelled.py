"""Runs on labelled examples: from a file of one's own to answers about raw text."""

import importlib
import io
import json

import pytest

import tinyseq
from tests.cli.examples import TASKS, run_of
from tinyseq.errors import DataError
from tinyseq.tasks import Tagging


@pytest.fixture(params=TASKS)
def run(request, tmp_path):
    """A run file of each task, on a few made examples."""
    return run_of(request.param, tmp_path)


def test_a_file_of_examples_becomes_answers(run, command, monkeypatch):
    assert command("check", run)[0] == 0
    code, out, err = command("train", run)
    assert (code, err) == (0, "")
    monitor = "span_f1" if "tagger" in run.read_text() else "macro_f1"
    assert f"{monitor} 1.0000" in out
    for path in run.parent.glob("data.*"):
        path.unlink()  # the model file is enough
    predictor = tinyseq.load(run.parent / "run" / "model.safetensors")
    texts = ["  Eve saw Rome .", "", "a good play"]
    found = predictor.predict(texts)
    assert found == predictor.predict(texts)
    assert [answer.text for answer in found] == texts
    if monitor == "span_f1":
        assert [(s.type, s.text) for s in found[0].spans] == [("PER", "Eve"), ("LOC", "Rome")]
        assert all(texts[0][s.start : s.stop] == s.text for s in found[0].spans)
        assert found[1].tokens == []
    else:
        assert found[2].label == "pos"
        assert sum(found[2].probabilities.values()) == pytest.approx(1, abs=1e-12)
        assert found[1].label is None
    for form in ("text", "jsonl"):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(texts)))
        code, out, _ = command("predict", run.parent / "run", "--format", form)
        assert code == 0
        assert len(out.splitlines()) == 3
    assert json.loads(out.splitlines()[0])["text"] == texts[0]
    with pytest.raises(DataError, match="a list of texts"):
        predictor.predict("one text")


def test_it_is_exported_with_its_words_and_labels(run, command, monkeypatch):
    assert command("train", run)[0] == 0
    name = "exported_tagger" if "tagger" in run.read_text() else "exported_classifier"
    assert command("export", run.parent / "run", run.parent / f"{name}.py")[0] == 0
    monkeypatch.syspath_prepend(run.parent)
    exported = importlib.import_module(name)
    texts = ["Eve saw Rome .", "a good play", "dull , bad play"]
    found = exported.predict([exported.encode(text.split()) for text in texts])
    for answer, wanted in zip(
        found, tinyseq.load(run.parent / "run" / "model.safetensors").predict(texts), strict=True
    ):
        if name == "exported_tagger":
            assert exported.decode(answer) == wanted.tags
        else:
            assert exported.decode([answer.argmax()]) == [wanted.label]


def test_a_resumed_run_is_the_whole_run(run, command):
    whole = run.read_text()
    run.write_text(whole.replace("epochs = 8", "epochs = 2"))
    assert command("train", run)[0] == 0
    run.write_text(whole.replace("epochs = 8", "epochs = 3"))
    assert command("train", run, "--resume")[0] == 0
    weights = json.loads((run.parent / "run" / "receipt.json").read_text())["weights"]
    run.write_text(whole.replace("epochs = 8", "epochs = 3").replace('"run"', '"other"'))
    assert command("train", run)[0] == 0
    assert json.loads((run.parent / "other" / "receipt.json").read_text())["weights"] == weights


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('task = "', 'task = "x', "is no task"),
        ("train =", "trian =", "needs a file"),
        ("data.vocabulary_size", "data.letters", "nothing that data tells"),
        ("[data]", '[data]\nvalid = "none"', "no such file"),
        ("_f1", "_f2", "choose from loss"),
    ],
)
def test_mistakes_are_sentences(run, command, old, new, said):
    run.write_text(run.read_text().replace(old, new, 1))
    code, out, err = command("check", run)
    assert code == 2
    assert said in out + err
    code, out, err = command("train", run)
    assert code == 2
    assert "Traceback" not in err
    assert not (run.parent / "run" / "model.safetensors").exists()


def test_a_head_of_another_task_is_found_before_training(run, command):
    text = run.read_text()
    start, stop = text.index("[model.head]"), text.index("[data]")
    run.write_text(text[:start] + '[model.head]\nclass = "siamese"\ninput_size = 16\n' + text[stop:])
    code, out, _ = command("check", run)
    assert code == 2
    assert "is nothing that this model's head measures" in out
    run.write_text(run.read_text().replace("monitor", "# monitor"))
    code, out, _ = command("check", run)
    assert code == 2
    assert "cannot learn" in out


def test_a_monitor_that_nothing_measures_has_its_line(run, command):
    text = run.read_text()
    name = "span_f1" if "tagger" in text else "macro_f1"
    run.write_text(text.replace(f'"{name}"', '"bleu"'))
    code, out, _ = command("check", run)
    assert code == 2
    line = text.split("\n").index(f'monitor = "{name}"') + 1
    assert f"line {line}: training.monitor: 'bleu' is nothing that this model's head measures" in out
    assert f"choose from loss, accuracy, {name}" in out
    run.write_text(text.replace("batch = 4", "batch = 4\nvalid_fraction = 0.0"))
    assert "measured on validation data" in command("check", run)[1]


def test_tags_of_other_schemes_are_spans_too():
    task = Tagging.of([(["a"], ["U-X"]), (["b", "c"], ["B-Y", "L-Y"])], [])
    assert [(s.type, s.text) for s in task._spans("a b c", ["a", "b", "c"], ["U-X", "B-Y", "L-Y"])] == [
        ("X", "a"),
        ("Y", "b c"),
    ]
    plain = Tagging.of([(["a"], ["NOUN"])], [])
    assert plain._spans("a", ["a"], ["NOUN"]) == []
