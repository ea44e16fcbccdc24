"""Records: streaming, mistakes with file and line, and whatever bytes a file may hold."""

import gzip
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import (
    files,
    read_conll,
    read_idx,
    read_json,
    read_jsonl,
    read_lines,
    read_slots,
    read_table,
    read_vectors,
    read_wav,
)
from tinyseq.errors import ConfigError, DataError

READERS: dict[str, Callable[[Path], Any]] = {
    "lines": lambda path: list(read_lines(path)),
    "conll": lambda path: list(read_conll(path)),
    "table": lambda path: list(read_table(path, 2)),
    "csv": lambda path: list(read_table(path, 2, separator=",")),
    "jsonl": lambda path: list(read_jsonl(path)),
    "jsonl with keys": lambda path: list(read_jsonl(path, ["a"])),
    "json": read_json,
    "vectors": lambda path: list(read_vectors(path)),
    "idx": read_idx,
    "wav": read_wav,
}
PIECES = [
    b"\n", b"\t", b" ", b",", b'"', b"a", b"\xe9", b"\xc3\xa9", b"\0", b"1", b"nan", b"{", b"}", b"[", b"]",
    b":", b"\r", b"-DOCSTART-", b"RIFF", b"WAVEfmt ", b"data", b"\0\0\x08\x01", b"\0\0\0\x02", b"1e999",
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@given(raw=st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, reader: str, raw: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(raw)
    try:
        READERS[reader](path)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017  # what may happen is either of two


@pytest.mark.parametrize("reader", READERS)
def test_files_that_cannot_be_opened_are_named(tmp_path: Path, reader: str) -> None:
    with pytest.raises(DataError, match=r"There is no file .*nowhere: check the path"):
        READERS[reader](tmp_path / "nowhere")
    with pytest.raises(DataError, match="is a directory: name one file in it"):
        READERS[reader](tmp_path)
    (tmp_path / "a.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"a\.gz cannot be decompressed"):
        READERS[reader](tmp_path / "a.gz")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"a b c\n" * 1000)[:-20])
    with pytest.raises(DataError, match=r"cut\.gz cannot be decompressed"):
        READERS[reader](tmp_path / "cut.gz")


def test_compressed_files_are_found_by_their_plain_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one\n\n \ntwo\r\n"))
    assert list(read_lines(tmp_path / "a.txt")) == list(read_lines(tmp_path / "a.txt.gz")) == ["one", "two"]
    (tmp_path / "a.txt").write_text("three")
    assert list(read_lines(tmp_path / "a.txt")) == ["three"]


def test_records_are_read_anew_and_only_as_far_as_they_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1\n2\n3\n")
    records = read_lines(path)
    assert list(islice(records, 2)) == ["1", "2"]
    assert list(records) == ["1", "2", "3"]
    path.write_text("4\n")
    assert list(records) == ["4"]
    assert repr(records) == f"Records({str(path)!r})"


def test_a_file_larger_than_memory_is_a_stream(tmp_path: Path) -> None:
    """A gigabyte once decompressed: reading its beginning takes no time, and no memory to speak of."""
    path = tmp_path / "a.txt.gz"
    block = gzip.compress(b"a line\n" * 150_000)
    path.write_bytes(block * 1000)
    assert sum(1 for _ in islice(read_lines(path), 10_000)) == 10_000


@given(wrong=st.sets(st.integers(1, 30)))
def test_all_malformed_lines_are_in_one_error(
    tmp_path_factory: pytest.TempPathFactory, wrong: set[int]
) -> None:
    path = tmp_path_factory.mktemp("wrong") / "a.tsv"
    path.write_text("".join("x\n" if n in wrong else f"{n}\ty\n" for n in range(1, 31)))
    seen = []
    records = iter(read_table(path, 2))
    if not wrong:
        assert [int(a) for a, _ in records] == list(range(1, 31))
        return
    with pytest.raises(DataError) as caught:  # noqa: PT012  # what came before the mistake is looked at, too
        for row in records:
            seen.append(row)
    assert [int(a) for a, _ in seen] == list(range(1, min(wrong)))  # nothing after the first mistake
    said = str(caught.value).split("\n")
    shown = sorted(wrong)[: files.SHOWN]
    assert said[: len(shown)] == [f"{path}, line {n}: has 1 column, and 2 are needed." for n in shown]
    assert said[len(shown) :] == (["There are more."] if len(wrong) > files.SHOWN else [])


def test_lines_that_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\ncaf\xe9\nt\0wo\n")
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    first, second = str(caught.value).split("\n")
    assert re.search(r"line 2: is not utf-8: byte 0xe9 at offset 3 .*pass encoding=", first)
    assert "line 3: has a NUL byte" in second
    path.write_bytes(b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n")
    assert list(read_lines(path)) == ["one", "\ufefftwo"]  # only at the beginning is it a byte order mark
    path.write_bytes(b"caf\xe9\n")
    assert list(read_lines(path, encoding="latin-1")) == ["caf\u00e9"]
    monkeypatch.setattr(files, "MAX_LINE", 10)
    path.write_bytes(b"0123456789\n0")
    with pytest.raises(DataError, match=r"line 1: has more than 9\.53674e-06 MiB"):
        list(read_lines(path))
    for encoding in ("utf-16", "nonsense"):
        with pytest.raises(ConfigError, match=f"encoding '{encoding}'"):
            list(read_lines(path, encoding=encoding))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("\n\n")
    with pytest.raises(DataError, match="a is empty: there is nothing to learn from"):
        list(read_lines(tmp_path / "a"))


def test_a_folder_of_slots_is_read_whole(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*seq\.in"):
        list(read_slots(tmp_path))
