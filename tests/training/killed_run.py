"""A run to be killed: `python killed_run.py DIRECTORY SECONDS_PER_SYNC` goes on to the end of training."""

import os
import sys
import time
from pathlib import Path

import numpy as np

import tinyseq
from tinyseq.data import ContiguousWindows
from tinyseq.nn import Dropout, Embedding, SequenceModel, Sequential
from tinyseq.optim import Adam, Cosine, Schedule
from tinyseq.training import Trainer, carried_state

EPOCHS = 3


class ShuffledStreams(list):
    """Batches in another order every epoch, drawn from tinyseq's random numbers."""

    def __iter__(self):
        for i in tinyseq.random.generator().permutation(len(self)):
            yield self[i]


@tinyseq.register("layer", "killed-run-encoder")
class DropoutEncoder(tinyseq.nn.Module):
    """A GRU under dropout, which draws random numbers at every step."""

    def __init__(self, width):
        self.recurrent = tinyseq.Recurrent(tinyseq.cells["gru"](width, width))
        self.dropout = Sequential(Dropout(0.3))

    def initial_state(self, batch_size):
        return self.recurrent.initial_state(batch_size)

    def forward(self, xs):
        return self.scan(xs)[0]

    def scan(self, xs, state=None):
        ys, state = self.recurrent.scan(xs, state)
        return self.dropout(ys), state


def make_trainer(directory):
    tinyseq.seed(7)
    model = SequenceModel(Embedding(9, 8), DropoutEncoder(8), tinyseq.heads["language-model"](8, 9))
    optimizer = Adam(model, lr=1e-2)
    schedule = Schedule(optimizer, Cosine(150))
    return Trainer(
        model, optimizer, carried_state, schedule=schedule, clip=1.0, directory=directory, save_seconds=0.0
    )


def make_data(length):
    rng = np.random.default_rng(0)
    ids = np.cumsum(rng.integers(0, 3, length + 100)) % 9
    return ShuffledStreams(ContiguousWindows(ids[:length], 4, 6)), ContiguousWindows(ids[length:], 4, 6)


def main(directory, seconds_per_sync):
    sync = os.fsync
    os.fsync = lambda file: (time.sleep(seconds_per_sync), sync(file))[1]  # a slow disk
    trainer = make_trainer(directory)
    if (Path(directory) / "checkpoint.safetensors").exists():
        trainer.resume()
    print("ready", flush=True)
    trainer.fit(*make_data(1200), epochs=EPOCHS)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
