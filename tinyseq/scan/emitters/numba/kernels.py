"""Kernels on disk: numba compiles a source once for each user and machine, not once for each process."""

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from tinyseq.errors import ConfigError

HEADER = '''"""Kernels of a compiled step, written by tinyseq."""

import math

import numpy as np
from numba import njit

real = np.{dtype}
kernel = njit(error_model="numpy", fastmath={{"contract", "nsz"}}, nogil=True, cache={cache})
inline = njit(error_model="numpy", fastmath={{"contract", "nsz"}}, inline="always")

'''


def emitter_name(backend: str) -> str:
    """Which emitter compiles steps: TINYSEQ_EMITTER (numpy, numba or cuda), else numba where it is installed.

    Kernels of the cuda emitter are for CuPy's arrays, and numba's for NumPy's; else it is the default.
    """
    wanted = os.environ.get("TINYSEQ_EMITTER", "")
    if wanted not in ("", "numpy", "numba", "cuda"):
        raise ConfigError(f"TINYSEQ_EMITTER is {wanted!r}: set it to numpy, numba or cuda, or not at all.")
    if backend != "numpy":
        return "cuda" if wanted == "cuda" else "numpy"  # whose words are CuPy's too
    if wanted == "numba" and not _has_numba():
        raise ConfigError("TINYSEQ_EMITTER=numba needs numba: pip install 'tinyseq[fast]'.")
    return wanted if wanted in ("numpy", "numba") else ("numba" if _has_numba() else "numpy")


@lru_cache(1)
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def cache_folder() -> Path:
    """Where kernels are kept: TINYSEQ_CACHE, else `tinyseq/kernels` in the user's cache folder."""
    own = os.environ.get("TINYSEQ_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(home) / "tinyseq" / "kernels"


@lru_cache(512)
def load_kernels(source: str) -> dict[str, Callable[..., Any]]:
    """The functions that `source` defines, from the file of that source if it was met before."""
    name = "kernels_" + hashlib.sha256(f"{sys.version} {source}".encode()).hexdigest()[:24]
    try:
        path = _written(name, source)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # numba finds the module of a function that it has kept by its name
        exec(compile(source, str(path), "exec"), vars(module))
    except (OSError, RuntimeError):  # no place to write, or none that numba would: compile in memory
        sys.modules.pop(name, None)
        scope: dict[str, Any] = {}
        exec(compile(source.replace("cache=True", "cache=False"), f"<{name}>", "exec"), scope)
        return scope
    for kernel in vars(module).values():
        if hasattr(kernel, "_cache"):
            _forgive(kernel._cache)
    return vars(module)


_listeners: list[Callable[[], None]] = []


@contextmanager
def told_of_compiling(listener: Callable[[], None]) -> Iterator[None]:
    """Have `listener` called whenever a kernel is about to be compiled that was not kept from before."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def _forgive(cache: Any) -> None:
    """Let numba's cache of a kernel take what is damaged for what is not there, and write it anew."""
    load, save = cache.load_overload, cache.save_overload

    def load_overload(*arguments: Any) -> Any:
        found = None
        try:
            found = load(*arguments)
        except Exception:  # whatever unpickling makes of what a power cut has left
            _throw_away(cache)
        if found is None:  # then numba compiles
            for listener in _listeners:
                listener()
        return found

    def save_overload(*arguments: Any) -> None:
        try:
            save(*arguments)
        except (
            Exception
        ):  # the index cannot be read, or the disk is full: what was compiled works all the same
            _throw_away(cache)

    cache.load_overload, cache.save_overload = load_overload, save_overload


def _throw_away(cache: Any) -> None:
    with suppress(Exception):
        cache.flush()  # an empty index, so that nothing is looked up in the rest


def _written(name: str, source: str) -> Path:
    folder = cache_folder()
    path = folder / f"{name}.py"
    if not path.exists() or path.read_bytes() != source.encode():  # not there, or cut short
        folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=folder, suffix=".tmp", text=True)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        os.replace(draft, path)  # another process sees all of it or nothing
    return path
