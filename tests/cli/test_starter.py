"""A run file written by looking at data trains, and its model is evaluated and inspected."""

import json
import random

import pytest

import tinyseq

GOOD, BAD = ("a good film", "fine, good play , 1st"), ("a bad film", "dull, bad play of 1950")


def tagging_file(path):
    sentences = [
        [(who, "B-PER"), ("saw", "O"), (where, "B-LOC"), (".", "O")]
        for who in ("Ann", "Bob", "Eve") for where in ("Oslo", "Rome", "Lima")
    ] * 3  # fmt: skip
    if path.suffix == ".jsonl":
        rows = [{"id": 1, "tokens": [w for w, _ in s], "ner_tags": [t for _, t in s]} for s in sentences]
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text("\n".join("".join(f"{w} x {t}\n" for w, t in s) for s in sentences))


def classification_file(path):
    rows = [(t, y) for y, ts in (("pos", GOOD), ("neg", BAD)) for t in ts * 12]
    random.Random(0).shuffle(rows)
    if not path.suffix:
        path.mkdir()
        for label in ("pos", "neg"):
            (path / f"{label}.txt").write_text("\n".join(t for t, y in rows if y == label))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps({"review": t, "sentiment": y, "id": 3}) for t, y in rows))
    elif path.suffix == ".csv":
        path.write_text("\n".join(["n,text,stars", *(f'{i},"{t}",{y}' for i, (t, y) in enumerate(rows))]))
    else:  # no header
        path.write_text("\n".join(f"{y}\t{t}" for t, y in rows))


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("tagging", "data.conll"),
        ("tagging", "data.jsonl"),
        ("classification", "data.csv"),
        ("classification", "data.tsv"),
        ("classification", "data.jsonl"),
        ("classification", "data"),
    ],
)
def test_a_data_file_becomes_a_run_file_that_trains(tmp_path, command, monkeypatch, task, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    {"tagging": tagging_file, "classification": classification_file}[task](path)
    code, out, err = command("train", "--init", task, name)
    assert (code, err) == (0, "")
    assert "tinyseq train data.toml" in out
    written = (tmp_path / "data.toml").read_text()
    assert written.startswith(f"# {task}: ")
    assert command("train", "--init", task, name)[0] == 2  # nothing is overwritten
    (tmp_path / "data.toml").write_text(
        written.replace("epochs = 40", "epochs = 6").replace("_size = 64", "_size = 16")
        .replace("_size = 128", "_size = 32").replace("= 92", "= 44")
    )  # fmt: skip
    assert command("check", "data.toml") == (0, "data.toml: no mistakes\n", "")
    assert command("train", "data.toml")[0] == 0
    code, out, err = command("evaluate", "runs/data", name)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    figures = json.loads(command("evaluate", "runs/data", name, "--json")[1])
    assert figures["figures"]["accuracy"] > 0.9
    assert figures["examples"] == (27 if task == "tagging" else 48)
    code, out, err = command("inspect", "runs/data")
    assert (code, err) == (0, "")
    assert task in out
    assert "trained" in out
    predictor = tinyseq.load("runs/data/model.safetensors")
    [found] = predictor.predict(["Eve saw Oslo." if task == "tagging" else "a good film"])
    if task == "tagging":
        assert [(s.type, s.text) for s in found.spans] == [("PER", "Eve"), ("LOC", "Oslo")]
    else:
        assert found.label == "pos"


def test_epoch_lines_fit_the_terminal(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tagging_file(tmp_path / "data.conll")
    command("train", "--init", "tagging", "data.conll")
    file = tmp_path / "data.toml"
    file.write_text(file.read_text().replace("epochs = 40", "epochs = 2"))
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line for line in command("train", file)[1].splitlines() if line.startswith("epoch")]
    assert len(lines) == 2
    assert all("span_f1" in line and len(line) <= 80 and "labels/s" not in line for line in lines)
    monkeypatch.setenv("COLUMNS", "140")
    file.write_text(file.read_text().replace("runs/data", "runs/wide"))
    assert "labels/s" in command("train", file)[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--init", "tagging", "none.conll"], "There is no file none.conll"),
        (["--init", "parsing", "data.conll"], "makes run files for tagging"),
        (["--init", "classification", "data.conll"], "--set text=NAME"),
        (["--init", "tagging", "data.conll", "--set", "tag=1"], "has no option 'tag'. Did you mean 'tags'"),
        (["--init", "tagging", "data.conll", "--set", "tags=7"], "8 are needed"),
        (["data.conll", "--set", "tags=1"], "go with --init"),
    ],
)
def test_what_cannot_be_begun_is_said(tmp_path, refused, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    tagging_file(tmp_path / "data.conll")
    assert message in refused("train", *words)
    assert not (tmp_path / "data.toml").exists()


def test_a_short_text_is_read_by_character_and_columns_are_found_by_what_they_hold(tmp_path, command):
    path = tmp_path / "names.csv"
    path.write_text(
        "id,who,from\n" + "\n".join(f"{i},{'Ivanov' if i % 2 else 'Rossi'}{i},{i % 2}" for i in range(30))
    )
    assert command("train", "--init", "classification", path, "--output", tmp_path / "n.toml")[0] == 0
    text = (tmp_path / "n.toml").read_text()
    assert 'unit = "char"' in text
    assert 'text = "who"' in text
    assert 'label = "from"' in text
