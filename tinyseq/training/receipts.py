"""receipt.json: what a run was made of, so that somebody else can make it again and compare."""

import hashlib
import inspect
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import tinyseq
from tinyseq.backend import backend_of
from tinyseq.errors import DataError
from tinyseq.files import atomic_write

RECEIPT, FORMAT = "receipt.json", "tinyseq.receipt"
PACKAGES = ("numpy", "numba", "llvmlite", "cupy-cuda12x", "safetensors")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment(model: Any, optimizer: Any) -> dict[str, Any]:
    """Where a run takes place: versions, processor, threads, backend, and the code of its parts by hash."""
    parameter = next(iter(model.parameters()), None)
    return {
        "tinyseq": tinyseq.__version__,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "backend": "" if parameter is None else backend_of(parameter.data).name,
        "emitter": os.environ.get("TINYSEQ_EMITTER", ""),
        "code": {_name(cls): _code(cls) for cls in sorted(_classes(model, optimizer), key=_name)},
    }


def weights_hash(state: Mapping[str, Any]) -> str:
    """SHA-256 of names, shapes, dtypes and values: equal where they are the same bit for bit."""
    found = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def write_receipt(trainer: Any) -> None:
    """Put the receipt of a Trainer's run, as it stands, into its directory."""
    progress = trainer.progress
    record = {
        "format": FORMAT,
        "version": 1,
        "environment": environment(trainer.model, trainer.optimizer),
        "run": trainer.notes,
        "epochs": progress.epoch,
        "steps": progress.step,
        "seconds": sum(epoch.seconds for epoch in trainer.history),
        "history": [asdict(epoch) for epoch in trainer.history],
        "weights": weights_hash(trainer.model.state_dict()),
    }
    text = json.dumps(record, indent=2, default=str)
    atomic_write(trainer.directory / RECEIPT, text.encode())


def read_receipt(path: Path) -> dict[str, Any]:
    """The receipt in a file. Raises DataError, in one sentence, for anything else."""
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        record = None
    wanted = {"environment": dict, "run": dict, "epochs": int, "history": list, "weights": str}
    if (
        not isinstance(record, dict)
        or record.get("format") != FORMAT
        or not all(isinstance(record.get(key), kind) for key, kind in wanted.items())
    ):
        raise DataError(f"{path} is no receipt of a training run: name the receipt.json in its directory.")
    return record


def differences(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """What has changed from one environment to another, one line each."""
    found = []
    for key in sorted({*before, *now}):
        a, b = before.get(key), now.get(key)
        name = f"{path}{key}"
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{name} ")
        elif a != b:
            found.append(f"{name}: {_brief(a)} then, {_brief(b)} now")
    return found


def _brief(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _classes(model: Any, optimizer: Any) -> set[type]:
    return {type(module) for module in model.modules()} | {type(optimizer)}


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@cache
def _code(cls: type) -> str:
    """The hash of the file that a class stands in; of none where there is no file, as in a session."""
    module = sys.modules.get(cls.__module__)
    try:
        source = inspect.getsource(module) if module is not None else ""
    except (OSError, TypeError):
        source = ""
    return hashlib.sha256(source.encode()).hexdigest()[:16] if source else ""
