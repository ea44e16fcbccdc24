"""Checkpoint files: refused in one sentence when they are not what they should be."""

import json
import os

import numpy as np
import pytest
from safetensors.numpy import save

import tinyseq
from tinyseq.data import ContiguousWindows
from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import SGD, Adam
from tinyseq.training import Trainer, carried_state
from tinyseq.training.checkpoints import read_checkpoint, under, with_prefix, write_checkpoint

ARRAYS = {"model.w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "model.b": np.array(1.5)}


def make_trainer(directory, *, width=6, optimizer=Adam, cell="lstm", **options):
    recurrent = tinyseq.Recurrent(tinyseq.cells[cell](width, width))
    model = SequenceModel(Embedding(5, width), recurrent, tinyseq.heads["language-model"](width, 5))
    return Trainer(model, optimizer(model), carried_state, directory=directory, **options)


def batches(length=60):
    return ContiguousWindows(np.arange(length) % 5, 2, 4)


def test_arrays_and_record_come_back(tmp_path):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, ARRAYS, {"progress": 3})
    arrays, record = read_checkpoint(path)
    assert record["progress"] == 3
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    assert under("model", arrays).keys() == {"w", "b"}
    assert with_prefix("model", under("model", arrays)).keys() == ARRAYS.keys()


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, ARRAYS, {})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="is no safetensors file, or was cut short"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 a file of something else entirely", "is no safetensors file"),
        (save({"w": np.zeros(3)}), "its record is not tinyseq's"),
        (save({"w": np.zeros(3)}, {"tinyseq": "[1]"}), "its record is not tinyseq's"),
        (save({}, {"tinyseq": json.dumps({"format": "tinyseq.model"})}), "no checkpoint of a training run"),
        (
            save({}, {"tinyseq": json.dumps({"format": "tinyseq.training", "version": 99})}),
            "a checkpoint of version 99, and this tinyseq reads version 1",
        ),
    ],
)
def test_a_foreign_file_is_refused_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        make_trainer(tmp_path).resume()
    assert "\n" not in str(caught.value)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*checkpoint\.safetensors"):
        make_trainer(tmp_path).resume()


@pytest.mark.parametrize("other", [{"width": 7}, {"cell": "gru"}, {"optimizer": SGD}])
def test_a_checkpoint_of_another_model_or_optimiser_is_refused(tmp_path, other):
    make_trainer(tmp_path).fit(batches(), epochs=1)
    with pytest.raises(DataError, match="not fit"):
        make_trainer(tmp_path, **other).resume()


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.train_epoch(list(batches())[:5])
    trainer.save()
    resumed = make_trainer(tmp_path)
    resumed.resume()
    with pytest.raises(DataError, match="stands after batch 5 of an epoch, and here an epoch has 3"):
        resumed.fit(batches(20), epochs=1)


def test_notes_that_json_cannot_hold_are_refused_before_any_step(tmp_path):
    trainer = make_trainer(tmp_path, notes={"sizes": {1, 2}})
    with pytest.raises(ConfigError, match="what JSON can"):
        trainer.fit(batches(), epochs=1)
    assert trainer.progress.step == 0


def test_a_run_is_not_overwritten_by_one_that_forgot_to_resume(tmp_path):
    make_trainer(tmp_path).fit(batches(), epochs=1)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"holds the checkpoint of a run: go on with it by resume\(\)"):
        make_trainer(tmp_path).fit(batches(), epochs=1)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_a_directory_that_cannot_be_made_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot hold checkpoints: .*; choose another directory"):
        make_trainer(tmp_path / "file" / "runs")


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path)
    trainer.fit(batches(), epochs=1)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot be written: No space left on device"):
        trainer.fit(batches(), epochs=2)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"checkpoint.safetensors", "receipt.json"}


def test_a_run_resumed_on_every_backend_goes_on_bit_for_bit(tmp_path, backend):
    def run(directory, epochs, resume=False):
        tinyseq.seed(5)
        trainer = make_trainer(directory, save_seconds=0.0)
        if resume:
            trainer.resume()
        trainer.fit(batches(), epochs=epochs)
        return trainer

    whole = run(tmp_path / "whole", 3)
    run(tmp_path / "parts", 1)
    resumed = run(tmp_path / "parts", 3, resume=True)
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], array)


def test_the_state_and_the_best_parameters_are_taken_up_again(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.fit(batches(), epochs=1)
    best = trainer.model.state_dict()
    trainer.train_step(next(iter(batches())))
    trainer.save()

    resumed = make_trainer(tmp_path)
    resumed.resume()
    assert type(resumed.state) is type(trainer.state)
    for ours, theirs in zip(resumed.state, trainer.state, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    resumed.restore_best()
    for name, array in resumed.model.state_dict().items():
        np.testing.assert_array_equal(array, best[name])


def test_a_model_that_can_never_be_saved_is_told_before_the_first_epoch(tmp_path):
    class Mine(tinyseq.nn.Module):
        def forward(self, xs):
            return xs

    encoder = tinyseq.nn.Sequential(Mine(), tinyseq.Recurrent(tinyseq.cells["gru"](4, 4)))
    model = tinyseq.nn.SequenceModel(tinyseq.nn.Embedding(9, 4), encoder, tinyseq.heads["classifier"](4, 2))
    batches = [(tinyseq.Sequences.from_list([[1, 2], [3]]), np.array([0, 1]))]
    trainer = Trainer(model, tinyseq.optim.SGD(model, lr=0.1), directory=tmp_path, bars=False)
    with pytest.warns(UserWarning, match=r"tinyseq.save will refuse it: .*Mine has no registered name"):
        trainer.fit(batches, epochs=1)
    assert len(trainer.history) == 1
