"""The one source of randomness: a generator on the host, so that a seed means the same on every backend."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinyseq.engine.functional import replays
from tinyseq.errors import ConfigError, RandomStepError

_generator = np.random.default_rng()
_refused: ContextVar[bool] = ContextVar("tinyseq_random_refused", default=False)


def seed(n: int) -> None:
    """Start the process's random numbers again from `n`: the same seed gives the same numbers."""
    global _generator
    _generator = np.random.default_rng(n)


def generator() -> np.random.Generator:
    """The process's generator, from which initialisers, dropout, shuffling and sampling draw.

    Raises RandomStepError while a step is traced.
    """
    if _refused.get():
        raise RandomStepError(
            "A compiled step draws no random numbers: it is recorded once, so every step of every batch "
            "would get the same. Use tinyseq.noise, which draws them beforehand, or leave out compiled=True."
        )
    return _generator


@contextmanager
def refused() -> Iterator[None]:
    """Within, nobody may draw: what is recorded would hold the numbers of one time for all times."""
    token = _refused.set(True)
    try:
        yield
    finally:
        _refused.reset(token)


def get_state() -> dict[str, Any]:
    """Where the generator stands, as a dict that JSON can hold."""
    return dict(_generator.bit_generator.state)


def set_state(state: dict[str, Any]) -> None:
    """Go on from a state that `get_state()` gave. Raises ConfigError if it is none."""
    restored = np.random.default_rng()
    try:
        restored.bit_generator.state = state
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise ConfigError(
            f"This is no state of the random generator ({error!r}): pass one from get_state()."
        ) from None
    global _generator
    _generator = restored


replays(get_state, set_state)
