"""Files that are read record by record: compressed or not, larger than memory, with mistakes in them."""

import gzip
import itertools
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Generic, TypeVar, cast

from tinyseq.errors import ConfigError, DataError

MAX_LINE = 2**24
"""Bytes: beyond, a file is taken to have no lines."""

SHOWN = 5
"""Mistakes in one message."""

T = TypeVar("T")
PathLike = str | os.PathLike[str]
Report = Callable[[str, str], None]
"""report(where, what): says that a place of the file, such as "line 3", is malformed."""


def is_there(path: PathLike) -> bool:
    """Whether there is such a file, or one in an archive, as in vectors.zip/small.txt."""
    return os.path.isfile(path) or os.path.isfile(_archive(Path(path)) or "")


def located(path: PathLike) -> Path:
    """`path`, or, where there is none but there is a file of that name with `.gz` after it, that file."""
    path = Path(path)
    compressed = path.with_name(path.name + ".gz") if path.name else path
    # pathlib raises for names that no file system holds
    return compressed if os.path.exists(compressed) and not os.path.exists(path) else path


@contextmanager
def opened(path: PathLike) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed if its name ends in `.gz`. Raises DataError, in one sentence.

    Of an archive NAME.zip it is the only file in it, or NAME.zip/FILE.
    """
    path = located(path)
    archive = _archive(path)
    if archive is not None:
        with _unzipped(path, archive) as file:
            yield file
        return
    try:
        try:
            found = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115
        except ValueError as error:  # a NUL, or half of a surrogate pair
            raise DataError(f"There is no file {str(path)!r}: no file has such a name ({error}).") from None
        with found as file:
            yield cast(IO[bytes], file)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}: check the path.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a directory: name one file in it.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be decompressed: {error}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def _archive(path: Path) -> Path | None:
    """The archive that `path` is, or leads into."""
    found = [part for part in (path, *path.parents) if part.suffix == ".zip"]
    return found[0] if found and (found[0] == path or not os.path.exists(path)) else None


@contextmanager
def _unzipped(path: Path, archive: Path) -> Iterator[IO[bytes]]:
    import zipfile  # few files are archives

    inside = path.relative_to(archive).as_posix()
    try:
        with zipfile.ZipFile(archive) as file:
            names = [name for name in file.namelist() if not name.endswith("/")]
            if inside == "." and len(names) == 1:
                inside = names[0]
            if inside not in names:
                what = "more than one file" if inside == "." else f"no {inside!r}"
                raise DataError(
                    f"{archive} has {what}: name one, as {archive}/{names[0] if names else 'FILE'}."
                )
            with file.open(inside) as unpacked:
                yield unpacked
    except FileNotFoundError:
        raise DataError(f"There is no file {archive}: check the path.") from None
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
        raise DataError(f"{archive} cannot be unpacked: {error}.") from None
    except OSError as error:
        raise DataError(f"{archive} cannot be read: {error.strerror or error}.") from None


def lines(path: PathLike, report: Report, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers, from 1; those that are no text are reported and left out.

    `encoding` is one in which a line ends in the byte 10: UTF-8, Latin-1 and their kin, but not UTF-16.
    """
    _check_encoding(encoding)
    with opened(path) as file:
        for number in itertools.count(1):
            raw = file.readline(MAX_LINE + 1)
            if not raw:
                return
            if len(raw) > MAX_LINE:
                report(f"line {number}", f"has more than {MAX_LINE / 2**20:g} MiB; this is no file of lines.")
                return
            try:
                line = raw.decode(encoding).removesuffix("\n").removesuffix("\r")
            except UnicodeDecodeError as error:
                wrong = f"byte 0x{raw[error.start]:02x} at offset {error.start} ({error.reason})"
                other = _likely(raw)
                report(
                    f"line {number}",
                    f"is not {encoding}: {wrong}; it is most likely {other}: iconv -f {other} -t utf-8 "
                    "converts it, as does the option encoding, where there is one.",
                )
                continue
            if "\0" in line:
                report(f"line {number}", "has a NUL byte; is this a binary file, or UTF-16?")
                continue
            yield number, line.removeprefix("\ufeff") if number == 1 else line


class _EnoughMistakes(Exception):
    """There are more than are shown."""


class Records(Iterable[T], Generic[T]):
    """What a file holds, record by record: read anew each time it is iterated, never held as a whole.

    Raises DataError for a file that cannot be read or holds no record. At a malformed place, iteration goes
    on to look for further ones but gives no more records, and then raises one DataError with them all, or
    with the first few. `list(records)` holds everything in memory, checked.
    """

    def __init__(
        self, path: PathLike, produce: Callable[[Report], Iterator[T]], *, may_be_empty: bool = False
    ) -> None:
        self.path = Path(path)
        self.may_be_empty = may_be_empty
        self._produce = produce

    def __iter__(self) -> Iterator[T]:
        mistakes: list[str] = []

        def report(where: str, what: str) -> None:
            mistakes.append(f"{located(self.path)}, {where}: {what}")
            if len(mistakes) > SHOWN:
                raise _EnoughMistakes  # the file may be long, and not what was meant

        empty = True
        with suppress(_EnoughMistakes):
            for record in self._produce(report):
                empty = False
                if not mistakes:
                    yield record
        if mistakes:
            more = ["There are more."] if len(mistakes) > SHOWN else []
            raise DataError("\n".join(mistakes[:SHOWN] + more))
        if empty and not self.may_be_empty:
            raise DataError(f"{located(self.path)} is empty: there is nothing to learn from.")

    def __repr__(self) -> str:
        return f"Records({str(self.path)!r})"


def read_lines(path: PathLike, *, encoding: str = "utf-8") -> Records[str]:
    """The lines of a text file, without those that are blank."""
    return Records(
        path,
        lambda report: _without_blanks(lines(path, report, encoding), report),
    )


CARRIAGE_RETURNS = (
    "has carriage returns within: save the file with line ends of Unix (LF) or Windows (CR LF)."
)


def _without_blanks(numbered: Iterator[tuple[int, str]], report: Report) -> Iterator[str]:
    for number, line in numbered:
        if "\r" in line:  # line ends of old Macs: it would be one line
            report(f"line {number}", CARRIAGE_RETURNS)
        elif line.strip():
            yield line


def likely_encoding(path: PathLike) -> str:
    """UTF-8 if a whole file of lines is that, and otherwise what its first other line most likely is."""
    with opened(path) as file:
        while raw := file.readline(MAX_LINE + 1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError:
                return _likely(raw)
    return "utf-8"


def _likely(raw: bytes) -> str:
    """Of bytes that are no UTF-8: Windows' Latin letters, unless it has no letter for one of them."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _check_encoding(encoding: str) -> None:
    try:
        ends_lines = "\n".encode(encoding) == b"\n"
    except LookupError:
        ends_lines = False
    if not ends_lines:
        raise ConfigError(
            f"Lines cannot be read in the encoding {encoding!r}: use utf-8, latin-1 or their kin."
        )
