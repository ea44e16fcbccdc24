"""The page about a run: what it says, that users' text stays text, and that a browser shows it."""

import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

import tinyseq
from tinyseq import lens, load
from tinyseq.cli import main
from tinyseq.lens.report.page import confusions, page
from tinyseq.nn import Embedding, SequenceModel

EVIL = "<script>document.title='taken'</script>"
MODEL = """
[model.embed]
class = "embedding"
num_embeddings = "data.vocabulary_size"
embedding_size = 8

[model.encoder]
class = "gru"
input_size = 8
hidden_size = 6

[model.head]
"""
TAGGER = """class = "tagger"
input_size = 6
tags = "data.tags"

[data]
task = "tagging"
train = "data.conll"
valid_fraction = 0.2

[training]
epochs = 2
monitor = "loss"
directory = "run"
"""
CLASSIFIER = """class = "classifier"
input_size = 6
classes = "data.classes"

[data]
task = "classification"
train = "data.csv"
text = "text"
label = "label"
valid_fraction = 0.2

[training]
epochs = 2
monitor = "loss"
directory = "run"
"""


class Texts(HTMLParser):
    """What a page shows, and the names of its scripts and links."""

    def __init__(self):
        super().__init__()
        self.text, self.scripts, self.outside, self.within = "", 0, [], None

    def handle_starttag(self, tag, attributes):
        self.within = tag
        self.scripts += tag == "script"
        self.outside += [v for k, v in attributes if k in ("src", "href")]

    def handle_endtag(self, tag):
        self.within = None

    def handle_data(self, data):
        if self.within not in ("script", "style"):
            self.text += data


def read(html):
    texts = Texts()
    texts.feed(html)
    return texts


@pytest.fixture(params=["tagging", "classification", "language-model"])
def report(request, tmp_path, monkeypatch):
    """The page about a small run of each kind, with a data set that means ill."""
    monkeypatch.chdir(tmp_path)
    if request.param == "language-model":
        (tmp_path / "text.txt").write_text(f"a line with {EVIL} in it.\n" * 30)
        words = "--text text.txt --save run --hidden 6 --embedding 4 --batch 4 --window 16 --epochs 2"
        assert main(["train-lm", *words.split()]) == 0
        assert main(["report", "run", "-o", "page.html", "--text", EVIL]) == 0
    else:
        tagging = request.param == "tagging"
        rows = [f"{EVIL} O\nsaw O\nAnn B-<b>\n\n", "Bob B-<b>\nran O\n\n"] * 15
        (tmp_path / "data.conll").write_text("".join(rows))
        (tmp_path / "data.csv").write_text("text,label\n" + f"a {EVIL} film,<b>\na dull film,neg\n" * 15)
        (tmp_path / "run.toml").write_text(MODEL + (TAGGER if tagging else CLASSIFIER))
        assert main(["train", "run.toml"]) == 0
        data = "data.conll" if tagging else "data.csv"
        assert main(["report", "run", "-o", "page.html", "--data", data]) == 0
    return request.param, tmp_path / "page.html"


def test_the_page_says_what_the_run_is(report):
    kind, file = report
    found = read(file.read_text())
    for part in ("SequenceModel", "GRU" if kind != "language-model" else "LSTM", "epoch", "best", "weights"):
        assert part in found.text
    assert found.outside == []
    if kind != "language-model":
        judged = load("run/model.safetensors").evaluate("data.conll" if kind == "tagging" else "data.csv")
        for name, value in judged.figures.items():
            assert f"{name}{value:.4f}" in found.text
        assert re.search(r"(wrong|right): \d+ of 30", found.text)
        assert "<b>" in found.text
        assert ("right ↓ answer →" in found.text) == any(a != b for a, b in judged.confused)
    else:
        assert "saved without a task" in found.text


def test_texts_of_users_stay_texts(report):
    """The scripts are ours: the values to hover over, and what shows them."""
    html = report[1].read_text()
    assert read(html).scripts == 2
    assert EVIL not in html
    letters = "".join(re.findall(r'data-token="(.*?)"', html))
    assert "&lt;" in letters


def cells(html):
    return re.findall(r"<t[hd]>(.*?)</t[hd]>", html)


def test_what_is_taken_for_what_is_counted():
    html = confusions(Counter({("neg", "neg"): 1_200, ("neg", "<b>"): 3, ("<b>", "<b>"): 7}))
    rows = [*("right ↓ answer →", "&lt;b&gt;", "neg"), *("&lt;b&gt;", "7", "·"), *("neg", "3", "1,200")]
    assert cells(html) == rows


def test_of_many_classes_the_most_frequent_mistakes_are_listed():
    many = Counter({(f"c{k}", f"c{k + 1}"): k + 1 for k in range(20)} | {("c0", "c0"): 99})
    listed = [text for k in range(19, 9, -1) for text in (f"c{k}", f"c{k + 1}", f"{k + 1}")]
    assert cells(confusions(many)) == ["right", "answer", "times", *listed]


def test_without_mistakes_there_is_no_such_table():
    assert confusions(Counter({("neg", "neg"): 5})) == ""


@pytest.mark.parametrize("task", ["pairs", "sequence-to-sequence"])
def test_tasks_without_labels_show_their_worst_examples(task, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = {
        "pairs": "first,second,label\n" + f"a good film,{EVIL} fine,1\na dull film,a good play,0\n" * 15,
        "sequence-to-sequence": "source,target\n" + f"a b,b a\nb {EVIL},c b\n" * 15,
    }[task]
    (tmp_path / "data.csv").write_text(rows)
    assert main(["train", "--init", task, "data.csv"]) == 0
    run = tmp_path / "data.toml"
    run.write_text(re.sub("epochs = [0-9]+", "epochs = 1", run.read_text()))
    assert main(["train", "data.toml"]) == 0
    assert main(["report", "runs/data", "-o", "page.html", "--data", "data.csv"]) == 0
    html = (tmp_path / "page.html").read_text()
    judged = load("runs/data/model.safetensors").evaluate("data.csv")
    assert f"wrong: {len(judged.wrong)} of 30" in html
    for one in judged.wrong[:8]:
        assert f"{one.text} → {one.mistakes[0]}" in read(html).text
    assert EVIL not in html
    assert 'data-token="a"' in html  # of the first text, which nobody had to give
    assert main(["report", "runs/data", "-o", "page.html", "--data", "gone.csv"]) == 2
    assert "There is no file gone.csv: check the path." in capsys.readouterr().err


def test_means_are_of_all_units_and_the_units_that_are_cut_are_counted():
    model = SequenceModel(Embedding(3, 4), tinyseq.cells["gru"](4, 70), tinyseq.heads["classifier"](70, 2))
    xs = tinyseq.Sequences.from_list([[1, 2]])
    seen = lens.trace(model, xs)
    html = page("title", model, trace=seen, tokens="ab")
    inside = json.loads(re.search(r'id="inside">(.*?)</script>', html).group(1))
    gate = next(part for part in inside if part["name"].startswith("encoder.z"))
    assert gate["name"] == "encoder.z, 64 of 70 units"
    assert [len(row) for row in gate["rows"]] == [64, 64]
    wanted = seen["encoder.z"].to_list()[0].numpy().mean(axis=1)
    np.testing.assert_allclose(gate["means"], wanted, rtol=1e-6)


def browser():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return pytest.skip("no Chromium is installed, which this test looks at pages with")


def dumped(html, folder):
    """The page as Chromium has it, and what it wrote to its console."""
    (folder / "shown.html").write_text(html)
    options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --enable-logging=stderr --v=0"
    options += " --virtual-time-budget=2000 --dump-dom"
    done = subprocess.run(
        [browser(), *options.split(), f"--user-data-dir={folder}/profile", f"file://{folder}/shown.html"],
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_a_browser_shows_values_where_one_hovers(report, tmp_path):
    kind, file = report
    html = file.read_text()
    event = "dispatchEvent(new Event('mouseenter'))"
    hover = f"<script>document.querySelectorAll('#sentence span')[1].{event}</script>"
    shown, console = dumped(html.replace("</body>", f"{hover}</body>"), tmp_path)
    assert console == []
    assert "<title>tinyseq report: run</title>" in shown
    panel = read(shown[shown.index('id="values"') :]).text
    assert "position 2" in panel
    names = (
        ("encoder.r", "encoder.z") if kind != "language-model" else ("encoder.i", "encoder.f", "encoder.o")
    )
    for name in names:
        assert name in panel
    if kind == "classification":
        predictor = load("run/model.safetensors")
        text = predictor.task.reader.joined(
            predictor.task.read(predictor.columns("data.csv"), file.parent / "data.csv")[0][0]
        )
        gate = lens.trace(predictor, [text])["z"].to_list()[0].numpy()[1]
        assert f"encoder.z{np.round(gate.astype(float), 3).mean():.2f}" in panel


def test_the_browser_test_would_notice_an_error(tmp_path):
    _, console = dumped("<script>nothing.here()</script>", tmp_path)
    assert len(console) == 1


def test_what_is_missing_is_said(tmp_path, monkeypatch, capsys):
    from tinyseq_cells.gru import GRU
    from tinyseq_heads.classifier import Classifier

    monkeypatch.chdir(tmp_path)
    tinyseq.save("m.safetensors", SequenceModel(Embedding(3, 4), GRU(4, 5), Classifier(5, 2)))
    assert main(["report", "m.safetensors", "-o", "page.html"]) == 0
    text = read((tmp_path / "page.html").read_text()).text
    for sentence in ("has no receipt.json", "saved without a task", "no sentence to look into"):
        assert sentence in text
    assert main(["report", "m.safetensors", "-o", "page.html", "--data", "x.csv"]) == 2
    assert "leave out --data" in capsys.readouterr().err
    assert main(["report", "m.safetensors", "-o", "page.html", "--text", "a"]) == 2
    assert "no vocabulary to read a text with: leave out --text" in capsys.readouterr().err
    assert main(["report", "m.safetensors", "-o", "no/page.html"]) == 2
    assert "no/page.html cannot be written: No such file" in capsys.readouterr().err


def test_a_model_without_a_cell_has_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("text,label\n" + "a good film,pos\na dull film,neg\n" * 15)
    words = MODEL.replace(MODEL[MODEL.index("[model.encoder]") : MODEL.index("[model.head]")], "")
    bag = CLASSIFIER.replace("input_size = 6", 'input_size = 8\npooling = "mean"')
    (tmp_path / "run.toml").write_text(f'{words}{bag}\n[model.encoder]\nclass = "dropout"\np = 0.1\n')
    assert main(["train", "run.toml"]) == 0
    assert main(["report", "run", "-o", "page.html", "--data", "data.csv"]) == 0
    text = read((tmp_path / "page.html").read_text()).text
    assert "has no cell that could be looked into" in text
    assert "a good film" in text
    capsys.readouterr()
    assert main(["report", "run", "-o", "page.html", "--text", "a good film"]) == 2
    assert "it needs a Cell" in capsys.readouterr().err


def test_of_the_epochs_one_is_the_best(report):
    text = read(report[1].read_text()).text
    assert text[text.index("train loss") : text.index("Receipt")].count("(best)") == 1
