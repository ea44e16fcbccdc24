"""IDX files: the arrays, most often images and their labels, of MNIST and its kin."""

import math
from typing import Any

import numpy as np

from tinyseq.data.files import PathLike, located, opened
from tinyseq.errors import DataError

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CHUNK = 2**20
MAX_DIMENSIONS = 32


def read_idx(path: PathLike) -> np.ndarray[Any, Any]:
    """The array of an IDX file: for images (count, rows, columns), for labels (count,).

    Raises DataError for a file that is something else, or shorter or longer than its header says. Source:
    the description of the format by LeCun, Cortes and Burges beside MNIST.
    """
    with opened(path) as file:
        start = file.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES:
            raise DataError(
                f"{located(path)} is no IDX file: it begins with the bytes {start.hex(' ') or 'of none'}."
            )
        if start[3] > MAX_DIMENSIONS:
            raise DataError(
                f"{located(path)} is damaged: its header promises an array of {start[3]} dimensions, and "
                f"{MAX_DIMENSIONS} are the most."
            )
        dtype = np.dtype(DTYPES[start[2]])
        header = file.read(4 * start[3])
        shape = tuple(np.frombuffer(header[: len(header) // 4 * 4], ">u4").tolist())
        wanted = math.prod(shape) * dtype.itemsize
        raw = bytearray()  # grows with what is there: a header may promise anything
        while len(raw) <= wanted and (more := file.read(min(CHUNK, wanted + 1 - len(raw)))):
            raw += more
    if len(shape) != start[3] or len(raw) != wanted:
        held = "more" if len(raw) > wanted else f"{len(raw):,}"
        raise DataError(
            f"{located(path)} is damaged: its header promises an array of shape {shape}, {wanted:,} bytes, "
            f"and it holds {held}."
        )
    if not wanted:
        raise DataError(f"{located(path)} is empty: its header promises an array of shape {shape}.")
    return np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder("="))
