"""Image to word: a picture in, its name spelled out; what captioning does, with one word for a caption.

A layer of units looks at the image; what they found is a vector, from which a recurrence starts, and which it
sees at every step (Vinyals et al. 2015 showed it once). The word is right only if every letter is. The
baseline names the digit whose average image is nearest.
"""

from pathlib import Path
from typing import Any

import numpy as np
from tinyseq_heads.generator import Generator

import tinyseq
from tinyseq import Sequences, Tensor, ops
from tinyseq.data import LengthBatches, Vocabulary, read_idx
from tinyseq.nn import Dropout, Linear, SequenceModel, Sequential
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, measure
from tinyseq_recipes.common import losses, show, show_epoch, split
from tinyseq_recipes.made.signals import Array, digit_images

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
END = "<end>"


def image_to_word(
    data: Path | None = None,
    *,
    cell: str = "gru",
    vision: int = 128,
    embedding: int = 16,
    hidden: int = 64,
    dropout: float = 0.3,
    epochs: int = 15,
    batch: int = 64,
    lr: float = 2e-3,
    examples: int = 2500,
    seed: int = 0,
) -> list[Outcome]:
    """The name of a digit, by letters, from its image, beside the nearest average.

    Data: a folder with *images-idx3* and *labels-idx1* files, as MNIST's.
    """
    images, digits = _read(data) if data else digit_images(examples)
    flat = images.reshape(len(images), -1)
    train, valid, test = split(list(zip(flat, digits.tolist(), strict=True)), 0.8, 0.1, 0.1)
    print(f"{len(train):,} images to learn from; {len(test):,} are for the test")

    means = np.stack([np.mean([x for x, digit in train if digit == d], axis=0) for d in range(10)])
    baseline = float(np.mean([((means - x) ** 2).sum(1).argmin() == digit for x, digit in test]))
    print(f"baseline: the nearest average image, {baseline:.4f} right")

    tinyseq.seed(seed)
    letters = Vocabulary(sorted(set("".join(NAMES))), specials=[END])
    spelled = [letters.encode([*name, END]) for name in NAMES]
    eye = Sequential(Linear(flat.shape[1], vision), ops.relu, Dropout(dropout))
    writer = Generator(
        vision, len(letters), tinyseq.cells[cell](embedding + vision, hidden), end=0, max_length=8
    )
    model = SequenceModel(Sequential(), eye, writer)

    def collate(examples: list[Any]) -> tuple[Tensor, Sequences]:
        words = Sequences.from_list([spelled[digit] for _, digit in examples])
        return Tensor(np.stack([x for x, _ in examples])), words

    trainer = Trainer(model, Adam(model, lr=lr), clip=1.0, after_epoch=[show_epoch])
    trainer.fit(LengthBatches(train, batch, collate), LengthBatches(valid, 256, collate), epochs=epochs)
    trainer.restore_best()

    shown, words = collate(test[:10])
    for found, wanted in zip(model.eval().predict(shown), words.to_list(), strict=True):
        print(f"  {letters.decode(found):<8} ({letters.decode(wanted.numpy(), skip_specials=True)})")
    right = measure(model, LengthBatches(test, 256, collate))["exact_match"].value()
    return [show(Outcome(cell, "words right", right, baseline, losses=losses(trainer)))]


def _read(data: Path) -> tuple[Array, Array]:
    parts = ("images-idx3", "labels-idx1")
    files = [next(iter(sorted(data.glob(f"*{part}*"))), data / part) for part in parts]
    return read_idx(files[0]).astype(np.float32) / 255, read_idx(files[1])
