"""Checkpoint files: named arrays and a JSON record in one safetensors file, replaced in one instant."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tinyseq.errors import DataError
from tinyseq.files import atomic_write

Arrays = dict[str, np.ndarray[Any, Any]]

FORMAT = "tinyseq.training"
VERSION = 1


def prepare(directory: Path) -> Path:
    """The directory, made if need be, without what a killed write left. DataError if it is unusable."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left_behind in directory.glob(".*.safetensors.*.tmp"):
            left_behind.unlink(missing_ok=True)
        atomic_write(probe := directory / ".probe", b"")
        probe.unlink()
    except OSError as error:
        raise _unwritable(directory, error) from None
    return directory


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} cannot be written: {error.strerror or error}; choose another directory.")


def write_checkpoint(path: Path, arrays: Arrays, record: dict[str, Any]) -> None:
    """Put arrays and a JSON-able record into the file `path`, which at any instant is the old or the new one.

    One file holds both, so no kill can leave the arrays of one step beside the record of another.
    """
    described = {"format": FORMAT, "version": VERSION, **record}
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    try:
        atomic_write(path, save(contiguous, metadata={"tinyseq": json.dumps(described)}))
    except OSError as error:
        raise _unwritable(path, error) from None


def read_checkpoint(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the record that `write_checkpoint` wrote.

    Raises DataError, in one sentence, for a file that is missing, cut short, or written by something else.
    """
    if not path.is_file():
        raise DataError(f"There is no checkpoint {path}: train with this directory first.")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("tinyseq")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except SafetensorError as error:
        raise DataError(
            f"{path} is not a whole safetensors file ({error}): it was cut short or is something else; use a "
            "copy, or train again in another directory."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    return arrays, _checked(path, text)


def _checked(path: Path, text: str | None) -> dict[str, Any]:
    """The record in the file's metadata."""
    try:
        record: dict[str, Any] = json.loads(text or "null")
        found, version = record["format"], record["version"]
    except (ValueError, KeyError, TypeError):
        found = version = None
    if found != FORMAT:
        raise DataError(f"{path} is a safetensors file, but no checkpoint of tinyseq's Trainer.")
    if version != VERSION:
        raise DataError(
            f"{path} is a checkpoint of version {version}; this tinyseq reads version {VERSION}: use the "
            "tinyseq that wrote it, or train again."
        )
    return record


def part(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names begin with `prefix` and a dot, under the rest of their names."""
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
