"""What a run is made of beside weights and data, so that one that is resumed cannot change in silence."""

import dataclasses
import inspect
import json
import math
import warnings
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from tinyseq.backend import to_numpy
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Module, Parameter

SHOWN = 3  # changes in a sentence
DEEPEST = 3  # objects within objects
NO_PART = "training", "optimizer", "parameters", "values"  # said elsewhere, or of the averages themselves


def setup_of(trainer: Any) -> dict[str, Any]:
    """Names and values, as JSON holds them, of all that decides what a Trainer's next steps do.

    Functions are known by their name, arrays and what is long by a checksum.
    """
    found: dict[str, Any] = {"monitor": trainer.monitor.name, "measure": trainer.monitor.measure}
    found |= {"clip": None if trainer.clip == math.inf else trainer.clip, "accumulate": trainer.accumulate}
    for name in ("objective", "schedule", "average"):
        found |= _parts(name, getattr(trainer, name))
    found["optimizer"] = type(trainer.optimizer).__name__
    for path, module in trainer.model.named_modules():
        found |= _attributes(path or "model", module)
    found |= _parts("frozen", frozen(trainer.model))
    found["dtypes"] = sorted({str(parameter.dtype) for parameter in trainer.model.parameters()})
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def frozen(model: Module) -> list[str]:
    """The paths of the Parameters that take no gradients."""
    return [path for path, parameter in model.named_parameters() if not parameter.requires_grad]


def refuse_other_judge(now: dict[str, Any], before: dict[str, Any]) -> None:
    """Raise ConfigError where figures of the run so far could not be compared with those to come."""
    modes: dict[Any, str] = {1.0: "'min'", -1.0: "'max'"}
    for name in ("monitor", "average", "schedule.sign"):
        was, is_ = before.get(name), now.get(name)
        if was != is_ and None not in (was, is_):
            said = {"schedule.sign": "mode of ReduceOnPlateau"}.get(name, name)
            raise ConfigError(
                f"the {said} was {modes.get(was, repr(was))} and is {modes.get(is_, repr(is_))} now, and "
                "what is best by the one cannot be compared with what is best by the other: keep the first, "
                "or begin another run from the weights of this one."
            )


def say_changes(now: dict[str, Any], before: dict[str, Any], *, stacklevel: int) -> None:
    """Warn of what has changed since the run began; of a schedule that is gone, the caller does."""
    if now["schedule"] is None:
        before = {key: value for key, value in before.items() if key.split(".")[0] != "schedule"}
        before["schedule"] = None
    apart = [key for key in {**before, **now} if now.get(key) != before.get(key)]
    changed = [key for key in apart if not any(key.startswith(f"{other}.") for other in apart)]
    if changed:
        said = [f"{key}={_brief(now.get(key))}, not {_brief(before.get(key))}" for key in changed[:SHOWN]]
        more = f"; and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        warnings.warn(f"The run goes on with {'; '.join(said)}{more}.", stacklevel=stacklevel + 1)


def _brief(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else repr(value)


def _attributes(path: str, value: Any, depth: int = 0) -> dict[str, Any]:
    """The class of an object and its public attributes, but for its state and what is of other modules."""
    state = () if isinstance(value, Module) or not hasattr(value, "state_dict") else value.state_dict()
    found = {path: type(value).__name__}
    names = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    for name in [*names, *(name for name in getattr(value, "__dict__", {}) if name not in names)]:
        if not name.startswith("_") and name not in (*NO_PART, *state):
            found |= _parts(f"{path}.{name}", getattr(value, name), depth + 1)
    return found


def _parts(path: str, value: Any, depth: int = 0) -> dict[str, Any]:
    if isinstance(value, Module | Parameter) or _holds_modules(value):
        return {}
    if isinstance(value, float) and not math.isfinite(value):
        return {path: str(value)}
    if isinstance(value, partial):
        return _parts(path, value.func, depth) | _parts(f"{path}.with", [value.args, value.keywords], depth)
    if inspect.isroutine(value) or isinstance(value, type):
        return {path: value.__qualname__}
    if isinstance(value, Tensor | np.ndarray | np.generic):
        array = to_numpy(value.data if isinstance(value, Tensor) else value)
        return {path: array.item() if array.ndim == 0 else f"array {_checksum(array.tobytes())}"}
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return _attributes(path, value, depth) if depth < DEEPEST else {path: type(value).__name__}
    return {path: value if len(text) <= 60 else f"{type(value).__name__} {_checksum(text.encode())}"}


def _holds_modules(value: Any) -> bool:
    items: Iterator[Any] = iter(())
    if isinstance(value, list | tuple | dict):
        items = iter(value.values() if isinstance(value, dict) else value)
    return any(isinstance(item, Module | Parameter) or _holds_modules(item) for item in items)


def _checksum(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"
