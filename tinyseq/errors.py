"""Every exception that tinyseq raises on purpose: what was done, what was expected, what to try."""

import reprlib
from collections.abc import Iterable
from typing import Any, Self

_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxother = 60


def brief(value: Any) -> str:
    """The repr of a plain value, as of NumPy or TOML, never long; of anything else, its class."""
    plain = type(value).__module__ in ("builtins", "datetime", "numpy")
    return _shortener.repr(value) if plain else f"a {type(value).__name__}"


def clip(text: str) -> str:
    """The beginning of a text that a stranger may have made endless."""
    return text if len(text) <= 400 else f"{text[:397]}..."


def listed(parts: Iterable[object], most: int = 5, separator: str = ", ") -> str:
    """The first of what may be many, and how many more there are."""
    shown = [str(part) for part in parts]
    more = [f"and {len(shown) - most} more"] if len(shown) > most else []
    return separator.join(shown[:most] + more)


def near(name: str, names: Iterable[str]) -> str:
    """A question with the names that `name` may have been meant for, or an empty string."""
    import difflib  # only a mistake needs it

    found = difflib.get_close_matches(name, names, 3) if len(name) <= 100 else []
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else ""


class TinyseqError(Exception):
    """The base of every error below. Its arguments are sentences: what is wrong, and what to do about it."""

    at: tuple[int, int] | None = None
    """Which sequence of a batch it is about, and of how many, if it is about one."""

    def __str__(self) -> str:
        return " ".join(map(str, self.args))

    def about(self, sequence: int, of: int) -> Self:
        """The same error, which knows the sequence: where a batch was shuffled, its example can be named."""
        self.at = (int(sequence), int(of))
        return self


class ShapeError(TinyseqError, ValueError):
    """Arrays whose shapes do not fit the operation."""


class GraphError(TinyseqError, RuntimeError):
    """A tape used in a way that it does not allow: swept twice, no path, a parameter changed meanwhile."""


class BackendError(TinyseqError, RuntimeError):
    """A backend that is unknown, not installed, or cannot run on this machine."""


class MixedBackendsError(TinyseqError, TypeError):
    """Arrays of two backends in one operation."""


class NonFiniteError(TinyseqError, FloatingPointError):
    """The first NaN or infinity that `detect_anomaly()` found."""


class TraceError(TinyseqError, TypeError):
    """A `step` that cannot be compiled: it needs the numbers, and a trace has only shapes.

    `where` is the op that could not be recorded and the author's line that called it, if it was an op.
    """

    where: str = ""


class RandomStepError(TraceError):
    """A `step` that draws random numbers, which a trace would draw once for all steps."""


class ConfigError(TinyseqError, ValueError):
    """An argument or option with a value that makes no sense; `part` is the argument, if it says which."""

    part: str | None = None


class DataError(TinyseqError, ValueError):
    """Input data or a file that cannot be used."""


class PluginError(TinyseqError, LookupError):
    """A plugin that is unknown, offered twice, broken, or does not meet the contract."""


class ProcessError(TinyseqError, RuntimeError):
    """Another of the processes that train one model has failed, or is not heard of; the message names it."""
