"""Several processes that play scenarios: over pipes, or under mpirun where mpi4py is installed."""

import importlib.util
import os
import pickle
import shutil
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("ranks.py")
SECONDS = 60


def over_pipes(size, folder, scenarios):
    """Run the script as `size` processes, and pass on what they say, until all have ended."""
    pairs = [socket.socketpair() for _ in range(size)]
    command = [sys.executable, str(SCRIPT), str(folder), *scenarios]
    shared = {**os.environ, "OMP_NUM_THREADS": "1", "TINYSEQ_BACKEND": "numpy", "SIZE": str(size)}
    children = []
    for rank, (_, there) in enumerate(pairs):
        environment = {**shared, "RANK": str(rank), "PIPE": str(there.fileno())}
        children.append(
            subprocess.Popen(command, env=environment, pass_fds=[there.fileno()], stderr=-1, text=True)
        )
    for _, there in pairs:
        there.close()
    pipes = [Connection(here.detach()) for here, _ in pairs]
    try:
        pass_on(pipes)
        for rank, child in enumerate(children):
            _, errors = child.communicate(timeout=SECONDS)
            assert child.returncode == 0, f"rank {rank}: {errors}"
    finally:
        for child in children:
            child.kill()
            child.communicate()
        for pipe in pipes:
            pipe.close()


def pass_on(pipes):
    while True:
        said = []
        for rank, pipe in enumerate(pipes):
            assert pipe.poll(SECONDS), f"rank {rank} says nothing"
            try:
                said.append(pipe.recv())
            except EOFError:
                said.append(("ended", None))
        (kind,) = {kind for kind, _ in said}  # all ask for the same
        if kind == "ended":
            return
        values = [value for _, value in said]
        for pipe in pipes:
            pipe.send(values if kind == "allgather" else sum(values[1:], values[0]))


def under_mpirun(size, folder, scenarios):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TINYSEQ_BACKEND": "numpy"}
    command = [mpirun(), "-n", str(size), sys.executable, str(SCRIPT), str(folder), *scenarios]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr


def mpirun():
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


def begin(way, size, folder, scenarios):
    if way == "mpi" and not (importlib.util.find_spec("mpi4py") and mpirun()):
        pytest.skip("needs the extra mpi, with mpirun")
    (over_pipes if way == "pipes" else under_mpirun)(size, folder, scenarios)
    return {
        name: [pickle.loads((folder / f"{name}.{rank}.pickle").read_bytes()) for rank in range(size)]
        for name in scenarios
    }


@pytest.fixture(scope="session")
def play():
    """`play(way, size, folder, scenarios)`: what each process makes of each scenario, by name and rank."""
    return begin


@pytest.fixture(scope="session", name="mpirun")
def mpirun_if_there():
    """What begins processes; None without MPI."""
    return mpirun() if importlib.util.find_spec("mpi4py") else None
