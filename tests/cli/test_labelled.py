"""Runs on labelled examples: from a file of one's own to answers about raw text."""

import io
import json

import pytest

import tinyseq
from tinyseq.errors import DataError
from tinyseq.registry.run_options import TaggingData
from tinyseq.tasks import Tagging

DATA = TaggingData(task="tagging", train="")
HEADS = {
    "tagging": 'class = "tagger"\ninput_size = 16\ntags = "data.tags"\nnames = "data.tag_names"\n'
    'scheme = "IOB2"\nloss = { class = "crf", tags = "data.tags" }\n',
    "classification": 'class = "classifier"\ninput_size = 16\nclasses = "data.classes"\n',
}


@pytest.fixture(params=list(HEADS))
def run(request, tmp_path):
    """A run file of each task, on a few made examples."""
    task = request.param
    names, places = ("Ann", "Bob", "Eve"), ("Oslo", "Rome", "Lima")
    if task == "tagging":
        sentences = [
            [(who, "B-PER"), ("saw", "O"), (where, "B-LOC"), (".", "O")] for who in names for where in places
        ]
        data = "\n".join("".join(f"{w}\t{t}\n" for w, t in s) for s in sentences * 6)
        name, monitor = "data.conll", "span_f1"
    else:
        good, bad = ("good film", "fine, good play"), ("bad film", "dull, bad play")
        rows = [f'{i},"{t}",{y}' for i, (y, ts) in enumerate((("pos", good), ("neg", bad))) for t in ts * 20]
        data, name, monitor = "\n".join(["id,text,label", *rows]), "data.csv", "macro_f1"
    (tmp_path / name).write_text(data, encoding="utf-8")
    file = tmp_path / "run.toml"
    file.write_text(
        '[model.embed]\nclass = "embedding"\nnum_embeddings = "data.vocabulary_size"\nembedding_size = 8\n'
        '[model.encoder]\nclass = "recurrent"\ncell = { class = "gru", input_size = 8, hidden_size = 16 }\n'
        f'[model.head]\n{HEADS[task]}[data]\ntask = "{task}"\ntrain = "{name}"\nbatch = 4\n'
        f'[training]\nepochs = 8\nmonitor = "{monitor}"\ndirectory = "run"\n'
        'optimizer = { class = "adam", lr = 2e-2 }\n'
    )
    return file


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
    task = Tagging.of([(["a"], ["U-X"]), (["b", "c"], ["B-Y", "L-Y"])], [], DATA)
    assert [(s.type, s.text) for s in task._spans("a b c", ["a", "b", "c"], ["U-X", "B-Y", "L-Y"])] == [
        ("X", "a"),
        ("Y", "b c"),
    ]
    plain = Tagging.of([(["a"], ["NOUN"])], [], DATA)
    assert plain._spans("a", ["a"], ["NOUN"]) == []
