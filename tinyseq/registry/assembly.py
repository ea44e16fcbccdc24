"""From a configuration to components; all mistakes are told at once, each with its place."""

import functools
import inspect
from typing import Any, NamedTuple

from tinyseq.errors import ConfigError, PluginError, brief, clip, near
from tinyseq.nn import init
from tinyseq.registry.annotations import annotations, expected, fits
from tinyseq.registry.catalogue import locate
from tinyseq.registry.configuration import MAX_DEPTH, RESERVED
from tinyseq.registry.contract import constructor_parameters

Path = tuple[str | int, ...]

MAX_VALUES = 2**29
"""More values than a model for one machine has: to ask for them is a slip of the keyboard."""


class Mistake(NamedTuple):
    """One thing that is wrong in a configuration, and the keys that lead to it."""

    path: Path
    message: str
    is_plugin: bool = False
    """Whether the plugin that is named is to blame, or missing, and not the configuration."""

    def __str__(self) -> str:
        place = brief(".".join(map(str, self.path)))[1:-1]
        return f"{place}: {self.message}" if place else self.message


def build(config: Any, **given: Any) -> Any:
    """A new component as `config` describes it; lists and dicts of configurations give lists and dicts.

    `given` are arguments that no configuration can hold, such as an optimiser's `parameters=model`.
    Nothing is imported but what is named, and only registered names can be. Raises ConfigError with every
    mistake, or PluginError if all that is wrong are plugins that are missing or broken.
    """
    component, mistakes = assemble(config, **given)
    if mistakes:
        error = PluginError if all(mistake.is_plugin for mistake in mistakes) else ConfigError
        raise error("\n".join(map(str, mistakes)))
    return component


def check(config: Any) -> list[Mistake]:
    """Every mistake in a configuration, by making its components once, of zeros, with no random numbers."""
    with init.blank(MAX_VALUES):
        return assemble(config)[1]


def assemble(config: Any, **given: Any) -> tuple[Any, list[Mistake]]:
    """What `build` gives, and the mistakes that stood in the way; with any, the first is of no use."""
    assembly = _Assembly(given)
    return assembly.value(config, ()), assembly.mistakes


class _Failed:
    """Stands for what could not be made, so that only the cause is told, not all that depends on it."""


FAILED = _Failed()


class _Assembly:
    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.mistakes: list[Mistake] = []
        self.made: dict[str, Any] = {}

    def fail(self, path: Path, message: str, *, is_plugin: bool = False) -> _Failed:
        self.mistakes.append(Mistake(path, message, is_plugin))
        return FAILED

    def value(self, value: Any, path: Path) -> Any:
        if len(path) > MAX_DEPTH:
            return self.fail(path[:3], f"is nested more than {MAX_DEPTH} deep.")
        if isinstance(value, list):
            return self._whole([self.value(item, (*path, i)) for i, item in enumerate(value)])
        if isinstance(value, dict):
            return self.table(value, path)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        return self.fail(path, f"{brief(value)} cannot be used: give numbers, strings, lists or tables.")

    def table(self, table: dict[str, Any], path: Path) -> Any:
        if "is" in table:
            return self.reference(table, path)
        if "class" in table:
            made = self.component(table, path)
            self.made[".".join(map(str, path))] = made
            return made
        if "from" in table:
            return self.fail(path, "has 'from', but no 'class'.")
        parts = {key: self.value(item, (*path, key)) for key, item in table.items()}
        return FAILED if self._whole(list(parts.values())) is FAILED else parts

    def reference(self, table: dict[str, Any], path: Path) -> Any:
        target = table["is"]
        if len(table) == 1 and isinstance(target, str) and target in self.made:
            return self.made[target]
        return self.fail(
            path, f"'is' stands alone and gives the path of a component further up, not {brief(target)}."
        )

    def component(self, table: dict[str, Any], path: Path) -> Any:
        given = {
            name: self.value(item, (*path, name)) for name, item in table.items() if name not in RESERVED
        }
        try:
            entry = locate(table["class"], table.get("from", ""))
            plugin = entry.load()
        except PluginError as error:
            return self.fail((*path, "class"), str(error), is_plugin=True)
        title = f"{entry.kind.name} {entry.name!r}"
        if entry.kind.name == "initializer" and given:
            return self.with_options(title, plugin, given, path)
        if not (inspect.isclass(plugin) and entry.kind.base):
            return self.fail(path, f"{title} is a function: give its name as a string.")
        if not path:
            given |= self.given
        so_far = len(self.mistakes)
        self.check_arguments(title, plugin, given, path)
        if len(self.mistakes) > so_far or self._whole(list(given.values())) is FAILED:
            return FAILED
        try:
            return _call(plugin, given)
        except Exception as error:  # the constructor of a stranger, with the values of a stranger
            said = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            part = getattr(error, "part", None)  # its line is nearer than that of the whole
            place = (*path, part) if part in given else path
            return self.fail(place, f"{title} cannot be made: {clip(said)}")

    def with_options(self, title: str, plugin: Any, given: dict[str, Any], path: Path) -> Any:
        """An initialiser with options: `{ class = "uniform", low = -0.5, high = 0.5 }`."""
        known = [name for name in inspect.signature(plugin).parameters if name not in ("shape", "dtype")]
        for name in given:
            if name not in known:
                takes = ", ".join(known) or "none"
                self.fail(
                    (*path, name),
                    f"{title} has no option {brief(name)}.{near(name, known)} Its options: {takes}.",
                )
        whole = self._whole(list(given.values())) is not FAILED and set(given) <= set(known)
        return functools.partial(plugin, **given) if whole else FAILED

    def check_arguments(self, title: str, plugin: type, given: dict[str, Any], path: Path) -> None:
        parameters = {parameter.name: parameter for parameter in constructor_parameters(plugin)}
        types = annotations(plugin)
        for name, value in given.items():
            if name not in parameters:
                takes = ", ".join(parameters) or "none"
                self.fail(
                    (*path, name),
                    f"{title} has no argument {brief(name)}.{near(name, parameters)} Its arguments: {takes}.",
                )
            elif value is not FAILED and name in types:
                wanted = types[name]
                if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                    wanted = list[wanted]  # type: ignore[valid-type]
                if not fits(value, wanted):
                    self.fail(
                        (*path, name), f"{title} takes {name} as {expected(wanted)}, not {brief(value)}."
                    )
        for name, parameter in parameters.items():
            required = parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            )
            if required and name not in given:
                self.fail(path, f"{title} needs {name!r}.")

    @staticmethod
    def _whole(parts: list[Any]) -> Any:
        return FAILED if any(part is FAILED for part in parts) else parts


def _call(plugin: type, given: dict[str, Any]) -> Any:
    """Make an instance, with what comes before `*parts`, and those, by position."""
    bound = inspect.BoundArguments(inspect.Signature(constructor_parameters(plugin)), given)
    bound.apply_defaults()
    return plugin(*bound.args, **bound.kwargs)
