"""One process of several, as a script: it plays scenarios and leaves what came of them in files.

`ranks.py FOLDER SCENARIO...` under mpirun; over pipes the environment says RANK, SIZE and PIPE, a descriptor.
"""

import os
import pickle
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import commands
import failing
import scenarios

from tinyseq.processes import MPI

PLAYS = scenarios.SCENARIOS | failing.SCENARIOS | commands.SCENARIOS


class Piped:
    """Processes whose parent passes on what they say; it adds up in the order of ranks."""

    def __init__(self):
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["SIZE"])
        self.pipe = Connection(int(os.environ["PIPE"]))

    def allgather(self, value):
        self.pipe.send(("allgather", value))
        return self.pipe.recv()

    def sum(self, array):
        assert array.ndim == 1
        self.pipe.send(("sum", array))
        return self.pipe.recv()


def main():
    folder = Path(sys.argv[1])
    processes = Piped() if "PIPE" in os.environ else MPI(timeout=20)
    for name in sys.argv[2:]:
        found = PLAYS[name](processes, folder)
        (folder / f"{name}.{processes.rank}.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
