"""One shot: to know a character again that was seen once, in an alphabet that is new.

Rows of pixels are a sequence; drawings of one character are pulled together and others pushed away, by all
triplets of a batch (Hermans et al. 2017). Then come characters of the test: of 20 drawings, one each, which
is the same character as a new one (Lake et al. 2015)? The baseline compares pixels, a little blurred. By
chance it is 1 of 20.
"""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_heads.siamese import Siamese
from tinyseq_losses.triplet import TripletLoss

import tinyseq
from tinyseq import Sequences
from tinyseq.engine import no_grad
from tinyseq.errors import DataError, clip
from tinyseq.nn import SequenceModel, Sequential
from tinyseq.optim import Adam
from tinyseq.training import BatchLoss, Outcome, Trainer
from tinyseq_recipes.common import Drawn, losses, show, show_epoch
from tinyseq_recipes.made.signals import Array, characters

WAYS = 20


def one_shot(
    data: Path | None = None,
    *,
    cell: str = "gru",
    hidden: int = 64,
    embedding: int = 64,
    margin: float = 0.4,
    epochs: int = 5,
    steps: int = 50,
    batch: int = 24,
    lr: float = 4e-3,
    examples: int = 120,
    seed: int = 0,
) -> list[Outcome]:
    """The same character again, of an unknown alphabet, by triplets, beside pixels.

    Data: Omniglot's images_background.zip, or its folder.
    """
    drawings = _read(data) if data else characters(examples, 12)
    held_out = max(WAYS, len(drawings) // 4)
    train, test = drawings[:-held_out], drawings[-held_out:]
    print(f"{len(train)} characters to learn from; {len(test)} others, {WAYS} at a time, for the test")
    episodes = [_episode(test, np.random.default_rng(i)) for i in range(60)]
    baseline = _accuracy(lambda images: _blurred(images).reshape(len(images), -1), episodes)
    print(f"baseline: pixels, a little blurred, {baseline:.4f} right")

    tinyseq.seed(seed)
    rows = train.shape[-1]
    make = tinyseq.cells[cell]
    head = Siamese(
        2 * hidden,
        embedding,
        pooling="mean",
        loss=TripletLoss(miner="all", margin=margin, mean_over="active"),
        paired=False,
    )
    model = SequenceModel(Sequential(), Bidirectional(make(rows, hidden), make(rows, hidden)), head)

    def draw(rng: np.random.Generator) -> tuple[Sequences, Array]:
        chosen = rng.permutation(len(train))[:batch]
        pairs = np.stack([rng.permutation(train.shape[1])[:2] for _ in chosen])
        return _rows(train[chosen[:, None], pairs].reshape(-1, rows, rows)), np.repeat(chosen, 2)

    def objective(model: SequenceModel, batch: Any, state: Any) -> BatchLoss:
        images, labels = batch
        return BatchLoss(model.loss(images, labels), len(labels))

    trainer = Trainer(model, Adam(model, lr=lr), objective, clip=1.0, after_epoch=[show_epoch])
    trainer.fit(Drawn(draw, steps), epochs=epochs)

    def vectors(images: Array) -> Array:
        with no_grad(), model.evaluating():
            return np.array(model.predict(_rows(images)).numpy())

    found = _accuracy(vectors, episodes)
    return [
        show(Outcome(f"siamese bi{cell}", f"{WAYS}-way accuracy", found, baseline, losses=losses(trainer)))
    ]


def _rows(images: Array) -> Sequences:
    return Sequences.from_padded(images.astype(np.float32))


def _episode(test: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """One drawing each of some characters, and another drawing of each of them, in the same order."""
    chosen = rng.permutation(len(test))[:WAYS]
    one, other = np.stack([rng.permutation(test.shape[1])[:2] for _ in chosen]).T
    return test[chosen, one], test[chosen, other]


def _accuracy(vectors: Any, episodes: list[tuple[Array, Array]]) -> float:
    """How often the nearest of the drawings, by cosine, is one of the same character."""
    right = []
    for known, new in episodes:
        a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (vectors(known), vectors(new)))
        right += ((b @ a.T).argmax(1) == np.arange(len(a))).tolist()
    return float(np.mean(right))


def _blurred(images: Array) -> Array:
    for axis in (1, 2):
        images = (np.roll(images, 1, axis) + 2 * images + np.roll(images, -1, axis)) / 4
    return images


# a password and methods that Python has not are RuntimeErrors
_UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, ValueError, zlib.error, IndexError)
LARGEST = 4096  # pixels a side
LARGEST_FILE = 2**22  # bytes that one drawing may unpack to


def _read(data: Path) -> Array:
    """Omniglot's drawings (characters, drawings, 35, 35), alphabet after alphabet, a third as large."""
    file = next(iter(sorted(data.glob("*.zip"))), data / "images_background.zip") if data.is_dir() else data
    found: dict[str, list[Array]] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".png"):
                    with archive.open(name) as drawing:
                        image = 1 - _bits(drawing.read(LARGEST_FILE))  # ink is 0
                    small = image[:105, :105].reshape(35, 3, 35, 3).mean((1, 3))
                    found.setdefault(name.rpartition("/")[0], []).append(np.sqrt(small))
    except _UNREADABLE as error:
        raise DataError(f"{file} is no archive of Omniglot's drawings: {clip(str(error))}.") from None
    least = min(map(len, found.values()), default=0)
    if least < 2 or len(found) <= WAYS:
        raise DataError(
            f"{file} holds {len(found)} characters: more than {WAYS} are needed, drawn twice each."
        )
    return np.stack([np.stack(images[:least]) for images in found.values()])


def _bits(png: bytes) -> Array:
    """The pixels of a PNG file of one bit a pixel, as Omniglot's are; see RFC 2083."""
    stream = io.BytesIO(png[8:])
    header, packed = b"", b""
    while size := stream.read(4):
        kind, content = stream.read(4), stream.read(int.from_bytes(size, "big"))
        header = content if kind == b"IHDR" else header
        packed += content if kind == b"IDAT" else b""
        stream.read(4)  # the checksum
    width, height = (int.from_bytes(header[i : i + 4], "big") for i in (0, 4))
    if header[8:10] != b"\x01\x00":
        raise ValueError("a drawing is not a PNG of one bit a pixel")
    if not (105 <= width <= LARGEST and 105 <= height <= LARGEST):
        raise ValueError(f"a drawing has {width} x {height} pixels, and 105 x 105 are needed")
    stride = -(-width // 8)
    unpacked = zlib.decompressobj().decompress(packed, height * (stride + 1) + 1)
    raw = np.frombuffer(unpacked, np.uint8).reshape(height, stride + 1)
    lines = np.zeros((height + 1, stride + 1), np.uint8)  # with a line and a byte of zeros before
    for i, (method, *line) in enumerate(raw.tolist(), 1):
        for j, value in enumerate(line, 1):
            left, up, corner = (int(v) for v in (lines[i, j - 1], lines[i - 1, j], lines[i - 1, j - 1]))
            guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[method]
            lines[i, j] = (value + guess) % 256
    return np.unpackbits(lines[1:, 1:], axis=1)[:, :width].astype(np.float32)


def _paeth(left: int, up: int, corner: int) -> int:
    """Whichever of three neighbours is nearest to left + up - corner."""
    return min((left, up, corner), key=lambda v: abs(left + up - corner - v))
