"""What recipes read: files as they come, against what was written into them."""

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinyseq_recipes import grapheme_to_phoneme, image_to_word, music, one_shot, speech
from tinyseq_recipes.made import pairs
from tinyseq_recipes.translation import words
from tinyseq_recipes.two_columns import letter_pairs, nearest_answers, read_pairs

from tinyseq.errors import DataError


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(pixels: Any, methods: Any) -> bytes:
    """A PNG of one bit a pixel, each line by the filter of this number; see RFC 2083, section 6."""
    packed = np.packbits(pixels.astype(bool), axis=1).astype(int)
    lines, above = b"", np.zeros(packed.shape[1], int)
    for line, method in zip(packed, methods, strict=True):
        left, corner = np.append(0, line[:-1]), np.append(0, above[:-1])
        p = left + above - corner
        distances = np.abs(np.stack([left, above, corner]) - p)
        paeth = np.choose(distances.argmin(0), [left, above, corner])
        guess = [0 * line, left, above, (left + above) // 2, paeth][method]
        lines += bytes([method, *((line - guess) % 256).tolist()])
        above = line
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 1, 0, 0, 0, 0)
    compressed = zlib.compress(lines)
    parts = [chunk(b"IHDR", header), chunk(b"tIME", b"1234567"), chunk(b"IDAT", compressed[:5])]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", compressed[5:]), chunk(b"IEND", b"")])


def test_drawings_are_read_whatever_the_filter(tmp_path: Path, rng: np.random.Generator) -> None:
    pixels = rng.random((3, 7, 2, 105, 105)) < 0.5
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for i, j, k in np.ndindex(3, 7, 2):
            name = f"images/Alphabet{i}/character{j:02}/{k}.png"
            archive.writestr(name, png(pixels[i, j, k], rng.integers(0, 5, 105)))
    found = one_shot._read(tmp_path)
    ink = (~pixels).reshape(21, 2, 35, 3, 35, 3).mean((3, 5))
    np.testing.assert_allclose(found**2, ink, atol=1e-6)


def test_what_is_no_archive_of_drawings_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "images.zip"
    file.write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match=r"images\.zip is no archive of Omniglot's drawings"):
        one_shot._read(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images/A/character01/1.png", png(np.ones((105, 105)), [0] * 105))
    with pytest.raises(DataError, match="holds 1 characters: more than 20 are needed, drawn twice each"):
        one_shot._read(tmp_path)


def test_recordings(tmp_path: Path) -> None:
    feat = np.arange(26, dtype="f2").reshape(13, 2)
    np.savez(
        tmp_path / "digits.npz",
        feat=feat, lengths=[3, 4, 6], label=[7, 1, 0], speaker=["ann", "bob", "ann"], index=[0, 5, 4],
    )  # fmt: skip
    train, test = speech._read(tmp_path)
    assert [(x.tolist(), y, who) for x, y, who in train] == [(feat[3:7].tolist(), 1, "bob")]
    assert [(len(x), y, who) for x, y, who in test] == [(3, 7, "ann"), (6, 0, "ann")]
    (tmp_path / "digits.npz").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"digits\.npz holds no recordings"):
        speech._read(tmp_path)


def test_strings_of_digits_are_of_one_speaker(rng: np.random.Generator) -> None:
    recordings = [
        (np.full((4, 2), 10.0 * who + digit), digit, str(who)) for who in (1, 2) for digit in range(5)
    ]
    xs, ys = speech._batch(recordings, 3, 20, 2, rng)
    for x, y in zip(xs.to_list(), ys.to_list(), strict=True):
        heard = x.numpy()[::2, 0]  # of every recording, its first pair of frames
        assert (heard % 10).tolist() == (y.numpy() - 1).tolist()
        assert len({int(value) // 10 for value in heard}) == 1


def test_pieces_of_music(tmp_path: Path) -> None:
    pieces = {"train": [[[21, 108], []]], "valid": [[[60]]], "test": [[[61]], [[62]]]}
    (tmp_path / "music.json").write_text(json.dumps(pieces))
    train, _, test = map(music._rolls, music._read(tmp_path))
    assert np.argwhere(train[0]).tolist() == [[0, 0], [0, 87]]
    assert [np.argwhere(roll).tolist() for roll in test] == [[[0, 40]], [[0, 41]]]
    before, now = music._batch(train)
    assert np.array_equal(now.to_list()[0].numpy(), train[0])
    assert np.array_equal(before.to_list()[0].numpy(), [np.zeros(88), train[0][0]])


def test_images_and_their_labels(tmp_path: Path) -> None:
    (tmp_path / "t-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, *[0, 0, 0, 2] * 3, *range(0, 255, 32)]))
    (tmp_path / "t-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    images, labels = image_to_word._read(tmp_path)
    np.testing.assert_allclose(images.reshape(-1) * 255, range(0, 255, 32), rtol=1e-6)
    assert labels.tolist() == [7, 9]


def test_a_pronouncing_dictionary(tmp_path: Path) -> None:
    (tmp_path / "some.dict").write_text("a AH0\na(2) EY1\nabbe AE1 B IY0 # French\n'bout B AW1 T\n")
    assert grapheme_to_phoneme.read_dictionary(tmp_path) == [
        (["a"], ["AH"]),
        (["a", "b", "b", "e"], ["AE", "B", "IY"]),
    ]


def test_pairs_from_a_folder_or_a_file(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        (tmp_path / f"x.{part}.tsv").write_text(f"I {part}.\tJ'ai {part} !\n")
    assert read_pairs(tmp_path, words) == [
        [(["i", part, "."], ["j'", "ai", part, "!"])] for part in ("train", "valid", "test")
    ]
    (tmp_path / "all.tsv").write_text("".join(f"{i}\t{i}\n" for i in range(20)))
    assert [len(part) for part in read_pairs(tmp_path / "all.tsv", words)] == [16, 2, 2]


def test_the_baseline_answers_as_the_most_similar_was_answered() -> None:
    train = [(["a", "b"], ["1"]), (["a", "c", "d"], ["2"]), (["c"], ["3"])]
    assert nearest_answers(train, [["d", "c"], ["b"], ["c", "x"], ["y"]]) == [["2"], ["1"], ["3"], ["1"]]
    assert letter_pairs(list("ab")) == {("", "a"), ("a", "b"), ("b", "")}


def test_made_up_sounds_keep_the_rules() -> None:
    sounds = {"".join(letters): found for letters, found in pairs.spellings(3000)}
    assert len(sounds) == 3000
    for word, found in sounds.items():
        assert len(found) <= len(word)
        assert ("F" in found) == ("f" in word or "ph" in word)
        assert not word.endswith("e") or found[-1] in "NTLMR"  # silent
