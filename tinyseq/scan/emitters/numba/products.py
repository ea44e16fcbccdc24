"""Products with a matrix that stays the same from step to step: packed once, then multiplied at every step.

BLAS sorts its operands anew at every call, which costs as much as multiplying when there are few rows. Here
the matrix is sorted once, into panels of as many columns as two vectors hold.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyseq.backend.threads import matmul, threads
from tinyseq.scan.emitters.numba.kernels import HEADER, load_kernels

Array = np.ndarray[Any, Any]
# With more threads than one, BLAS is faster on a product of more additions and multiplications than this.
MOST_OPERATIONS = 8e6
# A further thread pays from so many operations on for each, of all steps: it takes 50 microseconds to begin.
LEAST_OPERATIONS = 2e7
OTHER_OPERATIONS = 2000  # what else is done for a row of a step costs about as much as so many of a product
LEAST_ROWS = 64  # of all steps together: for fewer, packing costs more than it saves

# numba looks for changes in the file of a kernel, not in what that imports.
_FILES = [Path(__file__), Path(__file__).with_name("tiles.py")]
VERSION = hashlib.sha256(b"".join([file.read_bytes() for file in _FILES])).hexdigest()[:12]

SOURCE = """
from numba import types

from tinyseq.scan.emitters.numba.tiles import TALL, panel_width, tile  # {version}

SIZE = np.dtype(real).itemsize
WIDE = panel_width("{dtype}")
tall, four, two, one = (tile("{dtype}", rows) for rows in (TALL, 4, 2, 1))
one_by_two, one_by_four = (tile("{dtype}", 1, panels) for panels in (2, 4))


# One function for each, whether arrays are whole, columns of wider ones, or transposed.
STRIDED = types.Array(types.{dtype}, 2, "A", readonly=True)
PANELS = types.Array(types.{dtype}, 3, "C")
OUT = types.Array(types.{dtype}, 2, "A")


@njit(types.void(STRIDED, PANELS), nogil=True, cache={cache})
def pack(matrix, panels):
    wide = panels.shape[2]
    for p in range(panels.shape[0]):
        first = min(p * wide, matrix.shape[1] - wide)  # the last panel begins where it fits
        for k in range(matrix.shape[0]):
            for j in range(wide):
                panels[p, k, j] = matrix[k, first + j]


@njit(types.void(STRIDED, PANELS, OUT), error_model="numpy", nogil=True, cache={cache})
def product(rows, panels, out):
    count, depth = rows.shape
    width, wide = out.shape[1], panels.shape[2]
    if wide < WIDE:
        for i in range(count):
            for j in range(width):
                out[i, j] = real(0)
            for k in range(depth):
                for j in range(width):
                    out[i, j] += rows[i, k] * panels[0, k, j]
        return
    next_row, next_out, next_panel = rows.strides[0] // SIZE, out.strides[0] // SIZE, depth * WIDE
    p = 0
    while p < panels.shape[0]:
        x, w = rows.ctypes.data, panels.ctypes.data + p * next_panel * SIZE
        y = out.ctypes.data + min(p * WIDE, width - WIDE) * SIZE
        if count == 1 and (p + 2) * WIDE <= width:  # more panels at once, so that the adders are busy
            if (p + 4) * WIDE <= width:
                one_by_four(x, next_row, w, next_panel, y, next_out, depth)
                p += 4
            else:
                one_by_two(x, next_row, w, next_panel, y, next_out, depth)
                p += 2
            continue
        left = count
        while left > 0:
            if left >= TALL:
                tall(x, next_row, w, next_panel, y, next_out, depth)
                done = TALL
            elif left >= 4:
                four(x, next_row, w, next_panel, y, next_out, depth)
                done = 4
            elif left >= 2:
                two(x, next_row, w, next_panel, y, next_out, depth)
                done = 2
            else:
                one(x, next_row, w, next_panel, y, next_out, depth)
                done = 1
            left -= done
            x += done * next_row * SIZE
            y += done * next_out * SIZE
        p += 1
"""


class Products(NamedTuple):
    """How the loops of a run multiply: `product(rows, pack(matrix), out)`."""

    pack: Callable[[Array], Any]
    product: Callable[[Array, Any, Array], Any]


BLAS = Products(np.ascontiguousarray, matmul)


def packing_pays(operations: float, rows: int, shares: int) -> bool:
    """Whether BLAS is slower. operations: of a step's largest product; rows: of all; shares: threads."""
    return rows >= LEAST_ROWS and (shares == threads() or operations <= MOST_OPERATIONS)


def shares_of(rows: int, batch: int, operations: float) -> int:
    """How many threads pay for a loop. rows: of all steps; operations: of the largest product, for a row."""
    most = int(rows * (operations + OTHER_OPERATIONS) // LEAST_OPERATIONS)
    return max(1, min(threads(), batch, most))


@lru_cache(2)
def packed(dtype: str) -> Products:
    """Products with packed matrices of float32 or float64."""
    import numba

    if numba.config.DISABLE_JIT:  # vectors of LLVM cannot be run as Python
        return BLAS
    kernels = load_kernels(
        HEADER.format(dtype=dtype, cache=True) + SOURCE.format(dtype=dtype, version=VERSION, cache=True)
    )
    wide: int = kernels["WIDE"]  # type: ignore[assignment]

    def pack(matrix: Array) -> Array:
        depth, width = matrix.shape
        panels = np.empty((max(1, -(-width // wide)), depth, min(width, wide)), matrix.dtype)
        kernels["pack"](matrix, panels)
        return panels

    return Products(pack, kernels["product"])
