"""The history as files, as a drawing and as events; the functions of each step."""

import csv
import json
import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import tinyseq
from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import SGD, Adam, Schedule, StepDecay
from tinyseq.training import HistoryFile, Step, TensorBoard, Trainer

BATCH = (tinyseq.Sequences.from_list([[1, 2, 3], [4, 5]]), np.array([0, 2]))


def trainer(**options):
    model = SequenceModel(Embedding(6, 4), tinyseq.cells["gru"](4, 4), tinyseq.heads["classifier"](4, 3))
    return Trainer(model, Adam(model, lr=0.01), **options)


def test_a_table_has_a_row_for_each_epoch_as_soon_as_it_is_done(tmp_path):
    path, seen = tmp_path / "new" / "history.csv", []
    run = trainer(after_epoch=[HistoryFile(path), lambda t, e: seen.append(path.read_text().count("\n"))])
    run.fit([BATCH, BATCH], [BATCH], epochs=3)
    assert seen == [2, 3, 4]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["train_loss"]) for row in rows] == [epoch.train_loss for epoch in run.history]
    assert [float(row["accuracy"]) for row in rows] == [epoch.metrics["accuracy"] for epoch in run.history]
    assert [row["best"] for row in rows] == [str(epoch.best) for epoch in run.history]


def test_json_lines_hold_what_the_history_holds(tmp_path):
    run = trainer(after_epoch=[HistoryFile(tmp_path / "history.jsonl")])
    run.fit([BATCH], epochs=2)
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [row["number"] for row in rows] == [1, 2]
    assert rows[1]["gradient_norm"] == run.history[1].gradient_norm
    assert rows[0]["valid_loss"] is None


def test_metrics_that_are_no_number_and_names_that_clash(tmp_path):
    run = trainer(after_epoch=[HistoryFile(tmp_path / "h.jsonl"), HistoryFile(tmp_path / "h.csv")])
    run.fit([BATCH], epochs=1)
    run.history[0].metrics.update(seconds=2.5, odd=math.inf)
    for function in run.after_epoch:
        function(run, run.history[0])
    row = json.loads((tmp_path / "h.jsonl").read_text())
    assert (row["metrics.seconds"], row["odd"], row["seconds"]) == (2.5, None, run.history[0].seconds)
    assert (tmp_path / "h.csv").read_text().splitlines()[0].endswith("metrics.seconds,odd")


def test_a_resumed_run_writes_every_epoch_once(tmp_path):
    path = tmp_path / "history.csv"
    trainer(directory=tmp_path / "run", after_epoch=[HistoryFile(path)]).fit([BATCH], epochs=2)
    resumed = trainer(directory=tmp_path / "run", after_epoch=[HistoryFile(path)])
    resumed.resume()
    resumed.fit([BATCH], epochs=4)
    with path.open(newline="") as file:
        assert [row["number"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_files_of_no_use_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.csv or \.jsonl"):
        HistoryFile("history.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        trainer(after_epoch=[HistoryFile(tmp_path / "file" / "history.csv")]).fit([BATCH], epochs=1)


@pytest.mark.filterwarnings("ignore")  # what tensorboard imports is not ours
def test_tensorboards_own_reader_gives_back_the_history(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "events"
    run = trainer(directory=tmp_path / "run", after_epoch=[TensorBoard(folder)])
    run.fit([BATCH], [BATCH], epochs=3)
    resumed = trainer(directory=tmp_path / "run", after_epoch=[TensorBoard(folder)])
    resumed.resume()
    history = resumed.fit([BATCH], [BATCH], epochs=5)
    reader = EventAccumulator(str(folder))
    reader.Reload()
    for tag, wanted in {
        "loss/train": [epoch.train_loss for epoch in history],
        "loss/valid": [epoch.valid_loss for epoch in history],
        "metrics/accuracy": [epoch.metrics["accuracy"] for epoch in history],
        "learning_rate": [epoch.learning_rate for epoch in history],
    }.items():
        events = reader.Scalars(tag)
        assert [event.step for event in events] == [1, 2, 3, 4, 5]
        np.testing.assert_allclose([event.value for event in events], wanted, rtol=1e-6)  # float32 in files


@pytest.mark.filterwarnings("ignore")
def test_an_epoch_that_is_trained_again_takes_the_place_of_what_was_written(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer(after_epoch=[TensorBoard(tmp_path)]).fit([BATCH], epochs=3)
    again = trainer(after_epoch=[TensorBoard(tmp_path)])  # killed before any checkpoint: from the start
    history = again.fit([BATCH], epochs=2)
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    found = {event.step: event.value for event in reader.Scalars("loss/train")}
    assert found == pytest.approx({epoch.number: epoch.train_loss for epoch in history}, rel=1e-6)


def test_every_step_is_told():
    steps: list[Step] = []
    model = trainer().model
    optimizer = SGD(model, lr=0.5)
    schedule = Schedule(optimizer, StepDecay(2, 0.1))
    run = Trainer(model, optimizer, schedule=schedule, after_step=[lambda t, s: steps.append(s)])
    history = run.fit([BATCH, BATCH, BATCH], epochs=2)
    assert [step.number for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step.epoch for step in steps] == [1, 1, 1, 2, 2, 2]
    assert [round(step.learning_rate, 6) for step in steps] == [0.5, 0.5, 0.05, 0.05, 0.005, 0.005]
    assert np.mean([step.loss for step in steps[:3]]) == pytest.approx(history[0].train_loss)
    assert all(step.targets == 2 for step in steps)


def test_the_history_of_a_notebook_is_a_drawing_and_a_table():
    run = trainer()
    assert "svg" not in run.history._repr_html_()  # nothing to draw yet
    history = run.fit([BATCH], [BATCH], epochs=4)
    page = history._repr_html_()
    drawing = ElementTree.fromstring(page.partition("<pre>")[0])
    lines = [line.get("points").split() for line in drawing.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(line) for line in lines] == [4, 4]
    heights = [float(point.partition(",")[2]) for point in lines[0]]
    order = np.argsort([-epoch.train_loss for epoch in history], kind="stable")
    assert np.array_equal(np.argsort(heights, kind="stable"), order)  # a lower loss stands lower
    assert repr(history).splitlines()[1].split()[0] == "1"


def test_losses_that_are_not_finite_are_left_out():
    from dataclasses import replace

    run = trainer()
    history = run.fit([BATCH], [BATCH], epochs=3)
    history[1] = replace(history[1], valid_loss=math.inf)
    ElementTree.fromstring(history._repr_html_().partition("<pre>")[0])
    assert "inf," not in history._repr_html_()


def test_trainers_optimizers_and_metrics_say_what_they_are():
    run = trainer(monitor="accuracy")
    run.fit([BATCH], [BATCH], epochs=1)
    assert "SequenceModel" in repr(run)
    assert "Adam(lr=0.01" in repr(run)
    assert "monitor='accuracy'" in repr(run)
    assert "1 epochs" not in repr(run)
    groups = Adam([{"parameters": run.model.head}, {"parameters": run.model.embed, "lr": 0.5}])
    assert "lr=0.5" in repr(groups).splitlines()[2]


@pytest.mark.parametrize("name", list(tinyseq.optimizers))
def test_every_optimizer_has_a_repr(name):
    model = trainer().model
    text = repr(tinyseq.optimizers[name](model, lr=0.25))
    assert "lr=0.25" in text
    assert f"{model.parameter_count():,} parameters" in text


@pytest.mark.parametrize("name", list(tinyseq.metrics))
def test_every_metric_has_a_repr(name):
    build = tinyseq.metrics[name]
    arguments = {"macro-f1": (3,), "span-f1": (["O", "B-x"],), "recall-at-k": (1,)}.get(name, ())
    assert "object at" not in repr(build(*arguments))
