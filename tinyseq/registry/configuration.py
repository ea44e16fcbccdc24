"""A component as plain values: its registered name and the arguments that it was made with.

    {"class": "layer:recurrent@1", "from": "tinyseq 0.2.0", "cell": {"class": "cell:lstm@1", ...}, ...}

The keys beside the arguments are Python keywords, which no parameter can have as its name: `class` is kind,
name and version, `from` the package and its release; `{"is": "embed"}` is the component at that path again.
"""

import functools
import inspect
import math
from typing import Any

import numpy as np

from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, PluginError, brief
from tinyseq.nn import Module
from tinyseq.registry.catalogue import entry_of
from tinyseq.registry.contract import constructor_parameters

MAX_DEPTH = 100
RESERVED = ("class", "from", "is")


def config(component: Module) -> dict[str, Any]:
    """What `build` makes an equal component from: values that JSON can hold, with all defaults.

    Raises PluginError for a class without a registered name, ConfigError for an argument that is not plain.
    """
    if not isinstance(component, Module):
        raise ConfigError(f"config() describes a Module, such as a cell or a model, not {component!r}.")
    return _Encoder().component(component, "", 0)


class _Encoder:
    def __init__(self) -> None:
        self.paths: dict[int, str] = {}

    def component(self, component: Module, path: str, depth: int) -> dict[str, Any]:
        if id(component) in self.paths:
            return {"is": self.paths[id(component)]}
        cls = type(component)
        entry = entry_of(cls)
        if entry is None:
            raise PluginError(
                f"{cls.__qualname__} has no registered name, so no configuration can mention it: put "
                f'@tinyseq.register(kind, "{cls.__name__.lower()}"), with its kind, above the class.'
            )
        written = {
            "class": f"{entry.kind.name}:{entry.name}@{getattr(cls, 'version', 1)}",
            "from": entry.origin,
        }
        for name, value in arguments(component).items():
            written[name] = self.value(value, cls, f"{path}.{name}" if path else name, depth + 1)
        self.paths[id(component)] = path
        return written

    def value(self, value: Any, cls: type, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ConfigError(f"{path[:60]}... is nested more than {MAX_DEPTH} deep; does it contain itself?")
        if isinstance(value, Module):
            return self.component(value, path, depth)
        if isinstance(value, list | tuple):
            return [self.value(item, cls, f"{path}.{i}", depth + 1) for i, item in enumerate(value)]
        if isinstance(value, dict) and all(isinstance(key, str) and key not in RESERVED for key in value):
            return {key: self.value(item, cls, f"{path}.{key}", depth + 1) for key, item in value.items()}
        if isinstance(value, functools.partial) and not value.args and is_initializer(value.func):
            return self.options(value, cls, path, depth)
        if isinstance(value, np.bool_ | np.integer | np.floating):
            value = value.item()
        if (
            value is None
            or isinstance(value, bool | int | str)
            or (isinstance(value, float) and math.isfinite(value))
        ):
            return value
        raise ConfigError(
            f"{cls.__qualname__} was given {path}={brief(value)}, which a configuration cannot hold: "
            f"{_advice(value)}"
        )

    def options(self, value: Any, cls: type, path: str, depth: int) -> dict[str, Any]:
        """An initialiser with options, functools.partial(uniform, low=-1, high=1)."""
        entry = entry_of(value.func)
        assert entry is not None
        options = {
            key: self.value(item, cls, f"{path}.{key}", depth + 1) for key, item in value.keywords.items()
        }
        return {"class": f"{entry.kind.name}:{entry.name}@1", "from": entry.origin, **options}


def is_initializer(function: Any) -> bool:
    """Whether a function is registered as an initialiser."""
    entry = entry_of(function)
    return entry is not None and entry.kind.name == "initializer"


def arguments(component: Module) -> dict[str, Any]:
    """What a component's constructor was given, by name, defaults included."""
    args, kwargs = component._init_arguments
    signature = inspect.Signature(constructor_parameters(type(component)))
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def _advice(value: Any) -> str:
    if isinstance(value, float):
        return "JSON has no infinity and no NaN; give a number, or None where that is allowed."
    if isinstance(value, np.ndarray | Tensor):
        return "give a list of numbers, or set the values after construction (they are saved with the model)."
    if isinstance(value, dict):
        return f"the keys of a dict must be strings other than {', '.join(RESERVED)}."
    if callable(value):
        entry = entry_of(value)
        if entry is not None:
            return f"give its name, {entry.name!r}."
        return "give the name of one that tinyseq knows, or make it a class of its own and register that."
    return "give numbers, strings, lists, dicts or registered components."
