"""Files as people have them: what is a token, which encoding, which sound."""

import gzip
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import (
    Records,
    Vocabulary,
    likely_encoding,
    mfcc,
    read_conll,
    read_idx,
    read_json,
    read_jsonl,
    read_table,
    read_text,
    read_wav,
)
from tinyseq.data.files import Report, lines
from tinyseq.errors import ConfigError, DataError


def sentences(folder: Path, text: str, name: str = "x.conll", **options: Any) -> list[Any]:
    path = folder / name
    path.write_bytes(text.encode())
    return list(read_conll(path, **options))


@pytest.mark.parametrize(
    ("text", "options", "hint"),
    [
        ("EU\nrejects\n", {}, "has 1 column, and 2 are needed"),
        ("EU,B-ORG\nrejects,O\n", {}, "separated by a comma"),
        ("EU NNP B-ORG\n", {"separator": "\t"}, "separated by a space"),
        ("EU B\nrejects O X\n", {}, "have 2"),
        ("Ann B-PER\rlives O\r", {}, "carriage returns"),
        ("a b\n", {"columns": (0, 5)}, "6 are needed"),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path, text, options, hint):
    with pytest.raises(DataError, match=f"line [12]: .*{hint}"):
        sentences(tmp_path, text, **options)


def test_columns_between_tabs_or_spaces_are_told_apart(tmp_path):
    assert sentences(tmp_path, "New York\tB-LOC\nis\tO\n") == [(["New York", "is"], ["B-LOC", "O"])]
    assert sentences(tmp_path, "EU NNP  B-ORG\n") == [(["EU"], ["B-ORG"])]
    assert sentences(tmp_path, "New\u00a0York B-LOC\n") == [(["New\u00a0York"], ["B-LOC"])]
    assert sentences(tmp_path, "one\ntwo\n", columns=(0,)) == [(["one", "two"],)]


@pytest.mark.parametrize("skip", [["#"], "#", ["# "]])
def test_comments_stand_before_sentences_only(tmp_path, skip):
    text = "# sent_id = 1\n#NLProc B-group\nis O\n\n# 2\nI O\nlove O\n#emnlp B-event\n# O\n"
    found = [words for words, _ in sentences(tmp_path, text, skip=skip)]
    assert found == [["#NLProc", "is"], ["I", "love", "#emnlp", "#"]]


def test_documents_end_sentences(tmp_path):
    for text in ("Ann O\n-DOCSTART- O\nBob O\n", "Ann O\n-DOCSTART- -X- O\n\n\nBob O\n".replace(" -X-", "")):
        assert [words for words, _ in sentences(tmp_path, text)] == [["Ann"], ["Bob"]]
    text = "-DOCSTART- O\nDat O\n"
    assert sentences(tmp_path, text, skip="-DOCSTART-") == [(["Dat"], ["O"])]


def test_ranges_and_empty_nodes_are_no_words_in_conllu_alone(tmp_path):
    text = "# text = del\n1-2\tdel\t_\n1\tde\tADP\n2\tel\tDET\n2.1\t_\t_\n"
    options = {"columns": (1, 2), "skip": ["#"]}
    assert sentences(tmp_path, text, "x.conllu", **options) == [(["de", "el"], ["ADP", "DET"])]
    assert sentences(tmp_path, "won O\n3-1 O\n", "x.conll") == [(["won", "3-1"], ["O", "O"])]


def test_one_name_is_a_list_of_one(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"t": 1, "text": 2}\n')
    assert list(read_jsonl(path, "text")) == [(2,)]
    assert Vocabulary.build("a b", unit="word", specials="<pad>").specials == ("<pad>",)
    assert Vocabulary(["a"], specials="<pad>").symbols == ("<pad>", "a")


def test_a_row_that_cannot_be_parsed_is_named(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("a\t1\nb\tx\n")
    assert list(read_table(path, 2)) == [("a", "1"), ("b", "x")]
    with pytest.raises(DataError, match="line 2: invalid literal"):
        list(read_table(path, 2, parse=lambda text, number: (text, int(number))))


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "latin-1"])
def test_encodings_are_told_apart(tmp_path, encoding):
    text = {"utf-8": "大学 naïve", "cp1252": "don’t", "latin-1": "caf\u0081é"}[encoding]
    path = tmp_path / "x.txt"
    path.write_bytes(b"plain\n" * 3 + text.encode(encoding) + b"\n")
    assert likely_encoding(path) == encoding


def wav(
    tag: int, data: bytes, bits: int, *, channels: int = 1, rate: int = 8000, size: int | None = None
) -> bytes:
    block = channels * bits // 8
    header = struct.pack("<HHIIHH", tag, channels, rate, rate * block % 2**32, block, bits)
    if tag == 0xFFFE:
        kind = 3 if bits == 64 else 1
        header += struct.pack("<HHIH", 22, bits, 4, kind) + bytes.fromhex("000000001000800000aa00389b71")
    body = b"WAVEfmt " + struct.pack("<I", len(header)) + header + b"LIST" + struct.pack("<I", 3) + b"abc\0"
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


SOUND = np.array([0, 0.5, -0.5, 0.25])


@pytest.mark.parametrize(
    ("tag", "bits"), [(1, 16), (1, 24), (1, 32), (0xFFFE, 16), (0xFFFE, 24), (3, 32), (3, 64), (0xFFFE, 64)]
)
def test_every_usual_format_of_sound(tmp_path, tag, bits):
    floats = tag == 3 or bits == 64
    data = (
        SOUND.astype(f"<f{bits // 8}").tobytes()
        if floats
        else b"".join(int(v * 2 ** (bits - 1)).to_bytes(bits // 8, "little", signed=True) for v in SOUND)
    )
    path = tmp_path / "s.wav"
    for size in (None, 0xFFFFFFFF):
        path.write_bytes(wav(tag, data, bits, size=size))
        samples, rate = read_wav(path)
        np.testing.assert_allclose(samples, SOUND)
        assert (samples.dtype, rate) == (np.float32, 8000)
    path.write_bytes(wav(tag, data, bits, size=80_000))
    with pytest.raises(DataError, match="ends after"):
        read_wav(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "RIFF"),
        (wav(6, b"ab", 8), "format 6 of 8 bits"),
        (wav(1, b"ab", 16, rate=2_000_000_000), "Hz"),
        (wav(1, b"ab", 16, channels=0), "0 channels"),
        (wav(3, struct.pack("<f", float("nan")), 32), "not finite"),
        (wav(1, b"ab", 16)[:30], "no WAV file"),
    ],
)
def test_other_sounds_are_refused_in_a_sentence(tmp_path, content, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)  # which reads some of them
    path = tmp_path / "s.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_wav(path)
    assert "\n" not in str(caught.value)


@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_sounds_are_read_or_refused(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(wav(1, bytes(range(200)), 16))
    for _ in range(int(rng.integers(1, 6))):
        content[int(rng.integers(len(content)))] = int(rng.integers(256))
    path = tmp_path_factory.mktemp("wav") / "s.wav"
    path.write_bytes(content[: int(rng.integers(1, len(content) + 1))])
    with suppress(DataError):
        samples, _ = read_wav(path)
        assert np.isfinite(samples).all()


def test_windows_without_bounds_are_refused():
    with pytest.raises(ConfigError, match="a window 2 to"):
        mfcc(np.zeros(100), 2_000_000_000)


def test_files_of_mistakes_are_not_read_to_their_end(tmp_path: Path) -> None:
    file = tmp_path / "x.conll"
    file.write_text("one\n" * 200_000)
    read = 0

    def counted(report: Report) -> Iterator[str]:
        nonlocal read
        for read, (number, _) in enumerate(lines(file, report), 1):  # noqa: B007
            report(f"line {number}", "is wrong.")
        yield from ()

    with pytest.raises(DataError, match="There are more"):
        list(Records(file, counted))
    assert read < 20
    with pytest.raises(DataError, match=r"line 1: has 1 column(.|\n)*line 5(.|\n)*There are more"):
        list(read_conll(file))


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "a\ud800b", "a" * 300 + ".gz", "\0.gz"])
@pytest.mark.parametrize("read", [read_text, read_wav, read_idx, read_json, lambda p: list(read_conll(p))])
def test_names_that_no_file_has(tmp_path: Path, name: str, read: Any) -> None:
    with pytest.raises(DataError, match=r"(There is no file|cannot be read)"):
        read(tmp_path / name)


def test_arrays_of_too_many_or_no_dimensions(tmp_path: Path) -> None:
    file = tmp_path / "x.idx"
    file.write_bytes(b"\0\0\x08" + bytes([71]) + (1).to_bytes(4, "big") * 71 + b"x")
    with pytest.raises(DataError, match="71 dimensions"):
        read_idx(file)
    file.write_bytes(b"\0\0\x08" + bytes([30]) + bytes(4) + b"\xff" * 4 * 29)
    with pytest.raises(DataError, match="is empty"):
        read_idx(file)


def test_a_recording_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.wav.gz"
    with gzip.open(file, "wb", compresslevel=1) as out:
        for _ in range(257):
            out.write(bytes(2**20))
    with pytest.raises(DataError, match="more than 256 MiB"):
        read_wav(file)


@pytest.mark.parametrize(
    ("form", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "ALAW"), ("AIFF", "PCM_16")]
)
def test_other_formats_through_soundfile(tmp_path, form, subtype):
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    t = np.arange(4000) / 8000
    sound = np.stack([0.5 * np.sin(2 * np.pi * 440 * t), 0.25 * np.sin(2 * np.pi * 440 * t)], 1)
    path = tmp_path / "s.bin"
    soundfile.write(path, sound, 8000, format=form, subtype=subtype)
    samples, rate = read_wav(path)
    assert (samples.dtype, rate) == (np.float32, 8000)
    tolerance = {"VORBIS": 0.05, "ALAW": 0.02}.get(subtype, 1e-4)
    np.testing.assert_allclose(samples, sound.mean(1), atol=tolerance)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="no WAV file that can be read"):
        read_wav(path)
