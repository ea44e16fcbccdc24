"""Ctrl-C between two steps, never inside one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(Exception):
    """Ctrl-C was pressed, and the run stands between two steps."""


class Interrupts:
    """Whether Ctrl-C was pressed since the run began."""

    requested = False

    def stop_if_requested(self) -> None:
        """Raise Stopped if it was."""
        if self.requested:
            raise Stopped


@contextmanager
def deferred_interrupts() -> Iterator[Interrupts]:
    """Note the first Ctrl-C instead of raising, so that no update is left half-done; the second raises.

    Nothing is changed outside the main thread, where Python delivers no signals, or where Ctrl-C is ignored
    or handled in a way of the caller's own.
    """
    interrupts = Interrupts()
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupts
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interrupts.requested:
            raise KeyboardInterrupt
        interrupts.requested = True

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
