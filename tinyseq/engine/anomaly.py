"""The search for the op that makes the first NaN."""

import linecache
import math
import os
import sys
from typing import Any

from tinyseq.backend import to_numpy, words_of
from tinyseq.errors import NonFiniteError

_package = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def user_line() -> str:
    """The innermost line on the stack that is not tinyseq's own: `file:line: source`."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_package) and frame.f_back is not None:
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{line}: {linecache.getline(file, line).strip()}"


def inspect(name: str, results: Any, arguments: list[Any]) -> str:
    """The user's line that called op `name`.

    Raises NonFiniteError if the op made a NaN where no argument had one, or an infinity of finite arguments.
    """
    where = user_line()
    for value in results if type(results) is tuple else (results,):
        bad = _bad_values(value)
        if not bad:
            continue
        before = [_bad_values(a) for a in arguments]
        if not any(before):
            raise NonFiniteError(f"{name}() gave {bad} from finite inputs at {where}")
        if "NaN" in bad and not any("nan" in text.lower() for text in before):
            raise NonFiniteError(f"{name}() gave {bad} from inputs with infinities at {where}")
    return where


def inspect_gradient(name: str, where: str | None, gradient: Any) -> None:
    """Raise NonFiniteError if the backward rule of op `name` gave a NaN or an infinity."""
    bad = _bad_values(gradient)
    if bad:
        called = where or "a line outside detect_anomaly()"
        raise NonFiniteError(f"the gradient of {name}() has {bad}; the op was called at {called}")


def _bad_values(value: Any) -> str:
    """How many elements are not finite, in words; empty if all are."""
    if isinstance(value, float) and not hasattr(value, "dtype"):
        return "" if math.isfinite(value) else repr(value)
    if getattr(getattr(value, "dtype", None), "kind", "") != "f":
        return ""
    finite = words_of(value).isfinite(value)
    count = int(value.size - finite.sum())
    if not count:
        return ""
    host = to_numpy(value)
    nans = int((host != host).sum())
    kind = "NaN" if nans == count else "infinities" if nans == 0 else "NaN and infinities"
    return f"{kind} in {count} of {value.size} values"
