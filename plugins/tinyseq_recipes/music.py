"""Music: what sounds next, when many keys sound at once.

Every frame is 88 questions, one for each key of a piano: does it sound? Each is answered by itself, given all
that came before (Boulanger-Lewandowski et al. 2012). The figure is the negative log-likelihood of a frame.
Two baselines: how often each key sounds, and a logistic regression on the frame before: it has no memory.
"""

from pathlib import Path
from typing import Any

import numpy as np
from tinyseq_cells.deep import Deep
from tinyseq_heads.multi_label import MultiLabel

import tinyseq
from tinyseq import Sequences
from tinyseq.data import LengthBatches, read_json
from tinyseq.evaluation import BinaryNats
from tinyseq.nn import Dropout, SequenceModel, Sequential
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, measure
from tinyseq_recipes.common import losses, show, show_epoch, split
from tinyseq_recipes.made.signals import Frames, chorales

LOWEST, KEYS = 21, 88  # the MIDI number of the lowest key of a piano, and how many there are


def music(
    data: Path | None = None,
    *,
    cell: str = "gru",
    hidden: int = 128,
    dropout: float = 0.3,
    epochs: int = 25,
    batch: int = 8,
    lr: float = 4e-3,
    examples: int = 120,
    seed: int = 0,
) -> list[Outcome]:
    """What sounds next, beside a logistic regression on the frame before.

    Data: a .json file of train, valid and test: lists of pieces, of frames, of MIDI pitches; or its folder.
    """
    train, valid, test = map(_rolls, _read(data) if data else split(chorales(examples), 0.7, 0.15, 0.15))
    print(f"{len(train)} pieces to learn from; {sum(map(len, test)):,} frames are for the test")

    often = (np.concatenate(train).sum(0) + 0.5) / (sum(map(len, train)) + 1)
    counted, frames = BinaryNats(), np.concatenate(test)
    counted.update(np.broadcast_to(np.log(often / (1 - often)), frames.shape), frames)
    print(f"baseline: how often each key sounds, {counted.value():.3f} nats a frame")

    def fit(encoder: Any, width: int, lr: float, report: Any) -> tuple[float, Trainer]:
        tinyseq.seed(seed)
        model = SequenceModel(Sequential(), encoder, MultiLabel(width, KEYS))
        trainer = Trainer(model, Adam(model, lr=lr), clip=1.0, after_epoch=report)
        trainer.fit(LengthBatches(train, batch, _batch), LengthBatches(valid, 64, _batch), epochs=epochs)
        trainer.restore_best()
        return measure(model, LengthBatches(test, 64, _batch))["nats"].value(), trainer

    baseline, _ = fit(Sequential(), KEYS, 0.03, ())
    print(f"baseline: logistic regression on the frame before, {baseline:.3f} nats a frame")
    recurrent = tinyseq.Recurrent(tinyseq.cells[cell](KEYS, hidden))
    value, trainer = fit(Deep(recurrent, Dropout(dropout)), hidden, lr, [show_epoch])
    return [show(Outcome(cell, "nats a frame", value, baseline, True, losses(trainer)))]


def _read(data: Path) -> list[list[Frames]]:
    file = next(iter(sorted(data.glob("*.json*"))), data / "music.json") if data.is_dir() else data
    found = read_json(file)
    return [found[part] for part in ("train", "valid", "test")]


def _rolls(pieces: list[Frames]) -> list[Any]:
    """Each piece as an array (frames, keys) of 0 and 1."""
    rolls = []
    for piece in pieces:
        roll = np.zeros((len(piece), KEYS), np.float32)
        for frame, pitches in zip(roll, piece, strict=True):
            frame[np.array(pitches, int) - LOWEST] = 1
        rolls.append(roll)
    return rolls


def _batch(rolls: list[Any]) -> tuple[Sequences, Sequences]:
    """The frames before, silence first, and the frames."""
    before = [np.concatenate([np.zeros((1, KEYS), np.float32), roll[:-1]]) for roll in rolls]
    return Sequences.from_list(before), Sequences.from_list(rolls)
