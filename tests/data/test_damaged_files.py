"""Hundreds of damaged files of every format: right data or one sentence, in no time and bounded memory."""

import gzip
import io
import json
import random
import resource
import struct
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyseq.data import (
    Vocabulary,
    likely_encoding,
    load_vectors,
    read_conll,
    read_idx,
    read_json,
    read_jsonl,
    read_lines,
    read_slots,
    read_table,
    read_text,
    read_vectors,
    read_wav,
)
from tinyseq.errors import DataError
from tinyseq.nn import Embedding

SECONDS = 2.0
MIB = 256
Draw = random.Random

SOUND = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
WAV = b"RIFF\x98\0\0\0WAVEfmt \x10\0\0\0" + SOUND + b"data" + struct.pack("<I", 200) + bytes(range(200))
IDX = b"\0\0\x08\x03" + struct.pack(">3I", 4, 5, 6) + bytes(120)
TEXT = "One day, she said: café, 大学 and naïve.\nTwo\tdays later\n\nhe “left”.\n" * 4
CONLL = "-DOCSTART- O\n\nEU B-ORG\nrejects O\n\nAnn B-PER\nLee I-PER\n" * 3
TABLE = 'text\tlabel\n"a", b\t1\nc d\t0\n' * 3
CSV = 'text,label\n"a, ""b""",1\nc d,0\n"two\nlines",1\n' * 3
JSONL = '{"a": "x", "b": [1, 2.5, null]}\n{"a": "\\ud83d\\ude00", "b": {}}\n' * 3
VECTORS = "3 4\nthe 0.1 -2 3e-2 4\nof 1 2 3 4\nNew York 1 2 3 4\n"


def png(rows: int = 105, columns: int = 105) -> bytes:
    """A picture of one bit a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + b"\xff" * -(-columns // 8) for _ in range(rows))
    head = struct.pack(">IIBBBBB", columns, rows, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def archive() -> bytes:
    """A zip archive of 22 characters, two drawings each."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out:
        for k in range(22):
            for i in range(2):
                out.writestr(f"images/alphabet/character{k:02}/{i}.png", png())
    return data.getvalue()


def drawings(path: Path) -> Any:
    """What the recipe of drawings reads."""
    from tinyseq_recipes.one_shot import _read

    return _read(path)


def recordings() -> bytes:
    """Arrays as the recipe of speech wants them."""
    data = io.BytesIO()
    parts = {"lengths": [3, 2], "label": [1, 2], "speaker": ["a", "b"], "index": [1, 9]}
    np.savez(data, feat=np.zeros((5, 4), np.float32), **{k: np.array(v) for k, v in parts.items()})
    return data.getvalue()


def speech(path: Path) -> Any:
    """What the recipe of speech reads."""
    from tinyseq_recipes.speech import _read

    return _read(path)


def slots(path: Path) -> Any:
    """The folder of a file, which is its words."""
    (path.parent / "seq.out").write_bytes(b"O B-x\nO O\n" * 3)
    (path.parent / "label").write_bytes(b"go\nstay\n" * 3)
    return list(read_slots(path.parent))


def wanted_vectors(path: Path) -> Any:
    """Into an embedding."""
    return load_vectors(Embedding(2, 4), path, Vocabulary(["the", "of"], unit="word"))


READERS: dict[str, tuple[str, bytes, Callable[[Path], Any]]] = {
    "lines": ("a.txt", TEXT.encode(), lambda p: list(read_lines(p))),
    "lines in latin-1": ("a.txt", TEXT.encode(), lambda p: list(read_lines(p, encoding="latin-1"))),
    "text": ("a.txt", TEXT.encode(), read_text),
    "encoding": ("a.txt", TEXT.encode(), likely_encoding),
    "columns": ("a.conll", CONLL.encode(), lambda p: list(read_conll(p))),
    "columns of conllu": ("a.conllu", CONLL.encode(), lambda p: list(read_conll(p, skip=["#"]))),
    "table": ("a.tsv", TABLE.encode(), lambda p: list(read_table(p, 2, header=True))),
    "csv": ("a.csv", CSV.encode(), lambda p: list(read_table(p, 2, header=True))),
    "json lines": ("a.jsonl", JSONL.encode(), lambda p: list(read_jsonl(p, "a"))),
    "json": ("a.json", json.dumps({"a": [1, {"b": "é"}] * 5}).encode(), read_json),
    "slots": ("seq.in", b"go home\nstay here\n" * 3, slots),
    "vectors": ("a.vec", VECTORS.encode(), lambda p: list(read_vectors(p))),
    "vectors into an embedding": ("a.vec", VECTORS.encode(), wanted_vectors),
    "sound": ("a.wav", WAV, read_wav),
    "images": ("a.idx", IDX, read_idx),
    "drawings": ("a.zip", archive(), drawings),
    "recordings": ("a.npz", recordings(), speech),
}

PIECES = [
    b"\0", b"\r", b"\n", b"\r\n", b"\t", b" ", b",", b'"', b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80",
    b"\xe9", b"\x85", b"\xe2\x80\xa8", b"{", b"[" * 3000, b"\\ud800", b"nan", b"1e999", b"-", b"9" * 5000,
    b"\x1a", b"\x0c", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"PK\x03\x04",
    b"data\xff\xff\xff\x7f",
]  # fmt: skip


def damaged(data: bytes, draw: Draw) -> bytes:
    """Cut, flipped, zeroed, doubled, in another encoding, with other ends of lines, of one line, or empty."""
    for _ in range(draw.choice([1, 1, 2, 4])):
        at = draw.randrange(len(data) + 1)
        kind = draw.randrange(13)
        if kind == 0:
            data = data[:at]
        elif kind == 1 and data:
            at = draw.randrange(draw.choice([len(data), min(len(data), 48)]))
            data = data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]
        elif kind == 2:
            size = draw.choice([1, 4, 64])
            data = data[:at] + bytes(size) + data[at + size :]
        elif kind in (3, 4, 5):
            data = data[:at] + draw.choice(PIECES) + data[at + draw.choice([0, 0, 1, 4]) :]
        elif kind == 6:
            at = draw.randrange(min(len(data), 48) + 1)
            data = (
                data[:at] + draw.choice([b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\0\0\0\x80"]) + data[at + 4 :]
            )
        elif kind == 7:
            data = data.replace(b"\n", draw.choice([b"\r\n", b"\r", b" ", b"\n\n", b"\n\r"]))
        elif kind == 8:
            data = data + data[at:]
        elif kind == 9:
            with suppress(UnicodeError):
                data = data.decode().encode(
                    draw.choice(["utf-16", "utf-32", "cp1252", "shift_jis", "utf-8-sig"])
                )
        elif kind == 10:
            data = data.split(b"\n")[0]
        elif kind == 11:
            data = draw.choice([b"", b"\n", b" ", b"\xef\xbb\xbf", b"\0" * 100, draw.randbytes(200)])
        else:
            at, size = draw.randrange(len(data) + 1), draw.choice([1, 16, 200])
            data = data[:at] + data[at + size :]
    return data


def compressed(data: bytes, draw: Draw) -> bytes:
    """The same in a gzip file, which may be damaged as well, or hold much more than it should."""
    kind = draw.randrange(4)
    if kind == 0:
        return damaged(gzip.compress(data), draw)
    if kind == 1:
        return gzip.compress(data) + draw.choice([b"\0" * 9, b"x", gzip.compress(data)])
    return gzip.compress(data)


def memory() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def attempt(reader: str, number: int, folder: Path) -> str:
    """What became of one damaged file: "read", or "refused". Anything else is raised."""
    name, good, read = READERS[reader]
    draw = random.Random(f"{reader} {number}")
    data = damaged(good, draw)
    path = folder / name
    if reader not in ("drawings", "recordings", "slots") and draw.random() < 0.2:
        path, data = folder / f"{name}.gz", compressed(data, draw)
    path.write_bytes(data)
    before, began = memory(), time.process_time()
    said = ""
    try:
        read(path)
    except DataError as error:
        said = str(error)
    if said:
        assert str(folder) in said.split("\n")[0], said  # it says which file
        assert said.count("\n") < 6, said
        assert max(map(len, said.split("\n"))) < 1000, said
    assert time.process_time() - began < SECONDS, (reader, number)
    assert memory() - before < MIB, (reader, number)
    path.unlink()
    return "refused" if said else "read"


COUNT = 120


@pytest.mark.parametrize("reader", READERS)
def test_damaged_files_are_read_or_refused(reader: str, tmp_path: Path) -> None:
    seen = Counter(attempt(reader, number, tmp_path) for number in range(COUNT))
    assert set(seen) == {"read", "refused"}


@pytest.mark.parametrize("reader", READERS)
def test_the_good_file_is_read(reader: str, tmp_path: Path) -> None:
    name, good, read = READERS[reader]
    (tmp_path / name).write_bytes(good)
    read(tmp_path / name)


@pytest.mark.parametrize("byte", [b"\0", b"a", b"1 "])
@pytest.mark.parametrize(
    "read", [read_lines, read_conll, read_jsonl, read_vectors, lambda p: read_table(p, 2)]
)
def test_a_small_file_that_unpacks_to_one_endless_line(read: Any, byte: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        for _ in range(64):
            out.write(byte * (2**20 // len(byte)))
    before = memory()
    with pytest.raises(DataError, match="this is no file of lines"):
        list(read(path))
    assert memory() - before < MIB


def rewritten(old: bytes, new: bytes, data: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


ARCHIVES = {
    "encrypted": lambda data: rewritten(
        b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\x01\0", data
    ),
    "another method": lambda data: rewritten(b"\x14\0\0\0\x08\0", b"\x14\0\0\0\x63\0", data),
    "cut": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-22],
    "no archive": lambda data: b"PK\x03\x04" + b"\0" * 100,
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_that_cannot_be_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(ARCHIVES[kind](archive()))
    with pytest.raises(DataError, match="is no archive of Omniglot's drawings"):
        READERS["drawings"][2](path)


def test_an_archive_whose_drawing_unpacks_to_gigabytes(tmp_path: Path) -> None:
    data = io.BytesIO()
    with (
        zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out,
        out.open("images/a/character01/1.png", "w") as drawing,
    ):
        for _ in range(512):
            drawing.write(bytes(2**20))
    (tmp_path / "a.zip").write_bytes(data.getvalue())
    before = memory()
    with pytest.raises(DataError, match="drawing"):
        READERS["drawings"][2](tmp_path / "a.zip")
    assert memory() - before < MIB


def test_line_ends_of_old_macs_are_not_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\rtwo\r")
    with pytest.raises(DataError, match="line 1: has carriage returns within"):
        list(read_lines(tmp_path / "a.txt"))


def test_a_count_without_end_is_no_count(tmp_path: Path) -> None:
    (tmp_path / "a.vec").write_bytes(b"3 " + b"9" * 5000 + b"\nthe 1 2\n")
    with pytest.raises(DataError, match="line 1: has a number in the vector of '3' that is not finite"):
        list(read_vectors(tmp_path / "a.vec"))
