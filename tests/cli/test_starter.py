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


def pairs_file(path):
    verbs = ("is", "was", "becomes", "seems", "looks", "feels", "stays", "gets")
    texts = [t.format(verb) for verb in verbs for t in ("how old {} he", "what {} his age")]
    rows = [(a, b, int(i // 2 == k // 2)) for i, a in enumerate(texts) for k, b in enumerate(texts) if i < k]
    path.write_text("\n".join(f"{a}\t{b}\t{y}" for a, b, y in [*rows, *[r for r in rows if r[2]] * 5]))


def rewriting_file(path):
    words = {"one": "eins", "two": "zwei", "three": "drei"}
    rows = [(f"{a} and {b}.", f"{words[a]}, {words[b]}!") for a in words for b in words] * 6
    path.write_text("source,target\n" + "\n".join(f'"{a}","{b}"' for a, b in rows))


EPOCHS = {"sequence-to-sequence": 20, "pairs": 40, "classification": 20}
MADE = {
    "tagging": tagging_file,
    "classification": classification_file,
    "pairs": pairs_file,
    "sequence-to-sequence": rewriting_file,
}


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("tagging", "data.conll"),
        ("tagging", "data.jsonl"),
        ("classification", "data.csv"),
        ("classification", "data.tsv"),
        ("classification", "data.jsonl"),
        ("classification", "data"),
        ("pairs", "data.tsv"),
        ("sequence-to-sequence", "data.csv"),
    ],
)
def test_a_data_file_becomes_a_run_file_that_trains(tmp_path, command, monkeypatch, task, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    MADE[task](path)
    code, out, err = command("train", "--init", task, name)
    assert (code, err) == (0, "")
    assert "tinyseq train data.toml" in out
    written = (tmp_path / "data.toml").read_text()
    assert written.startswith(f"# {task}: ")
    assert command("train", "--init", task, name)[0] == 2  # nothing is overwritten
    smaller = written.replace("epochs = 40", f"epochs = {EPOCHS.get(task, 6)}")
    if task != "pairs":
        for size in (64, 128, 92):
            smaller = smaller.replace(f"_size = {size}", f"_size = {size // 4 if size != 92 else 44}")
    (tmp_path / "data.toml").write_text(smaller)
    assert command("check", "data.toml") == (0, "data.toml: no mistakes\n", "")
    assert command("train", "data.toml")[0] == 0
    code, out, err = command("evaluate", "runs/data", name)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    figures = json.loads(command("evaluate", "runs/data", name, "--json")[1])
    if task == "sequence-to-sequence":
        assert figures["figures"]["exact_match"] > 0.9
    else:
        # four pairs to validate on say little about the threshold
        assert figures["figures"]["auc" if task == "pairs" else "accuracy"] > (
            0.7 if task == "pairs" else 0.9
        )
    assert figures["examples"] == {"tagging": 27, "classification": 48, "pairs": 160}.get(task, 54)
    code, out, err = command("inspect", "runs/data")
    assert (code, err) == (0, "")
    assert task in out
    assert "trained" in out
    predictor = tinyseq.load("runs/data/model.safetensors")
    asked = {"tagging": "Eve saw Oslo.", "classification": "a good film", "pairs": ("one", "two")}
    answers = predictor.predict([asked.get(task, "two and three.")])
    assert answers == predictor.predict([asked.get(task, "two and three.")])
    [found] = answers
    if task == "tagging":
        assert [(s.type, s.text) for s in found.spans] == [("PER", "Eve"), ("LOC", "Oslo")]
        assert all(0 < p <= 1 for p in found.probabilities)
    elif task == "classification":
        assert found.label == "pos"
    elif task == "pairs":
        assert -1 <= found.similarity <= 1
        same = predictor.predict([("how old is he", "how old is he"), ("", "x")])
        assert (same[0].same, same[1].same) == (True, None)
        assert same[0].similarity == pytest.approx(1)
    else:
        assert found.written == "zwei, drei!"


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
        (["--init", "classification", "data.conll"], "--set label=NAME"),
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
