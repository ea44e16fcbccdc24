"""receipt.json: what a run was made of, so that somebody else can make it again and compare."""

import hashlib
import inspect
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
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

RECEIPT, FORMAT, VERSION = "receipt.json", "tinyseq.receipt", 1
MAX_BYTES = 2**26  # of a receipt; one of a million epochs has less
PACKAGES = ("numpy", "numba", "llvmlite", "cupy-cuda12x", "safetensors")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment(model: Any, optimizer: Any) -> dict[str, Any]:
    """Where a run takes place: versions, processor, threads, backend, and the code of its parts by hash."""
    parameter = next(iter(model.parameters()), None)
    classes = _classes(model, optimizer)
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
        "code": {_name(cls): _code(cls) for cls in sorted(classes, key=_name)},
        "packages of code": _packages({"tinyseq", *(cls.__module__ for cls in classes)}),
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
        "version": VERSION,
        "environment": environment(trainer.model, trainer.optimizer)
        | ({} if trainer.team.alone else {"processes": trainer.team.size}),
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
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        record = json.loads(raw, parse_int=_whole) if len(raw) <= MAX_BYTES else None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise DataError(f"{path} is no receipt of a training run: name the receipt.json in its directory.")
    if not _is(record.get("version"), int) or record["version"] != VERSION:
        raise DataError(
            f"{path} is a receipt of version {_brief(repr(record.get('version')))}, and this tinyseq reads "
            f"version {VERSION}: replay it with the tinyseq that wrote it."
        )
    wanted = {"environment": dict, "run": dict, "epochs": int, "history": list, "weights": str}
    wrong = [key for key, kind in wanted.items() if not _is(record.get(key), kind)]
    if not wrong:
        epochs, history = record["epochs"], record["history"]
        wrong += [] if epochs > 0 else ["epochs"]
        wrong += [] if len(history) == epochs and all(_is(h, dict) for h in history) else ["history"]
        wrong += [] if re.fullmatch("[0-9a-f]{64}", record["weights"]) else ["weights"]
    if wrong:
        raise DataError(f"{path} is a damaged receipt: {' and '.join(wrong)} cannot be what a run wrote.")
    return record


def differences(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """What has changed from one environment to another, one line each."""
    found = []
    for key in sorted({*before, *now}):
        a, b = before.get(key), now.get(key)
        name = _brief(f"{path}{key}")
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{name} ")
        elif a != b:
            found.append(f"{name}: {_brief(a)} then, {_brief(b)} now")
    return found


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _whole(digits: str) -> int:
    """A whole number that a run may have written. Raises ValueError for what fits no processor."""
    if len(digits) > 20:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _brief(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else ascii(text)
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


def _packages(modules: set[str]) -> dict[str, str]:
    """By name, the hash of all Python files of the packages that modules are of: what their code calls."""
    names = sorted({module.partition(".")[0] for module in modules})
    return {name: found for name in names if (found := _package(name))}


@cache
def _package(name: str) -> str:
    """The hash of the names and texts of a package's files; "" for what is none, as a single module."""
    found = hashlib.sha256()
    folders = list(getattr(sys.modules.get(name), "__path__", []))
    files = [(str(path.relative_to(f)), path) for f in folders for path in Path(f).rglob("*.py")]
    for inside, path in sorted(files):
        with suppress(OSError):
            found.update(f"{inside}\n".encode() + path.read_bytes())
    return found.hexdigest()[:16] if files else ""


@cache
def _code(cls: type) -> str:
    """The hash of the file that a class stands in; of none where there is no file, as in a session."""
    module = sys.modules.get(cls.__module__)
    try:
        source = inspect.getsource(module) if module is not None else ""
    except (OSError, TypeError):
        source = ""
    return hashlib.sha256(source.encode()).hexdigest()[:16] if source else ""
