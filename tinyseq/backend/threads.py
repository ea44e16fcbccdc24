"""Threads of our own for compiled code, which computes without Python's lock; they sleep while they wait."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache

MOST = 64


@lru_cache(1)
def threads() -> int:
    """How many threads NumPy's BLAS uses, and so do we: as OPENBLAS_NUM_THREADS or OMP_NUM_THREADS says, or the cores."""
    given = (os.environ.get(name, "") for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    wanted = next((int(text) for text in given if text.isdigit() and int(text)), None)
    return min(wanted or cores or 1, MOST)


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
