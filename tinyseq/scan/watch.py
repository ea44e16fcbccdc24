"""Whoever looks at the steps of scans while they run; nobody, most of the time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tinyseq.scan.eager import Step
from tinyseq.sequences import Layout

Watcher = Callable[[Step, Layout, bool], Step]
"""From a step, the layout that it is about to walk, and whether in reverse, to what runs in its place."""

_watcher: ContextVar[Watcher | None] = ContextVar("tinyseq_watcher", default=None)


def watcher() -> Watcher | None:
    """Who looks on, in this thread."""
    return _watcher.get()


@contextmanager
def watching(look: Watcher) -> Iterator[Any]:
    """Within, every scan runs step by step, and runs what `look` made of its step."""
    token = _watcher.set(look)
    try:
        yield look
    finally:
        _watcher.reset(token)
