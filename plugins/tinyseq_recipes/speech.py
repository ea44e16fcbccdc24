"""Speech: which digits were spoken, in a recording in which nobody marked where each one is.

Recordings of single digits are put one behind the other, and only the digits in their order are told: CTC
(Graves et al. 2006) sums over all ways to lay them along the frames. Recordings of the test are never heard
in training. The baseline sees each frame by itself, through the same loss: it cannot know what it just heard.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_heads.ctc import CTCHead

import tinyseq
from tinyseq import Sequences
from tinyseq.engine import no_grad
from tinyseq.errors import DataError, clip
from tinyseq.evaluation import ErrorRate
from tinyseq.nn import Dropout, SequenceModel, Sequential
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, measure
from tinyseq_recipes.common import Drawn, losses, show, show_epoch
from tinyseq_recipes.made.signals import Array, spoken_digits

Recording = tuple[Array, int, str]
Batch = tuple[Sequences, Sequences]


def speech(
    data: Path | None = None,
    *,
    cell: str = "gru",
    hidden: int = 64,
    dropout: float = 0.2,
    most: int = 5,
    stack: int = 3,
    beam: int = 8,
    epochs: int = 6,
    steps: int = 60,
    batch: int = 32,
    lr: float = 4e-3,
    examples: int = 600,
    seed: int = 0,
) -> list[Outcome]:
    """Which digits were spoken, by CTC, beside a model that hears single frames.

    Data: an .npz file of recordings, or its folder: `feat` one after the other, and `lengths`, `label`,
    `speaker`, `index` of each.
    """
    train, test = _read(data) if data else (spoken_digits(examples)[100:], spoken_digits(examples)[:100])
    frames = np.concatenate([frames for frames, _, _ in train])
    middle, scale = frames.mean(0), frames.std(0) + 1e-6
    train, test = ([((x - middle) / scale, y, who) for x, y, who in part] for part in (train, test))
    rng = np.random.default_rng(0)
    tests = [_batch(test, most, batch, stack, rng) for _ in range(8)]
    print(f"{len(train):,} recordings to learn from; 1 to {most} of {len(test):,} others a test string")

    def fit(encoder: Any, width: int, report: Any) -> tuple[SequenceModel, Trainer]:
        tinyseq.seed(seed)
        model = SequenceModel(Sequential(), encoder, CTCHead(width, 11))
        trainer = Trainer(model, Adam(model, lr=lr), clip=1.0, after_epoch=report)
        trainer.fit(Drawn(lambda rng: _batch(train, most, batch, stack, rng), steps), epochs=epochs)
        return model, trainer

    width = frames.shape[1] * stack
    model, _ = fit(Sequential(), width, ())
    baseline = measure(model, tests)["error_rate"].value()
    print(f"baseline: each frame by itself, {baseline:.4f} errors a digit")

    make = tinyseq.cells[cell]
    directions = Bidirectional(make(width, hidden), make(width, hidden))
    model, trainer = fit(Deep(directions, Dropout(dropout)), 2 * hidden, [show_epoch])
    greedy = measure(model, tests)["error_rate"].value()
    print(f"greedy: {greedy:.4f} errors a digit")
    searched = ErrorRate()
    with no_grad(), model.evaluating():
        for xs, wanted in tests:
            searched.update([hypotheses[0].ids for hypotheses in model.head.beam(model(xs), beam)], wanted)
    heard, said = model.eval().predict(tests[0][0]), tests[0][1].to_list()
    for x, y in list(zip(heard, said, strict=True))[:5]:
        print(f"  heard {_digits(x):<12} said {_digits(y.numpy())}")
    found = searched.value()
    return [show(Outcome(f"bi{cell}, beam {beam}", "error rate", found, baseline, True, losses(trainer)))]


def _digits(labels: Array) -> str:
    return " ".join(str(label - 1) for label in labels.tolist())


def _batch(recordings: list[Recording], most: int, size: int, stack: int, rng: np.random.Generator) -> Batch:
    """Strings of recordings, each of one speaker, `stack` frames to a step, and their labels from 1 on."""
    speakers: dict[str, list[Recording]] = {}
    for recording in recordings:
        speakers.setdefault(recording[2], []).append(recording)
    names = sorted(speakers)
    strings, labels = [], []
    for _ in range(size):
        own = speakers[names[int(rng.integers(len(names)))]]
        chosen = [own[int(i)] for i in rng.integers(len(own), size=int(rng.integers(1, most + 1)))]
        frames = np.concatenate([x for x, _, _ in chosen]).astype(np.float32)
        frames = frames[: len(frames) // stack * stack].reshape(-1, stack * frames.shape[1])
        strings.append(frames)
        labels.append(np.array([digit + 1 for _, digit, _ in chosen]))
    return Sequences.from_list(strings), Sequences.from_list(labels)


# an archive of another kind, one array for many, and what its parts claim to be
_UNREADABLE = (
    OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, SyntaxError,
    MemoryError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def _read(data: Path) -> tuple[list[Recording], list[Recording]]:
    """Recordings to learn from, and for the test: those with an index below 5, as is the custom."""
    file = next(iter(sorted(data.glob("*.npz"))), data / "speech.npz") if data.is_dir() else data
    try:
        with open(file, "rb") as raw, np.load(raw) as arrays:
            cuts = np.cumsum(arrays["lengths"].astype(int))[:-1]
            parts = np.split(arrays["feat"].astype(np.float32), cuts)
            known = zip(parts, arrays["label"].tolist(), arrays["speaker"].tolist(), strict=True)
            recordings, index = list(known), arrays["index"].tolist()
    except _UNREADABLE as error:
        raise DataError(f"{file} holds no recordings: {clip(str(error))}.") from None
    return (
        [r for r, i in zip(recordings, index, strict=True) if i >= 5],
        [r for r, i in zip(recordings, index, strict=True) if i < 5],
    )
