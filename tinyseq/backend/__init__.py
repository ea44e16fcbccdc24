"""The array libraries, and which one is in use.

`words_of(array)` finds the library of an array from its type alone. `use(name)` chooses where new arrays
are made; arrays that exist stay where they are.
"""

import importlib
import importlib.util
import os
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from tinyseq.backend.numpy_backend import NumpyBackend
from tinyseq.backend.words import Words as Words
from tinyseq.backend.words import is_basic as is_basic
from tinyseq.errors import BackendError

Array = Any  # a NumPy or CuPy array, or a symbol while a step is traced


class Backend(Protocol):
    """What two array libraries do not agree on, and nothing else."""

    name: str
    emitter: str
    words: Words
    types: tuple[type, ...]

    def asarray(self, values: Any, dtype: Any = None) -> Array: ...
    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array: ...
    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]: ...
    def synchronize(self) -> None: ...
    def devices(self) -> list[str]: ...
    def select(self, device: int) -> int: ...


# Type of an array -> the words of its library. Filled when a backend is first loaded, and by the tracer.
WORDS: dict[type, Words] = {}

_loaded: dict[str, Backend] = {}
_current: ContextVar[Backend] = ContextVar("tinyseq_backend")


def backend(name: str | None = None) -> Backend:
    """The backend called `name`, loaded on first use; without a name the one in use."""
    if name is None:
        found = _current.get(None) or use.everywhere
        return found if found is not None else backend(os.environ.get("TINYSEQ_BACKEND") or "numpy")
    if name not in _loaded:
        _loaded[name] = _load(name)
        for kind in _loaded[name].types:
            WORDS[kind] = _loaded[name].words
    return _loaded[name]


def _load(name: str) -> Backend:
    if name == "numpy":
        return NumpyBackend()
    if name != "cupy":
        raise BackendError(
            f"There is no backend {name!r}; choose 'numpy' or 'cupy' (also in TINYSEQ_BACKEND)."
        )
    if importlib.util.find_spec("cupy") is None:
        raise BackendError(
            "The backend 'cupy' needs CuPy, which is not installed: pip install 'cupy-cuda12x[ctk]' "
            "(the number is your CUDA version), or stay with tinyseq.use('numpy')."
        )
    try:
        module = importlib.import_module("tinyseq.backend.cupy_backend")
    except ImportError as error:
        raise BackendError(f"CuPy is installed but cannot be imported ({error}): reinstall it.") from error
    loaded: Backend = module.CupyBackend()
    return loaded


class use:
    """Make new arrays with this backend: `use("cupy")` from now on, or `with use("cupy"):` for a while.

    From now on means in threads, too, such as those that load batches or serve requests; `with` is for the
    thread (or the task) that says it. With several GPUs `device` is the number of one, for this thread.
    Raises BackendError, in one sentence, where the backend or the device is unknown or cannot run.
    """

    everywhere: Backend | None = None  # in threads that say nothing of their own

    def __init__(self, name: str, device: int | None = None) -> None:
        chosen = backend(name)
        self._device = None if device is None else chosen.select(device)
        self._token = _current.set(chosen)
        self._before, use.everywhere = use.everywhere, backend(name)

    def __enter__(self) -> Backend:
        use.everywhere = self._before
        return _current.get()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device is not None:
            _current.get().select(self._device)
        _current.reset(self._token)


def words_of(array: Array) -> Words:
    """The words of the library that `array` belongs to."""
    try:
        return WORDS[type(array)]
    except KeyError:
        raise TypeError(f"{type(array).__name__} is not an array of any backend in use.") from None


def backend_of(array: Array) -> Backend:
    """The backend that `array` belongs to."""
    return backend(words_of(array).name)


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """The values of `array`, whichever backend holds it, in host memory."""
    return backend_of(array).to_numpy(array)


backend("numpy")
