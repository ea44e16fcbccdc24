"""Made-up signals: chords, spoken numbers, pictures of digits, characters of unknown alphabets."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Frames = list[list[int]]


def chorales(count: int) -> list[Frames]:
    """Pieces of one chord a beat, as MIDI pitches: a phrase of eight chords, up a fifth, and home again.

    The third beat of a phrase is what the first was not, so that the beat before it does not tell.
    """
    rng = np.random.default_rng(21)
    degrees = {"I": (0, 4, 7), "IV": (5, 9, 12), "V": (7, 11, 14), "vi": (9, 12, 16)}

    def piece() -> Frames:
        key, found = int(rng.integers(48, 60)), Frames()
        for phrase in range(int(rng.integers(2, 5))):
            root = key + 7 * (phrase % 2)
            first = ("I", "vi")[int(rng.integers(2))]
            third = {"I": "vi", "vi": "I"}[first]
            for name in (first, "IV", third, "V", first, "IV", "V", "I"):
                low, middle, high = degrees[name]
                voices = {root - 12 + low, root + low, root + middle, root + high}
                if rng.random() < 0.2:
                    voices.discard(root + middle)
                found.append(sorted(voices))
        return found

    return [piece() for _ in range(count)]


def spoken_digits(count: int) -> list[tuple[Array, int, str]]:
    """Features (frames, 13), the digit and the speaker of recordings: from one sound to another.

    Ten digits are made of five sounds, so that most frames are heard in several digits, and what counts is
    in which order they come.
    """
    rng = np.random.default_rng(22)
    sounds = rng.normal(size=(5, 13))
    pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1), (3, 4), (4, 3), (0, 4), (4, 0)]
    voices = {f"speaker{i}": rng.normal(size=13) * 0.4 for i in range(4)}

    def recording() -> tuple[Array, int, str]:
        digit, speaker = int(rng.integers(10)), f"speaker{rng.integers(4)}"
        way = np.linspace(0, 1, int(rng.integers(8, 15)))[:, None] ** rng.uniform(0.7, 1.4)
        start, end = (sounds[k] for k in pairs[digit])
        clean = (1 - way) * start + way * end + voices[speaker]
        return (clean + 0.3 * rng.normal(size=clean.shape)).astype(np.float32), digit, speaker

    return [recording() for _ in range(count)]


GLYPHS = [
    "###/#.#/#.#/#.#/###",
    ".#./##./.#./.#./###",
    "##./..#/.#./#../###",
    "##./..#/.#./..#/##.",
    "#.#/#.#/###/..#/..#",
    "###/#../##./..#/##.",
    ".##/#../###/#.#/###",
    "###/..#/.#./.#./.#.",
    "###/#.#/###/#.#/###",
    "###/#.#/###/..#/##.",
]


def digit_images(count: int) -> tuple[Array, Array]:
    """Images (count, 16, 16) of the ten digits, moved about, sheared and noisy, and the digits (count,)."""
    rng = np.random.default_rng(23)
    digits = rng.integers(0, 10, count)
    images = rng.normal(size=(count, 16, 16)) * 0.15
    for image, digit in zip(images, digits, strict=True):
        rows = [[c == "#" for c in row] for row in GLYPHS[digit].split("/")]
        glyph = np.kron(np.array(rows, float), np.ones((2, 2)))
        top, left, shear = rng.integers(0, 6), rng.integers(2, 8), rng.integers(-1, 2)
        for i, row in enumerate(glyph):
            start = left + shear * (i // 5)
            image[top + i, start : start + 6] += row * rng.uniform(0.7, 1.0)
    return images.astype(np.float32), digits


def characters(count: int, drawings: int, size: int = 24) -> Array:
    """Drawings (characters, drawings, size, size) of made-up characters, each time a little different."""
    rng = np.random.default_rng(24)
    found = np.zeros((count, drawings, size, size), np.float32)
    along = np.linspace(0, 1, 40)[:, None]
    for images in found:
        strokes = [rng.uniform(0.2, 0.8, (3, 2)) for _ in range(int(rng.integers(2, 4)))]
        for image in images:
            moved = rng.normal(size=2) * 0.05
            for stroke in strokes:
                a, b, c = stroke + rng.normal(size=(3, 2)) * 0.03 + moved
                curve = (1 - along) ** 2 * a + 2 * along * (1 - along) * b + along**2 * c  # Bezier's
                at = np.clip((curve * size).astype(int), 0, size - 1)
                image[at[:, 0], at[:, 1]] = 1
    return found
