"""Processes that mpirun has begun, by way of mpi4py (extra `mpi`)."""

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinyseq.backend import Array, threads
from tinyseq.errors import ConfigError, ProcessError

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "MPI_LOCALNRANKS")
"""Variables in which launchers say how many processes they have begun."""

TIMEOUT = "TINYSEQ_PROCESS_TIMEOUT"
"""The variable that says how many seconds a process waits for another."""

HURRY, PAUSE = 0.002, 0.0002  # seconds of waiting with all of a core, and of each sleep after them
LOOK = 0.2  # seconds after which, and after which again, one looks whether the other is alive


def begun_by_launcher() -> bool:
    """Whether mpirun, or another launcher, has begun this process and others beside it."""
    return any(int(size) > 1 for name in SIZES if (size := os.environ.get(name, "")).isdigit())


class MPI:
    """The processes of MPI's world, which share the cores of each machine.

    Rank 0 waits for another for `timeout` seconds, by default as TINYSEQ_PROCESS_TIMEOUT says, else 300, and
    no longer than that one lives, if it is on the same machine; then it names it, and the job ends. Raises
    ConfigError without mpi4py or an MPI, and where the processes do not see each other.
    """

    def __init__(self, timeout: float | None = None) -> None:
        try:
            from mpi4py import MPI as mpi
        except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py without an MPI
            raise ConfigError(
                "Training in several processes needs mpi4py and an MPI: pip install 'tinyseq[mpi]' "
                f"({str(error).splitlines()[0]})."
            ) from None
        self._mpi = mpi
        self._world = mpi.COMM_WORLD
        self.rank, self.size = self._world.rank, self._world.size
        if self.size == 1 and begun_by_launcher():
            raise ConfigError(
                "A launcher began several processes, but mpi4py sees only this one: use the mpirun of the "
                f"MPI that mpi4py found, which is {mpi.Get_library_version().split(',')[0].splitlines()[0]}."
            )
        self.timeout = _timeout() if timeout is None else timeout
        there = self._world.Split_type(mpi.COMM_TYPE_SHARED)
        threads.share_cores(there.size)
        self._places: list[tuple[int, str]] = self._world.allgather((os.getpid(), socket.gethostname()))

    def __repr__(self) -> str:
        return f"MPI(rank {self.rank} of {self.size})"

    def allgather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank: rank 0 hears from each, and tells all of them."""
        if self.rank:
            self._send(value, 0)
            found: list[Any] = self._receive(0)
            return found
        found = [value, *(self._receive(rank) for rank in range(1, self.size))]
        for rank in range(1, self.size):
            self._send(found, rank)
        return found

    def sum(self, array: Array) -> Array:
        """The sum over all processes of an array (n,) of floats; MPI gives each of them the same bits."""
        total = np.empty_like(array)
        request = self._world.Iallreduce(np.ascontiguousarray(array), total)
        self._wait(request.Test, None)
        return total

    def _send(self, value: Any, rank: int) -> None:
        self._wait(self._world.isend(value, rank).Test, rank)

    def _receive(self, rank: int) -> Any:
        message: list[Any] = []

        def arrived() -> bool:
            if not message and (found := self._world.improbe(rank)) is not None:
                message.append(found)
            return bool(message)

        self._wait(arrived, rank)
        return message[0].recv()

    def _wait(self, done: Callable[[], bool], rank: int | None) -> None:
        """Return when `done()`; where process `rank`, or any, keeps it waiting for too long, end the job."""
        began = time.monotonic()
        look = LOOK
        # What the others wait for is rank 0, which waits itself: it is the one that knows for whom.
        patience = self.timeout if rank else 2 * self.timeout
        while not done():
            waited = time.monotonic() - began
            if waited > look:
                look += LOOK
                for other in range(self.size) if rank is None else [rank]:
                    if not self._lives(other):
                        self._give_up(f"{self._called(other)} has died")
            if waited > patience:
                whom = "another process" if rank is None else self._called(rank)
                self._give_up(f"{whom} has not answered rank {self.rank} for {patience:g} seconds")
            time.sleep(0 if waited < HURRY else PAUSE)

    def _called(self, rank: int) -> str:
        pid, host = self._places[rank]
        return f"rank {rank} (process {pid} on {host})"

    def _lives(self, rank: int) -> bool:
        """False if a process of this machine is no more; of others nobody here knows."""
        pid, host = self._places[rank]
        if host != self._places[self.rank][1]:
            return True
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except ProcessLookupError:
            return False
        except OSError:  # not ours to signal, or a system without /proc
            return True
        return state != "Z"  # dead, and its parent has not asked for its exit code

    def _give_up(self, why: str) -> None:
        sentence = f"{why}; the job ends. Go on from the last checkpoint."
        print(f"tinyseq: {sentence}", file=sys.stderr, flush=True)
        self._world.Abort(3)
        raise ProcessError(sentence)  # where Abort returns


def _timeout() -> float:
    text = os.environ.get(TIMEOUT, "300")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not seconds > 0:
        raise ConfigError(f"{TIMEOUT}={text!r}: it is a number of seconds above 0.")
    return seconds
