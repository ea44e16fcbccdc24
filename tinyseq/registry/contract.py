"""What a plugin's class must keep to, checked without making an instance."""

import inspect
from importlib import import_module
from typing import Any

from tinyseq.registry.kinds import Kind


def constructor_parameters(cls: type) -> list[inspect.Parameter]:
    """The parameters of a class's constructor, without `self`; none if it defines no constructor."""
    if cls.__init__ is object.__init__:  # type: ignore[misc]  # whose signature claims *args and **kwargs
        return []
    return list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]


def violations(kind: Kind, plugin: Any) -> list[str]:
    """Every rule that `plugin` breaks, each with its number; an empty list if it keeps the contract."""
    if not kind.base:
        return [] if callable(plugin) else [f"TS001 {plugin!r} cannot be called"]
    base = _resolve(kind.base)
    if not inspect.isclass(plugin) or not issubclass(plugin, base):
        return [f"TS001 {plugin!r} is not a subclass of {base.__module__}.{base.__qualname__}"]
    return [*_numbers(base, plugin), *_methods(kind, base, plugin), *_constructor(kind, plugin)]


def _numbers(base: type, cls: type) -> list[str]:
    found = []
    spoken = getattr(base, "api", 1)
    api, version = getattr(cls, "api", spoken), getattr(cls, "version", 1)
    if api != spoken:
        found.append(f"TS002 written for plugin API {api!r}; this tinyseq speaks {spoken}")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        found.append(f"TS003 version must be a whole number from 1, not {version!r}")
    return found


def _methods(kind: Kind, base: type, cls: type) -> list[str]:
    abstract: frozenset[str] = getattr(cls, "__abstractmethods__", frozenset())
    missing = [name for name in kind.methods if _inherits_placeholder(name, base, cls)]
    missing += sorted(abstract.difference(missing))
    return [f"TS010 missing method {name}()" for name in missing]


def _inherits_placeholder(name: str, base: type, cls: type) -> bool:
    method = getattr(cls, name, None)
    return not callable(method) or method is getattr(base, name, None)


def _constructor(kind: Kind, cls: type) -> list[str]:
    found = []
    for parameter in constructor_parameters(cls):
        if parameter.kind is parameter.VAR_KEYWORD:
            found.append(
                f"TS021 constructor must not take **{parameter.name}: a misspelt option would be swallowed, "
                "and the configuration could not be replayed"
            )
        elif parameter.kind is parameter.VAR_POSITIONAL and not kind.variadic:
            found.append(
                f"TS022 constructor must not take *{parameter.name}: a file gives arguments by name "
                "(only layers, which compose others, may)"
            )
    return found


def _resolve(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
