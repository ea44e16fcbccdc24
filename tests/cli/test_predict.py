"""Standard input to standard output: every format, line by line, and bad lines named."""

import io
import json
import subprocess
import sys

import pytest

import tinyseq
from tests.cli.examples import run_of
from tinyseq.data import Vocabulary
from tinyseq.tasks import Pairs, SequenceToSequence
from tinyseq.tasks.reader import glued, unglued


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A trained run of each task."""
    from tinyseq.cli import main

    found = {}
    for task in ("tagging", "classification"):
        folder = tmp_path_factory.mktemp(task)
        assert main(["train", str(run_of(task, folder))]) == 0
        found[task] = folder / "run"
    return found


@pytest.fixture
def piped(command, monkeypatch):
    def run(text, *words):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return command("predict", *words)

    return run


def test_every_format_in_and_out(runs, piped):
    tagger = runs["tagging"]
    texts = "Eve saw Rome.\n\nBob saw Oslo."
    assert piped(texts, tagger)[1].splitlines() == [
        "Eve/B-PER saw/O Rome/B-LOC ./O", "", "Bob/B-PER saw/O Oslo/B-LOC ./O"
    ]  # fmt: skip
    conll = piped("Eve\nsaw\tx\nRome\n\n\nBob\n", tagger, "--input", "conll", "--format", "conll")[1]
    assert conll == "Eve\tB-PER\nsaw\tO\nRome\tB-LOC\n\nBob\tB-PER\n\n"
    rows = [{"id": 1, "tokens": ["Eve", "saw", "Rome"]}, {"text": "Eve  saw Rome"}]
    out = piped("\n".join(map(json.dumps, rows)), tagger, "--input", "jsonl", "--format", "jsonl")[1]
    first, second = map(json.loads, out.splitlines())
    assert first["id"] == 1
    assert first["tags"] == second["tags"] == ["B-PER", "O", "B-LOC"]
    assert second["text"][second["spans"][1]["start"] : second["spans"][1]["stop"]] == "Rome"
    assert all(0 < p <= 1 for p in first["probabilities"])
    classifier = runs["classification"]
    out = piped('{"text": "good film", "x": [1]}\n', classifier, "--input", "jsonl", "--format", "jsonl")[1]
    found = json.loads(out)
    assert (found["label"], found["x"]) == ("pos", [1])
    assert sum(found["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("task", "text", "words", "message"),
    [
        ("classification", "a\n", ["--format", "conll"], "conll is for taggers"),
        ("classification", '{"text": "a"}\n{"txt": "a"}', ["--input", "jsonl"], "line 2: has no 'text'"),
        ("classification", "{", ["--input", "jsonl"], "line 1: is not JSON"),
        ("classification", "[1]", ["--input", "jsonl"], "line 1: is no object"),
        ("classification", '{"text": [1]}', ["--input", "jsonl"], "line 1: has no text in 'text'"),
        ("tagging", '{"a": 1}', ["--input", "jsonl"], "line 1: has neither a list of words"),
        ("tagging", "[" * 100_000, ["--input", "jsonl"], "line 1: "),
    ],
)
def test_bad_lines_are_named(runs, piped, task, text, words, message):
    code, _, err = piped(text, runs[task], *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_an_answer_comes_before_the_next_line_is_asked_for(runs):
    process = subprocess.Popen(
        [sys.executable, "-m", "tinyseq", "predict", runs["tagging"]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        for who in ("Ann", "Bob"):
            process.stdin.write(f"{who} saw Rome.\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{who}/B-PER saw/O Rome/B-LOC ./O\n"
        process.stdin.close()
        assert process.wait(30) == 0


def test_pairs_and_texts_are_written(tmp_path, piped):
    tinyseq.seed(0)
    pairs = Pairs.of([(["a", "b"], ["b", "a"], 1)] * 2, [])
    embed = tinyseq.nn.Embedding(len(pairs.reader.vocabulary), 4)
    model = tinyseq.nn.SequenceModel(embed, tinyseq.cells["gru"](4, 4), tinyseq.heads["siamese"](4))
    tinyseq.save(tmp_path / "p.safetensors", model, {"task": pairs.to_record()})
    code, out, _ = piped("a b\ta b\n\tb\n", tmp_path / "p.safetensors")
    assert (code, out) == (0, "same\t1.0000\ta b\ta b\n\tnan\t\tb\n")
    code, _, err = piped("a b\n", tmp_path / "p.safetensors")
    assert "line 1: has 1 texts, not two" in err
    out = piped(
        '{"first": "a", "second": ""}', tmp_path / "p.safetensors", "--input", "jsonl", "--format", "jsonl"
    )[1]
    assert json.loads(out)["similarity"] is None
    task = SequenceToSequence.of([(["a"], ["x", "y"])] * 2, [])
    head = tinyseq.heads["decoder"](4, len(task.target), tinyseq.cells["gru"](4, 4), end=0, max_length=3)
    writer = tinyseq.nn.SequenceModel(
        tinyseq.nn.Embedding(len(task.reader.vocabulary), 4), tinyseq.cells["gru"](4, 4), head
    )
    tinyseq.save(tmp_path / "w.safetensors", writer, {"task": task.to_record()})
    code, out, _ = piped("a a\n\n", tmp_path / "w.safetensors")
    assert code == 0
    assert out.count("\n") == 2
    assert set(out.split()) <= {"x", "y"}


@pytest.mark.parametrize("text", ["Don't (ever) say 3.14!", "l'été, c'est ça...", "a", "“x”—y", "  a   b "])
def test_text_that_is_written_has_its_spaces(text):
    assert unglued(glued(text)) == " ".join(text.split())


def test_records_of_tasks_are_read_back():
    for task in (Pairs.of([(["a"], ["b"], 1)], []), SequenceToSequence.of([(["a"], ["b"])], [])):
        record = json.loads(json.dumps(task.to_record()))
        again = type(task).from_record(record)
        assert again.to_record() == record
        for key in record:
            if key != "name":
                with pytest.raises(tinyseq.errors.DataError):
                    type(task).from_record({**record, key: None})
    assert Vocabulary.from_json(record["target"]).specials == ("<end>", "<unk>")
