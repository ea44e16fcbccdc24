"""Several processes give the numbers of one, agree with each other, and go on after each other."""

import shutil

import numpy as np
import pytest

SAME = [
    "windows_float64",
    "ragged_weighted",
    "fewer_sequences_than_processes",
    "summed_and_accumulated",
    "accumulated",
    "classes_in_a_list",
]
ENDS = [*SAME, "windows_float32", "dropout", "whole_run", "whole_run_with_dropout"]
RESUMED = ["resumed", "resumed_with_dropout"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, play):
    """What one process makes of the scenarios, and its interrupted run."""
    folder = tmp_path_factory.mktemp("alone")
    found = play("pipes", 1, folder, [*ENDS, *RESUMED, "begin"])
    return {name: ends[0] for name, ends in found.items()}, folder


@pytest.fixture(scope="module", params=["pipes 2", "pipes 3", "pipes 4", "mpi 3"])
def together(request, tmp_path_factory, alone, play):
    """What several processes make of them; the run of one that they take up, and one for others."""
    way, size = request.param.split()
    folder = tmp_path_factory.mktemp(f"{way}{size}")
    shutil.copytree(alone[1] / "elsewhere", folder / "elsewhere")
    scenarios = [*ENDS, *RESUMED, "resumed_from_elsewhere", "first_dropout_step"]
    return play(way, int(size), folder, scenarios), folder


def assert_alike(found, wanted, rtol, atol):
    assert found["steps"] == wanted["steps"]
    for part in ("weights", "optimizer"):
        assert found[part].keys() == wanted[part].keys()
        for name, value in wanted[part].items():
            np.testing.assert_allclose(found[part][name], value, rtol=rtol, atol=atol, err_msg=name)
    for epoch, other in zip(found["history"], wanted["history"], strict=True):
        assert (epoch.number, epoch.best) == (other.number, other.best)
        assert epoch.metrics.keys() == other.metrics.keys()
        for name in ("train_loss", "valid_loss", "learning_rate", "gradient_norm", "targets"):
            if getattr(other, name) is not None:
                assert getattr(epoch, name) == pytest.approx(getattr(other, name), rel=rtol, abs=atol), name
        assert epoch.metrics == pytest.approx(other.metrics, rel=rtol)


def assert_equal(found, wanted):
    assert_alike(found, wanted, 0, 0)
    assert found["history"] == wanted["history"]


@pytest.mark.parametrize("name", SAME)
def test_the_numbers_are_those_of_one_process(alone, together, name):
    for found in together[0][name]:
        assert_alike(found, alone[0][name], 1e-12, 1e-12)


def test_the_numbers_are_those_of_one_process_in_single_precision(alone, together):
    for found in together[0]["windows_float32"]:
        assert_alike(found, alone[0]["windows_float32"], 1e-5, 1e-6)


@pytest.mark.parametrize("name", ENDS)
def test_all_processes_end_with_the_same_bits(together, name):
    first, *others = together[0][name]
    for other in others:
        assert_equal(other, first)


def test_dropout_draws_other_numbers_in_each_process_and_none_of_those_they_share(together):
    found = together[0]["first_dropout_step"]
    assert not any(one["moved"] for one in found)
    masks = np.stack([one["seen"] for one in found])
    assert 0.2 < masks.mean() < 0.8
    assert len(np.unique(masks, axis=0)) == len(masks)


@pytest.mark.parametrize(
    ("name", "whole"), [("resumed", "whole_run"), ("resumed_with_dropout", "whole_run_with_dropout")]
)
def test_an_interrupted_run_goes_on_bit_for_bit(alone, together, name, whole):
    assert_equal(alone[0][name], alone[0][whole])
    for found in together[0][name]:
        assert_equal(found, together[0][whole][0])


def test_a_run_of_one_process_goes_on_in_several(alone, together):
    for found in together[0]["resumed_from_elsewhere"]:
        assert_alike(found, alone[0]["whole_run"], 1e-12, 1e-12)


def test_a_run_of_three_processes_goes_on_in_two_and_in_one(alone, play, tmp_path):
    play("pipes", 3, tmp_path, ["begin"])
    for size in (2, 1):
        folder = tmp_path / str(size)
        shutil.copytree(tmp_path / "elsewhere", folder / "elsewhere")
        for found in play("pipes", size, folder, ["resumed_from_elsewhere"])["resumed_from_elsewhere"]:
            assert_alike(found, alone[0]["whole_run"], 1e-12, 1e-12)


def test_one_process_writes(together):
    folder = together[1] / "plain" / "run"
    assert sorted(file.name for file in folder.iterdir()) == [
        "best.safetensors",
        "checkpoint.safetensors",
        "history.csv",
        "receipt.json",
    ]
