"""See what CuPy asks of the CPU device, and choose the order in which it runs threads."""

import ctypes
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from . import device

ORDERS = ("fwd", "rev", "rand")


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """The events of the block, counted by kind once it has ended; README.md lists the kinds."""
    before = _counters()
    events: Counter[str] = Counter()
    yield events
    events.update(_counters() - before)


@contextmanager
def recording() -> Iterator[list[str]]:
    """The events of the block in order, as `kind` or `kind:detail` (a kernel's name), once it has ended."""
    events: list[str] = []
    _library().cpucuda_record(1)
    try:
        yield events
        events.extend(_library().cpucuda_events())
    finally:
        _library().cpucuda_record(0)


@contextmanager
def thread_order(order: str, seed: int = 1) -> Iterator[None]:
    """Run the threads and blocks of each kernel forwards, backwards or shuffled ("fwd", "rev", "rand").

    A result that depends on it has a race or lacks a barrier.
    """
    if order not in ORDERS:
        raise ValueError(f"thread_order: expected one of {', '.join(ORDERS)}, got {order!r}.")
    _library().cpucuda_set_order(ORDERS.index(order), seed)
    try:
        yield
    finally:
        _library().cpucuda_set_order(0, 1)


def _counters() -> Counter[str]:
    return Counter(_library().cpucuda_counters())


def _library() -> ctypes.PyDLL:
    if device.library is None:
        raise RuntimeError(
            "cpucuda is not installed in this process: call cpucuda.install() before `import cupy`."
        )
    return device.library
