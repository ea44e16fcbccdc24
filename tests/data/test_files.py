"""Records: streaming, mistakes with file and line, and whatever bytes a file may hold."""

import gzip
import re
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import (
    StreamedBatches,
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

STREAMS: dict[str, Callable[[Path], Iterable[Any]]] = {
    "lines": read_lines,
    "conll": read_conll,
    "table": lambda path: read_table(path, 2),
    "csv": lambda path: read_table(path, 2, separator=","),
    "jsonl": read_jsonl,
    "jsonl with keys": lambda path: read_jsonl(path, ["a"]),
    "vectors": read_vectors,
}
READERS: dict[str, Callable[[Path], Any]] = {
    **{name: lambda path, stream=stream: list(stream(path)) for name, stream in STREAMS.items()},
    "json": read_json,
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


def peak_of(call: Callable[[], Any]) -> int:
    """The most bytes that Python held at once for a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_file_larger_than_memory_is_a_stream(tmp_path: Path) -> None:
    """A gigabyte once decompressed: reading its beginning takes no time, and no memory to speak of."""
    path = tmp_path / "a.txt.gz"
    block = gzip.compress(b"a line\n" * 150_000)
    path.write_bytes(block * 1000)
    found = []
    peak = peak_of(lambda: found.append(sum(1 for _ in islice(read_lines(path), 10_000))))
    assert found == [10_000]
    assert peak < 2**20


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("reader", [name for name in STREAMS if name != "jsonl with keys"])
def test_all_of_a_large_file_is_read_in_batches_that_are_small(
    tmp_path: Path, reader: str, suffix: str
) -> None:
    """32 MiB in 512 records; 2 pools of 8 are in memory at most, as one is replaced by the next."""
    record = {
        "lines": b"x" * 65_535,
        "conll": b"x" * 65_530 + b" Y\n",
        "table": b"x" * 65_530 + b"\tY",
        "csv": b"x" * 65_530 + b',"Y"',
        "jsonl": b'["' + b"x" * 65_530 + b'"]',
        "vectors": b"x" * 65_530 + b" 1 2",
    }[reader]
    path = tmp_path / f"large{suffix}"
    with (gzip.open if suffix else open)(path, "wb") as file:
        file.writelines(record + b"\n" for _ in range(512))
    records = STREAMS[reader](path)
    count = []
    batches = StreamedBatches(records, 2, length=lambda record: 1, pool=4)
    peak = peak_of(lambda: count.append(sum(len(batch) for batch in batches)))
    assert count == [512]
    assert peak < 2**22


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
    assert re.search(r"line 2: is not utf-8: byte 0xe9 at offset 3 .*it is most likely cp1252", first)
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
