"""Checkpoint files: all that a run is, in one safetensors file, replaced in one instant."""

from pathlib import Path
from typing import Any

import numpy as np

from tinyseq.errors import DataError
from tinyseq.registry.container import open_container, write_container

Arrays = dict[str, np.ndarray[Any, Any]]

FORMAT, VERSION = "tinyseq.training", 1


def prepare(directory: Path) -> Path:
    """The directory, made if need be, without what a killed write left; DataError if it is unusable."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left_behind in directory.glob(".*.safetensors.*.tmp"):
            left_behind.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{directory} cannot hold checkpoints: {error.strerror or error}; choose another directory."
        ) from None
    return directory


def write_checkpoint(path: Path, arrays: Arrays, record: dict[str, Any]) -> None:
    """Put arrays and a JSON-able record into the file `path`, which at any instant is the old or the new one.

    One file holds both, so no kill can leave the arrays of one step beside the record of another.
    """
    write_container(path, arrays, {"format": FORMAT, "version": VERSION, **record})


def read_checkpoint(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the record that `write_checkpoint` wrote.

    Raises DataError, in one sentence, for a file that is missing, cut short, or written by something else.
    """
    with open_container(path) as file:
        if file.record.get("format") != FORMAT:
            raise DataError(f"{path} was written by tinyseq, but it is no checkpoint of a training run.")
        if file.record.get("version") != VERSION:
            raise DataError(
                f"{path} is a checkpoint of version {file.record.get('version')}, and this tinyseq reads "
                f"version {VERSION}: use the tinyseq that wrote it, or train again."
            )
        return {name: file.array(name) for name in file.shapes}, file.record


def part(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names begin with `prefix` and a dot, under the rest of their names."""
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def with_prefix(prefix: str, arrays: Arrays) -> Arrays:
    """The same arrays, each under `prefix`, a dot, and its name."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}
