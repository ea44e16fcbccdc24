"""Work on rows a block at a time, so that what a formula makes on its way stays in the CPU's cache."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq.backend.words import Words

BLOCK = 1 << 20  # bytes; docs/decisions/training-step.md has the measurements


def by_rows(xp: Words, function: Callable[..., Any], *arrays: Any) -> Any:
    """`function(*arrays)`, for a function that gives row i of its results from row i of its arguments alone.

    NumPy's arrays larger than a block are handed over block by block: the results are written once, and the
    temporaries never reach main memory. Anything else is handed over whole, and so are vectors.
    """
    if xp.name != "numpy" or arrays[0].nbytes <= BLOCK or arrays[0].ndim < 2:
        return function(*arrays)
    rows = len(arrays[0])
    step = max(1, BLOCK * rows // arrays[0].nbytes)
    results: list[Any] = []
    for start in range(0, rows, step):
        part = slice(start, start + step)
        found = function(*[array[part] for array in arrays])
        several = type(found) is tuple
        blocks = found if several else (found,)
        if not results:
            results = [np.empty((rows, *block.shape[1:]), block.dtype) for block in blocks]
        for result, block in zip(results, blocks, strict=True):
            result[part] = block
    return tuple(results) if several else results[0]
