"""Whatever is done to a run, it ends as if nothing had been done: the weights are equal bit for bit."""

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyseq.training.checkpoints import read_checkpoint

SCRIPT = Path(__file__).with_name("killed_run.py")
KILLS = 8
SLOW_DISK = 0.01  # seconds per sync, so that most kills fall into the writing of a checkpoint


def load_script():
    spec = importlib.util.spec_from_file_location("killed_run", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def running(directory, seconds_per_sync):
    """The script as a process that has begun to train."""
    command = [sys.executable, str(SCRIPT), str(directory), str(seconds_per_sync)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TINYSEQ_BACKEND": "numpy"}
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment) as process:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        yield process


def run_to_the_end(directory):
    with running(directory, 0.0) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("uninterrupted")
    run_to_the_end(directory)
    return directory


def assert_same_end(directory, expected):
    arrays, record = read_checkpoint(directory / "checkpoint.safetensors")
    wanted_arrays, wanted_record = read_checkpoint(expected / "checkpoint.safetensors")
    assert arrays.keys() == wanted_arrays.keys()
    for key, array in arrays.items():
        assert array.tobytes() == wanted_arrays[key].tobytes(), key
    assert without_times(record) == without_times(wanted_record)


def without_times(record):
    for epoch in record["progress"]["history"]:
        del epoch["seconds"]
    return record


def test_killed_at_any_instant_it_ends_with_the_weights_of_an_uninterrupted_run(tmp_path, uninterrupted):
    moments = random.Random(0)
    while_writing = 0
    for kill in range(KILLS):
        with running(tmp_path, SLOW_DISK) as process:
            time.sleep(moments.uniform(0.0, 0.3))
            if kill % 2:  # half of the kills wait until a checkpoint is being written
                deadline = time.monotonic() + 20
                while not list(tmp_path.glob(".*.tmp")) and time.monotonic() < deadline:
                    pass
            process.kill()
        assert process.returncode == -signal.SIGKILL, "it had ended before it was killed: give it more to do"
        while_writing += bool(list(tmp_path.glob(".*.tmp")))
        for file in tmp_path.glob("*.safetensors"):
            read_checkpoint(file)  # the old one or the new one, whole
    assert while_writing >= KILLS // 4

    run_to_the_end(tmp_path)
    assert_same_end(tmp_path, uninterrupted)
    assert not list(tmp_path.glob(".*.tmp")), "what killed writes left behind was not swept up"


def test_ctrl_c_stops_between_two_steps_and_leaves_a_whole_checkpoint(tmp_path, uninterrupted):
    with running(tmp_path, SLOW_DISK) as process:
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt: stopped in epoch " in errors
    read_checkpoint(tmp_path / "checkpoint.safetensors")
    run_to_the_end(tmp_path)
    assert_same_end(tmp_path, uninterrupted)


@pytest.mark.parametrize("stop_after", [1, 7, 17, 18, 40])
def test_resuming_at_any_step_goes_on_bit_for_bit(tmp_path, stop_after):
    script = load_script()
    batches, valid = script.make_data(400)
    whole = script.make_trainer(tmp_path / "whole")
    whole.fit(batches, valid, epochs=script.EPOCHS)

    stopped = script.make_trainer(tmp_path / "stopped")
    steps = iter(range(stop_after))
    train_step = stopped.train_step

    def some_steps(batch):
        if next(steps, None) is None:
            raise OSError("the machine went down")
        train_step(batch)

    stopped.train_step = some_steps
    with pytest.raises(EnvironmentError, match="went down"):
        stopped.fit(batches, valid, epochs=script.EPOCHS)

    resumed = script.make_trainer(tmp_path / "stopped")
    resumed.resume()
    resumed.fit(batches, valid, epochs=script.EPOCHS)
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], array, err_msg=name)
    assert [replace(e, seconds=0) for e in resumed.history] == [replace(e, seconds=0) for e in whole.history]
