"""Ctrl-C and SIGTERM between two steps, never inside one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(Exception):
    """The process was asked to stop, and the run stands between two steps."""


class Interrupts:
    """Whether the process was asked to stop since the run began."""

    requested = False


@contextmanager
def deferred_interrupts() -> Iterator[Interrupts]:
    """Note the first Ctrl-C or SIGTERM instead of raising, so that no update is left half-done.

    The second raises. SIGTERM is what schedulers of clusters send. Both are heard where the process was begun
    with them ignored, as shells begin jobs in the background. Nothing is changed outside the main thread,
    where Python delivers no signals, nor for a signal that the caller handles in a way of its own.
    """
    interrupts = Interrupts()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    usual = (signal.default_int_handler, signal.SIG_DFL, signal.SIG_IGN)
    here = threading.current_thread() is threading.main_thread()
    heard = [number for number, handler in before.items() if here and handler in usual]

    def note(number: int, frame: FrameType | None) -> None:
        if interrupts.requested:
            raise KeyboardInterrupt
        interrupts.requested = True

    for number in heard:
        signal.signal(number, note)
    try:
        yield interrupts
    finally:
        for number in heard:
            signal.signal(number, before[number])
