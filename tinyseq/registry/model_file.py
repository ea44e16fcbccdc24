"""A model in one file: its parameters, its configuration, and whatever else is needed to use it."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tinyseq.backend import backend_of
from tinyseq.errors import ConfigError, DataError, PluginError, brief, listed
from tinyseq.files.container import Container, open_container, write_container
from tinyseq.nn import Module, init
from tinyseq.registry.assembly import Mistake, assemble
from tinyseq.registry.configuration import config
from tinyseq.registry.entry import THIS_PROCESS

MODEL = "model.safetensors"
"""What the model of a run is called, in its folder."""

FORMAT, VERSION = "tinyseq.model", 1
DTYPES = {"F16": "float16", "F32": "float32", "F64": "float64"}

Shapes = dict[str, tuple[int, ...]]


class Description(NamedTuple):
    """What a model file says of itself; `packages` are the distributions that its components came from."""

    config: dict[str, Any]
    extra: dict[str, Any]
    packages: dict[str, str]
    shapes: Shapes


def save(path: str | os.PathLike[str], model: Module, extra: Mapping[str, Any] | None = None) -> None:
    """Write `model` to a safetensors file from which `load` makes it again, with nothing else at hand.

    `extra` goes along: what JSON can hold, such as a vocabulary. At any instant the file is the old one or
    the new one. Raises PluginError for a class without a registered name, ConfigError for a model that its
    own constructor arguments do not describe, DataError where the file cannot be written.
    """
    described = config(model)
    arrays = model.state_dict()
    shapes = {name: array.shape for name, array in arrays.items()}
    again, mistakes = _blank(described, sum(array.size for array in arrays.values()))
    wrong = list(map(str, mistakes)) or _differences(shapes, _shapes(again))
    if wrong:
        raise ConfigError(
            f"{type(model).__name__} cannot be saved, because its arguments would not make it again: "
            f"{_sentences(wrong)}. Put what was changed after construction into a constructor."
        )
    record = {
        "format": FORMAT,
        "version": VERSION,
        "config": described,
        "extra": dict(extra or {}),
        "packages": dict(sorted(_packages(described).items())),
    }
    write_container(path, arrays, record)


def model_path(path: str | os.PathLike[str]) -> Path:
    """The file itself, or, of the folder of a run, that of its model."""
    inside = Path(path) / MODEL
    return inside if os.path.isfile(inside) else Path(path)


def load(path: str | os.PathLike[str], *, verify: bool = True) -> Module:
    """The model in a file that `save` wrote, or in a run's folder; in evaluation mode, on the backend in use.

    Only registered names are imported, and no random number is drawn. Raises DataError, in one sentence, for
    a file that is missing, damaged or not a model; PluginError, with its name, for a missing package. With
    verify=False the checksums of a damaged file are not compared, so its values may be any.
    """
    with open_container(model_path(path), verify=verify) as file:
        description = _describe(file)
        model, mistakes = _blank(description.config, file.size)
        if any(mistake.is_plugin for mistake in mistakes):
            raise PluginError(f"{file.path}: {next(m for m in mistakes if m.is_plugin)}")
        if mistakes or not isinstance(model, Module):
            raise DataError(f"{file.path} describes no model that can be made: {_sentences(mistakes)}.")
        wrong = _differences(file.shapes, _shapes(model))
        wrong += [f"{name} is {dtype}" for name, dtype in file.dtypes.items() if dtype not in DTYPES]
        if wrong:
            raise DataError(
                f"{file.path} holds other values than its configuration says: {_sentences(wrong)}."
            )
        for name, parameter in model.named_parameters():
            array = file.array(name)
            parameter.move(backend_of(parameter.data).asarray(array, array.dtype))
    return model.eval()


def describe(path: str | os.PathLike[str]) -> Description:
    """What a model file says of itself; nothing is imported or made. Raises DataError as `load` does."""
    with open_container(model_path(path)) as file:
        return _describe(file)


def _describe(file: Container) -> Description:
    record = file.record
    if record.get("format") != FORMAT:
        raise DataError(f"{file.path} was written by tinyseq, but holds no model.")
    if record.get("version") != VERSION:
        raise DataError(f"{file.path} has the format of another tinyseq; this one reads version {VERSION}.")
    parts = {key: value for key, value in record.items() if key not in ("format", "version")}
    if parts.keys() != {"config", "extra", "packages"} or not all(
        isinstance(p, dict) for p in parts.values()
    ):
        raise DataError(f"{file.path} is damaged: its record has other parts than a model's.")
    return Description(shapes=file.shapes, **parts)


def _blank(described: dict[str, Any], values: int) -> tuple[Any, list[Mistake]]:
    """A model of zeros, which takes little more memory than `values` values whatever is described."""
    with init.blank(2 * values + 2**20):  # a constructor may draw values that it does not keep
        return assemble(described)


def _shapes(model: Module) -> Shapes:
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def _differences(file: Shapes, model: Shapes) -> list[str]:
    """Where the arrays of a file and the Parameters of the model that it describes do not fit."""
    wrong = [f"{name} is missing" for name in model if name not in file]
    wrong += [f"{brief(name)} is not in the model" for name in file if name not in model]
    return wrong + [
        f"{name} has shape {file[name]}, and {shape} in the model"
        for name, shape in model.items()
        if name in file and file[name] != shape
    ]


def _packages(described: Any) -> dict[str, str]:
    """Every distribution that a configuration names, with its release."""
    parts = described if isinstance(described, list) else []
    found: dict[str, str] = {}
    if isinstance(described, dict):
        parts = list(described.values())
        if "class" in described and described["from"] != THIS_PROCESS:
            name, _, release = described["from"].rpartition(" ")
            found[name] = release
    for part in parts:
        found |= _packages(part)
    return found


def _sentences(mistakes: Iterable[object]) -> str:
    return listed([str(mistake).rstrip(".") for mistake in mistakes], 3, "; ")
