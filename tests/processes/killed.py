"""A run of several processes that is meant to be killed: it goes on where it is, and says who takes part.

`killed.py FOLDER [RANK WHAT STEP]`: WHAT (hang, exit, nan, data) befalls the process RANK at STEP.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
from scenarios import language_model

from tinyseq.processes import MPI, Team

EPOCHS = int(os.environ.get("EPOCHS", "3"))


def befalls(what, step):
    def happen(trainer, seen):
        if seen.number == step:
            if what == "hang":
                os.kill(os.getpid(), signal.SIGSTOP)
            elif what == "exit":
                os._exit(9)
            elif what == "nan":
                next(trainer.model.parameters()).data[...] = np.nan
            else:
                raise OSError("the disk is gone")

    return happen


def main():
    folder, *fate = sys.argv[1:]
    processes = MPI()
    team = Team(processes)
    functions = []
    if fate and int(fate[0]) == processes.rank:
        functions.append(befalls(fate[1], int(fate[2])))
    with team.telling():
        trainer, batches, valid = language_model(
            processes,
            length=1000,
            streams=7,
            directory=folder,
            save_seconds=0.0,
            after_step=functions,
            dropout=0.2,
        )
        trainer.schedule = None  # so that the last step changes the weights as much as the first
        if (Path(folder) / "checkpoint.safetensors").exists():
            trainer.resume()
        processes.allgather(None)
        print(f"ready {processes.rank} {os.getpid()}\n", end="", flush=True)
        trainer.fit(batches, valid, epochs=EPOCHS)


if __name__ == "__main__":
    main()
