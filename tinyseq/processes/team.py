"""What a Trainer asks of its processes; of one process alone it costs nothing."""

import hashlib
import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from tinyseq import random
from tinyseq.backend import Array
from tinyseq.errors import ProcessError
from tinyseq.nn import Module
from tinyseq.processes.communicator import Processes
from tinyseq.processes.gradients import sum_gradients
from tinyseq.processes.shares import dealt, fingerprint, merged_rows, share_of


class Failure(NamedTuple):
    """What a process says in place of what the others wait for."""

    who: str
    what: str


class Team:
    """This process and the others that `processes` reaches; alone without any."""

    def __init__(self, processes: Processes | None = None) -> None:
        self.processes = processes
        self.rank = 0 if processes is None else processes.rank
        self.size = 1 if processes is None else processes.size
        self._own: list[Array] = []  # gradients before they were added up

    @property
    def alone(self) -> bool:
        """Whether there is one process only."""
        return self.size == 1

    @property
    def name(self) -> str:
        """What to call this process."""
        return f"rank {self.rank} (process {os.getpid()} on {socket.gethostname()})"

    def exchange(self, value: Any) -> list[Any]:
        """The values of all processes, by rank. Raises ProcessError if one tells that it has failed."""
        if self.processes is None or self.alone:
            return [value]
        found = self.processes.allgather(value)
        failures = _failures(found)
        for failure in failures:
            if failure is not None:
                error = ProcessError(f"{failure.who} stopped: {failure.what}")
                error.told = failures  # type: ignore[attr-defined]
                raise error
        return found

    def total(self, total: float, count: float, weighed: bool, batches: Any) -> tuple[float, float, bool]:
        """A sum, a count and a flag over all processes. Raises ProcessError if they have other `batches`."""
        if self.alone:
            return total, count, weighed
        found = self.exchange((total, count, weighed, fingerprint(batches)))
        apart = [rank for rank, part in enumerate(found) if part[3] != found[0][3]]
        if apart:
            raise ProcessError(
                f"rank {apart[0]} was given another batch than rank 0, so that sequences would be lost or "
                "come twice: give every process the same data in the same order."
            )
        totals, counts, flags, _ = zip(*found, strict=True)
        return sum(totals), sum(counts), any(flags)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each of the flags, whether it is set in any process."""
        return tuple(map(any, zip(*self.exchange(flags), strict=True)))

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell the others of an exception that is raised within, where they next wait for this process."""
        try:
            yield
        except BaseException as error:
            self.tell(error)
            raise

    def tell(self, error: BaseException) -> None:
        """Tell the others, once; `error.told` is then what each process, by rank, tells in that instant."""
        if self.processes is None or self.alone or getattr(error, "told", None):
            return
        failure = Failure(self.name, f"{type(error).__name__}: {error}")
        error.told = _failures(self.processes.allgather(failure))  # type: ignore[attr-defined]

    def is_said_elsewhere(self, error: BaseException) -> bool:
        """Whether an error that was told is that of another process, or one of lower rank has the same."""
        *lower, own = (failure and failure.what for failure in getattr(error, "told", [])[: self.rank + 1])
        return own is None or own in lower

    def is_shared(self, error: BaseException) -> bool:
        """Whether all processes have met an error that was told."""
        return len({failure and failure.what for failure in getattr(error, "told", [])}) == 1

    def shares(self, batches: Iterable[Any]) -> list[Any]:
        """This process's parts of batches, without those in which it has none."""
        if self.alone:
            return list(batches)
        return [share for batch in batches if (share := share_of(batch, self.rank, self.size)) is not None]

    def places(self, count: int) -> list[int]:
        """Which sequences of a batch of `count` are this process's."""
        return dealt(count, self.rank, self.size)

    @contextmanager
    def own_numbers(self, *turn: int) -> Iterator[None]:
        """Within, this process draws random numbers of its own, others every turn; those of all stay put."""
        if self.alone:
            yield
            return
        shared = random.get_state()
        text = json.dumps([shared, turn, self.rank], default=str)
        random.seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))
        try:
            yield
        finally:
            random.set_state(shared)

    def sum_gradients(self, model: Module, factor: float) -> None:
        """Make every gradient `factor` times the sum of those of all processes."""
        assert self.processes is not None
        self._own = sum_gradients(model, self.processes, factor)

    def blamed(self) -> str:
        """Where gradients were not finite before they were added up: the names of those processes."""
        clean = all(np.isfinite(values).all() for values in self._own)
        return " and ".join(name for name in self.exchange("" if clean else self.name) if name)

    def whole_rows(self, rows: list[Array]) -> list[Array]:
        """Arrays with a row for each sequence of a batch, from those of this process's share."""
        return rows if self.alone else merged_rows(self.exchange(rows), self.size)


def _failures(found: list[Any]) -> list[Failure | None]:
    return [value if isinstance(value, Failure) else None for value in found]
