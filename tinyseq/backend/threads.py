"""Threads of our own, which sleep while they wait, for compiled loops and for large products.

NumPy's BLAS has threads as well, which spin while they wait: beside them, or beside other programs, all takes
longer. So BLAS computes with one thread here, and a large product is divided among ours.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

MOST = 64
BLAS_TAKES_ONE = 2**18  # of so many multiplications or fewer, OpenBLAS gives a product one thread by itself
LEAST_PRODUCT = 2**22  # multiplications of a product that is divided: about 0.1 ms; to begin takes 0.05


@lru_cache(1)
def threads() -> int:
    """How many threads to use: as OPENBLAS_NUM_THREADS or OMP_NUM_THREADS says, else one a core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(threads_said() or cores or 1, MOST)


def threads_said() -> int | None:
    """How many threads the environment says to use; None if it says nothing."""
    given = (os.environ.get(name, "") for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
    return next((int(text) for text in given if text.isdigit() and int(text)), None)


@lru_cache(1)
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, threads() - 1), thread_name_prefix="tinyseq")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.cache_clear)  # a child has none of its parent's threads


def together(tasks: Sequence[Callable[[], object]]) -> None:
    """Run the tasks at the same time, the first in this thread; return when all have ended.

    They must not wait for each other, nor call this function.
    """
    others = [_workers().submit(task) for task in tasks[1:]]
    try:
        tasks[0]()
    finally:
        wait(others)  # even when interrupted: they write into memory that would be given back
    for other in others:
        other.result()


def share_cores(processes: int) -> None:
    """Use this process's part of the cores from now on, where the environment does not say how many."""
    if threads_said() is None:
        os.environ["OMP_NUM_THREADS"] = str(max(1, threads() // processes))
        threads.cache_clear()
        _workers.cache_clear()
    if blas.set is not None:
        blas.set(threads())


class _Blas:
    """The number of threads of NumPy's own OpenBLAS, if that is what NumPy multiplies with."""

    def __init__(self) -> None:
        self.get = self.set = None
        self._users, self._before, self._lock = 0, 1, threading.Lock()
        packages = Path(np.__file__).parent
        for file in [*packages.parent.glob("numpy.libs/*openblas*"), *packages.glob(".dylibs/*openblas*")]:
            try:
                library: Any = ctypes.CDLL(str(file))
                self.get = library.scipy_openblas_get_num_threads64_
                self.set = library.scipy_openblas_set_num_threads64_
            except (OSError, AttributeError):  # another build: it keeps its threads
                continue

    @contextmanager
    def with_one_thread(self) -> Iterator[bool]:
        """BLAS with one thread for a while, whoever else asks for it; False if that cannot be had."""
        if self.get is None or self.set is None:
            yield threads() == 1
            return
        with self._lock:
            if self._users == 0:
                self._before = self.get()
                if self._before != 1:
                    self.set(1)
            self._users += 1
        try:
            yield True
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0 and self._before != 1:
                    self.set(self._before)


blas = _Blas()


def matmul(a: Any, b: Any, out: Any = None) -> Any:
    """As np.matmul; a large product of matrices is divided among our threads, by rows or columns."""
    if a.ndim != 2 or b.ndim != 2 or a.dtype != b.dtype or a.dtype.kind != "f":
        return np.matmul(a, b) if out is None else np.matmul(a, b, out=out)
    work = a.size * b.shape[1]
    if work <= BLAS_TAKES_ONE or threads() == 1 or a.shape[1] != b.shape[0]:
        return np.matmul(a, b) if out is None else np.matmul(a, b, out=out)
    with blas.with_one_thread() as able:
        if not able or work < LEAST_PRODUCT:
            return np.matmul(a, b) if out is None else np.matmul(a, b, out=out)
        if out is None:
            out = np.empty((a.shape[0], b.shape[1]), a.dtype)
        by_rows = a.shape[0] >= b.shape[1]
        edges = [len(out if by_rows else out.T) * i // threads() for i in range(threads() + 1)]
        parts = [slice(start, stop) for start, stop in pairwise(edges) if stop > start]
        if by_rows:
            tasks = [partial(np.matmul, a[part], b, out=out[part]) for part in parts]
        else:
            tasks = [partial(np.matmul, a, b[:, part], out=out[:, part]) for part in parts]
        together(tasks)
        return out
