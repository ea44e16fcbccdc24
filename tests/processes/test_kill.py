"""Whatever befalls one process of several, the job ends within seconds and goes on as if nothing had been."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinyseq.training.checkpoints import read_checkpoint

SCRIPT = Path(__file__).with_name("killed.py")
SIZE = 3
KILLS = int(os.environ.get("TINYSEQ_TEST_KILLS", "3"))
TIMEOUT = 2  # seconds that a process waits for another


@pytest.fixture(scope="module")
def mpirun(mpirun):
    if mpirun is None:
        pytest.skip("needs the extra mpi, with mpirun")
    return mpirun


@contextmanager
def running(mpirun, folder, *fate):
    """The job, and the process id of each rank, once all have begun."""
    # MPICH's mpirun ends a job before anybody in it could say who has died, unless it is told not to.
    command = [
        mpirun,
        "-disable-auto-cleanup",
        "-n",
        str(SIZE),
        sys.executable,
        str(SCRIPT),
        str(folder),
        *map(str, fate),
    ]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TINYSEQ_BACKEND": "numpy",
        "TINYSEQ_PROCESS_TIMEOUT": str(TIMEOUT),
        "EPOCHS": str(4 + 2 * KILLS),  # each kill finds a run that has gone on since the last
    }
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment) as job:
        try:
            pids = {}
            while len(pids) < SIZE:
                line = job.stdout.readline()
                assert line, job.stderr.read()
                if line.startswith("ready"):
                    _, rank, pid = line.split()
                    pids[int(rank)] = int(pid)
            yield job, pids
        finally:
            job.kill()


def finished(mpirun, folder):
    with running(mpirun, folder) as (job, _):
        _, errors = job.communicate(timeout=20 + 10 * KILLS)
    assert job.returncode == 0, errors
    arrays, record = read_checkpoint(folder / "checkpoint.safetensors")
    for epoch in record["progress"]["history"]:
        del epoch["seconds"]
    return {name: array.tobytes() for name, array in arrays.items()}, record


@pytest.fixture(scope="module")
def whole(mpirun, tmp_path_factory):
    return finished(mpirun, tmp_path_factory.mktemp("whole"))


def test_killed_at_any_instant_a_job_ends_and_goes_on_bit_for_bit(mpirun, tmp_path, whole):
    moments = random.Random(KILLS)
    killed = 0
    for _ in range(KILLS):
        with running(mpirun, tmp_path) as (job, pids):
            time.sleep(moments.uniform(0.0, 0.5))
            os.kill(pids[moments.randrange(SIZE)], signal.SIGKILL)
            at = time.monotonic()
            _, errors = job.communicate(timeout=20)
            assert time.monotonic() - at < 5 + TIMEOUT
        killed += job.returncode != 0
        read_checkpoint(tmp_path / "checkpoint.safetensors")  # whole
    assert killed == KILLS, errors
    assert finished(mpirun, tmp_path) == whole
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            "hang",
            r"tinyseq: rank 1 \(process {pid} on .*\) has not answered rank 0 for 2 seconds; the job ends",
        ),
        ("exit", r"tinyseq: rank 1 \(process {pid} on .*\) has died; the job ends"),
        ("nan", r"rank 1 \(process {pid} on .*\) stopped: NonFiniteError: The loss is nan in epoch 1"),
        ("data", r"rank 1 \(process {pid} on .*\) stopped: OSError: the disk is gone"),
    ],
)
def test_the_process_that_something_befalls_is_named(mpirun, tmp_path, whole, what, said):
    with running(mpirun, tmp_path, 1, what, 6) as (job, pids):
        at = time.monotonic()
        out, errors = job.communicate(timeout=30)
        assert time.monotonic() - at < 10 + TIMEOUT
    assert job.returncode != 0
    assert re.search(said.format(pid=pids[1]), out + errors), out + errors
    _, record = read_checkpoint(tmp_path / "checkpoint.safetensors")
    assert record["progress"]["step"] in (5, 6)
    if what in ("hang", "exit"):
        assert finished(mpirun, tmp_path) == whole


def test_ctrl_c_stops_all_between_two_steps(mpirun, tmp_path, whole):
    with running(mpirun, tmp_path) as (job, pids):
        time.sleep(0.3)
        os.kill(pids[2], signal.SIGTERM)
        _, errors = job.communicate(timeout=20)
    assert errors.count("KeyboardInterrupt: stopped in epoch ") >= 1
    assert finished(mpirun, tmp_path) == whole
