"""Every exception that tinyseq raises on purpose: what was done, what was expected, what to try."""


class TinyseqError(Exception):
    """The base of every error below."""


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
