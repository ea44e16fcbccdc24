"""Arrays and a JSON record in one safetensors file, read without trusting a byte of it."""

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tinyseq.errors import ConfigError, DataError, brief
from tinyseq.files.atomic import atomic_write

KEY, CHECK = "tinyseq", "tinyseq.crc32"
CHECKS = "crc32"  # in the record: of each array
MAX_HEADER = 2**25
"""Bytes of names, shapes and record; reading a header takes several times its size in memory."""

Array = np.ndarray[Any, Any]


def write_container(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], record: Mapping[str, Any]
) -> None:
    """Put `arrays` and `record` into the file `path`, which is the old one or the new one at any instant.

    Raises ConfigError for a record that JSON would change, DataError where the file cannot be written.
    """
    # Imported here: neither importing tinyseq nor training without files should pay for it.
    from safetensors.numpy import save

    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    checks = {name: _check(name, array) for name, array in contiguous.items()}
    text = _json({**record, CHECKS: checks})
    if len(text) > MAX_HEADER // 2:
        raise ConfigError(
            f"The record for {path} is {len(text):,} bytes of JSON, more than {MAX_HEADER // 2:,}: "
            "keep large data in a file of its own."
        )
    data = save(contiguous, metadata={KEY: text, CHECK: str(zlib.crc32(text.encode()))})
    try:
        atomic_write(path, _in_order(data))
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}; choose another place."
        ) from None


def _in_order(data: bytes) -> bytes:
    """The same file with its metadata sorted: the library has no order, and equal runs have equal files."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # arrays stay aligned
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[end:]])


class Container:
    """An open file: its record, the shapes and types of its arrays, and each array when asked for."""

    def __init__(self, path: Path, file: Any, verify: bool = True) -> None:
        self.path = path
        self._file = file
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        self.shapes: dict[str, tuple[int, ...]] = {name: tuple(s.get_shape()) for name, s in slices.items()}
        self.dtypes: dict[str, str] = {name: s.get_dtype() for name, s in slices.items()}
        metadata = file.metadata() or {}
        self.record = _record(path, metadata.get(KEY))
        checks = self.record.pop(CHECKS, None)  # files of tinyseq 0.1 have none
        self._checks: Any = checks if verify else None
        if not verify or (checks is None and CHECK not in metadata):
            return
        if str(zlib.crc32(metadata[KEY].encode())) != metadata.get(CHECK) or not isinstance(checks, dict):
            raise _damaged(path, "its record")
        if checks.keys() != self.shapes.keys():
            raise _damaged(path, "its list of arrays")

    @property
    def size(self) -> int:
        """The number of values in all arrays."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def array(self, name: str) -> Array:
        """One array, read now. Raises DataError if it is not what was written."""
        array: Array = self._file.get_tensor(name)
        if self._checks is not None and self._checks[name] != _check(name, array):
            raise _damaged(self.path, f"the array {brief(name)}")
        return array


def _check(name: str, array: Array) -> int:
    """A checksum of an array, its name, shape and type: CRC-32 finds what disks and copies do to a file.

    zlib's takes a second for some gigabytes. It is no guard against somebody who means to deceive.
    """
    about = f"{name} {array.dtype.str} {array.shape}".encode()
    data: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return zlib.crc32(data, zlib.crc32(about))


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"{path} is damaged: {what} is not what was written (its checksum differs); take another copy of the "
        "file."
    )


@contextmanager
def open_container(path: str | os.PathLike[str], *, verify: bool = True) -> Iterator[Container]:
    """The container in the file `path`, with its checksums compared unless `verify` is False.

    Raises DataError, in one sentence, for anything else.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    check_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            yield Container(path, file, verify)
    except SafetensorError as error:
        raise DataError(f"{path} is no safetensors file, or was cut short ({brief(str(error))}).") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def check_header(path: Path) -> None:
    """Refuse a header that is not there, or that would take memory without bounds."""
    if not os.path.isfile(path):  # pathlib raises for names that no file system holds
        if os.path.isdir(path):
            files = sorted(file.name for file in Path(path).glob("*.safetensors"))
            inside = " or ".join(files) or "no .safetensors file"
            raise DataError(f"{path} is a folder: name a file; it holds {inside}.")
        raise DataError(f"There is no file {path}.")
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    if length > size - 8:
        raise DataError(f"{path} is no safetensors file, or was cut short.")
    if length > MAX_HEADER:
        raise DataError(f"{path} has a header of {length:,} bytes; no more than {MAX_HEADER:,} are read.")


def _record(path: Path, text: str | None) -> dict[str, Any]:
    try:
        record = json.loads(text or "null", parse_constant=_refuse)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise DataError(f"{path} is a safetensors file, but its record is not tinyseq's.")
    return record


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, paths as strings; in lists and dicts, too."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _json(record: Mapping[str, Any]) -> str:
    try:
        record = _plain(dict(record))
        text = json.dumps(record, allow_nan=False)
        same = json.loads(text) == record
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"A file holds what JSON can: {error}.") from None
    if not same:
        raise ConfigError(
            "JSON would change what is to be written: use lists, not tuples, and strings as keys of dicts."
        )
    return text
