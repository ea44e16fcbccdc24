"""Reading text: every kind of wrong file gets one sentence, and the demo text is prose."""

import gzip
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import demo_text, read_text
from tinyseq.errors import DataError


@given(text=st.text(st.characters(exclude_characters="\0\ufeff\r", codec="utf-8")).filter(str.strip))
@pytest.mark.parametrize("suffix", ["txt", "txt.gz"])
def test_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, suffix: str, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / f"a.{suffix}"
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if suffix.endswith("gz") else raw)
    assert read_text(path) == text


def test_line_ends_and_byte_order_mark_do_not_show(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read_text(path) == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"abc\0def", "NUL byte at offset 3 (a binary file, or UTF-16"),
        ("text".encode("utf-16"), "NUL byte at offset 3"),
        (b"caf\xe9 au lait", "not UTF-8: byte 0xe9 at offset 3"),
        (b"\xef\xbb\xbfcaf\xe9", "not UTF-8: byte 0xe9 at offset 6"),
        (b"x" * 101, "holds more than 9.53674e-05 MiB"),
    ],
)
def test_unusable_content_is_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_text(path, max_bytes=100)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(b"x" * 100)
    assert read_text(path, max_bytes=100) == "x" * 100


def test_an_endless_file_is_refused_without_reading_all_of_it() -> None:
    with pytest.raises(DataError, match="more than"):
        read_text("/dev/zero", max_bytes=1000)


def test_a_small_archive_of_a_huge_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"a" * 100_000))
    with pytest.raises(DataError, match="more than"):
        read_text(path, max_bytes=1000)


@pytest.mark.parametrize("content", [b"plain text", gzip.compress(b"some text")[:-9]], ids=["text", "cut"])
def test_a_broken_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be decompressed"):
        read_text(path)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*missing\.txt: check the path"):
        read_text(tmp_path / "missing.txt")
    with pytest.raises(DataError, match="is a directory: name one file in it"):
        read_text(tmp_path)
    below = tmp_path / "file"
    below.write_text("text")
    with pytest.raises(DataError, match=r"file/x cannot be read: Not a directory"):
        read_text(below / "x")


def test_demo_text_is_english_prose() -> None:
    text = demo_text()
    assert 100_000 < len(text) < 600_000
    assert text == demo_text()
    assert text.isascii()
    assert not set(text) & set("\t\r\0")
    words = text.lower().split()
    assert words.count("the") > 0.04 * len(words)  # as in any English
    lines = text.splitlines()
    assert len(set(lines)) == len(lines)
    assert not any(mark in text for mark in ("::=", ">>> ", "***", "  "))


def test_a_python_without_pydoc_data_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match=r"without pydoc_data.*: name a text file of your own"):
        demo_text()
