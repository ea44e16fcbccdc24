"""Commands that mpirun begins several times, and that speak with one voice."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from tinyseq.cli.arguments import WRONG
from tinyseq.errors import TinyseqError
from tinyseq.processes import MPI, Processes, Team
from tinyseq.processes.mpi import begun_by_launcher

INTERRUPTED = 130


@contextmanager
def processes_begun() -> Iterator[Processes | None]:
    """The processes that a launcher has begun, this one among them; None if it was begun alone.

    Rank 0 shows what there is to show. What goes wrong is told to all and said once, by the process that it
    happened to, with its name; all of them end.
    """
    if not begun_by_launcher():
        yield None
        return
    processes = MPI()
    team = Team(processes)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere if team.rank else sys.stdout):
        if team.rank:
            warnings.simplefilter("ignore")
        try:
            yield processes
        except BaseException as error:
            team.tell(error)
            if team.is_said_elsewhere(error):
                raise SystemExit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else WRONG) from None
            if isinstance(error, TinyseqError) and not team.is_shared(error):
                error.args = (f"{team.name}: {error}",)
            raise
