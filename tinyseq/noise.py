"""Random numbers inside a step: drawn before it runs, and given to it beside its inputs.

A compiled step is recorded once, so it cannot draw numbers itself. What it asks for here is drawn for all
steps at once, from one key for each scan and by the number of the request within the step: the same on the
tape, in kernels and on every backend, however sequences are packed, sorted, or cut over time and threads.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

import numpy as np

from tinyseq import random
from tinyseq.backend import backend_of
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.sequences import Layout

Per = Literal["step", "sequence", "scan"]


class Draw(NamedTuple):
    """What a step asks for."""

    per: Per
    shape: tuple[int, ...]  # of a row; of the whole, for a scan
    dtype: Any
    p: float | None  # the probability of a 0; None: normal numbers
    kept: float = 1.0  # what is there instead of a 0

    def numbers(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """So many, in host memory."""
        if self.p is None:
            return rng.standard_normal(shape, np.float32).astype(self.dtype)
        kept = rng.random(shape, np.float32) >= self.p
        values: np.ndarray[Any, Any] = np.multiply(kept, self.dtype.type(self.kept), dtype=self.dtype)
        return values


Source = Callable[[Draw, Tensor], Tensor]
_source: ContextVar[Source | None] = ContextVar("where the numbers of a step come from", default=None)


def mask(x: Tensor, p: float, *, per: Per = "step", kept: float = 1.0) -> Tensor:
    """A constant of x's shape and dtype, 0 with probability p and otherwise `kept`, each by itself.

    per: "step" draws every row of every step anew; "sequence" gives a sequence the same row at all of its
    steps (Gal and Ghahramani, 2016); "scan" draws once for all sequences and steps, as for a Parameter x.
    Outside of a scan each call draws. All follows from `tinyseq.seed`. Raises ConfigError unless
    0 <= p <= 1, ShapeError where x has no row for each sequence.
    """
    if not 0 <= p <= 1:
        raise ConfigError(f"noise.mask(p={p!r}): p is the probability of a 0, between 0 and 1.")
    return _asked(x, per, float(p), float(kept))


def normal(x: Tensor, *, per: Per = "step") -> Tensor:
    """A constant of x's shape and dtype from the standard normal distribution; `per` as in `mask`."""
    return _asked(x, per, None, 1.0)


def _asked(x: Tensor, per: Per, p: float | None, kept: float) -> Tensor:
    if per not in ("step", "sequence", "scan"):
        raise ConfigError(f'noise: per={per!r}; choose "step", "sequence" or "scan".')
    shape = tuple(x.shape)
    draw = Draw(per, shape if per == "scan" else shape[1:], np.dtype(x.dtype), p, kept)
    source = _source.get()
    if source is not None:
        return source(draw, x)
    return make_tensor(backend_of(x.data).asarray(draw.numbers(random.generator(), shape)), None)


def in_step() -> bool:
    """Whether a scan runs a step, or a step is traced, so that Tensors are rows of sequences."""
    return _source.get() is not None


@contextmanager
def drawn_by(source: Source) -> Iterator[None]:
    """Within, `source` answers what steps ask for."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


class ScanNoise:
    """The numbers of one scan. Its first request takes one number, its key, from the process's generator.

    A scan inside another's step, such as a decoder's for each symbol, has the masks of the outer one: they
    last as long as the outer sequences.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._outer = _source.get()
        self._key: int | None = None

    def of(self, number: int, draw: Draw, time: int = 0) -> np.ndarray[Any, Any]:
        """The answer to a step's request of this number: packed rows (total, ...), or one array for a scan.

        What a sequence gets at a step depends on its place in the caller's batch and on the step, not on
        lengths. A scan that goes on with each call counts its calls as `time`.
        """
        if self._key is None:
            self._key = int(random.generator().integers(2**63))
        layout, again = self._layout, time if draw.per == "step" else 0
        rng = np.random.default_rng([self._key, number, again])
        if draw.per == "scan":
            return draw.numbers(rng, draw.shape)
        if draw.per == "sequence":
            return draw.numbers(rng, (layout.batch, *draw.shape)).take(layout.owners, axis=0)
        rows = draw.numbers(rng, (layout.steps * layout.batch, *draw.shape))
        if layout.is_dense:
            return rows
        return rows.take(layout.times * layout.batch + layout.owners, axis=0)

    def tensor(self, number: int, draw: Draw, like: Any, time: int = 0) -> Tensor:
        """The same as a constant on the backend of the array `like`."""
        if self._outer is not None and draw.per != "step":
            rows = make_tensor(backend_of(like).asarray(np.zeros((self._layout.batch, 1), np.float32)), None)
            found = self._outer(draw, rows)
            if draw.per == "scan" or self._layout.steps == 1:
                return found
            owners = backend_of(like).asarray(self._layout.owners)
            return make_tensor(found.data.take(owners, axis=0), None)
        return make_tensor(backend_of(like).asarray(self.of(number, draw, time)), None)


class StepNoise(ScanNoise):
    """The same for a step that runs on the tape, one time step after the other: it is the `Source` there."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._drawn: dict[tuple[int, Draw], Tensor] = {}
        self._rows = slice(0, layout.sizes[0])
        self._number = 0
        self._time = 0

    def begin(self, t: int) -> None:
        """Time step t begins."""
        start = self._layout.offsets[t]
        self._rows = slice(start, start + self._layout.sizes[t])
        self._number = 0

    def go_on(self) -> None:
        """One more step of every sequence begins, in a reading that has no end."""
        self._number, self._time = 0, self._time + 1
        self._drawn = {key: made for key, made in self._drawn.items() if key[1].per != "step"}

    def __call__(self, draw: Draw, x: Tensor) -> Tensor:
        size = self._rows.stop - self._rows.start
        if draw.per == "step" and x.shape[:1] != (size,):  # something else: it may be drawn at once
            return make_tensor(backend_of(x.data).asarray(draw.numbers(random.generator(), x.shape)), None)
        if draw.per == "sequence" and x.shape[:1] != (size,):
            raise no_rows(draw, x)
        key = self._number, draw
        self._number += 1
        if key not in self._drawn:
            self._drawn[key] = self.tensor(*key, x.data, self._time)
        whole = self._drawn[key]
        return whole if draw.per == "scan" else make_tensor(whole.data[self._rows], None)


def no_rows(draw: Draw, x: Tensor) -> ShapeError:
    """The error about noise for each sequence beside something that has no row for each."""
    return ShapeError(
        f'noise with per="{draw.per}" has a row for each sequence, but was asked for beside a Tensor of '
        f'shape {tuple(x.shape)}: say per="scan" for a Parameter, which all sequences share.'
    )
