"""One plugin that can be had, from its name in some package's metadata to the class itself."""

import sys
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from typing import Any, Literal, NamedTuple

from tinyseq.errors import PluginError
from tinyseq.registry.contract import violations
from tinyseq.registry.discovery import Offer
from tinyseq.registry.kinds import Kind

THIS_PROCESS = "this process"
"""The origin of what `register` added, where others have a distribution and its release."""


class Record(NamedTuple):
    """What is known of a plugin without importing it; `version` (None before) once it is loaded."""

    name: str
    kind: str
    version: int | None
    distribution: str
    state: Literal["available", "loaded", "broken"]
    cause: str


@dataclass(eq=False)
class Entry:
    """A plugin offered by a package, or registered by this process (then `offer` is None)."""

    kind: Kind
    name: str
    offer: Offer | None
    plugin: Any = None
    failure: str = ""
    cause: BaseException | None = None

    @property
    def distribution(self) -> str:
        """The package that offers it; empty for this process."""
        return self.offer.distribution if self.offer else ""

    @property
    def origin(self) -> str:
        """The package with its release, as messages and files show it."""
        return f"{self.offer.distribution} {self.offer.release}" if self.offer else THIS_PROCESS

    @property
    def version(self) -> int:
        """The version of the loaded plugin's numbers."""
        return int(getattr(self.plugin, "version", 1))

    def load(self) -> Any:
        """Give the plugin itself, imported and checked if it is new; a failure is kept and raised again."""
        if self.offer is not None and not self.failure:
            self._import(self.offer)
        if self.failure:
            raise PluginError(self.failure) from self.cause
        return self.plugin

    def _import(self, offer: Offer) -> None:
        """Look in the module each time, which costs little: a notebook may have reloaded it."""
        try:
            plugin = reduce(getattr, offer.attribute.split("."), import_module(offer.module))
        except (Exception, SystemExit) as error:  # a stranger's import may do anything
            self.cause = error
            self.failure = (
                f"{self.kind.name} {self.name!r} from {self.origin} could not be imported: "
                f"{type(error).__name__}: {error}. Other plugins are not affected."
            )
            return
        if plugin is not self.plugin:
            self.failure = contract_failure(self.kind, self.name, plugin, self.origin)
            self.plugin = None if self.failure else plugin

    def may_stand_for(self, plugin: Any) -> bool:
        """Whether `plugin` seems to be what this entry gives; `load` tells for certain, by importing."""
        if self.offer is None:
            return self.plugin is plugin or place(self.plugin) == place(plugin)
        try:
            known: Any = reduce(getattr, self.offer.attribute.split("."), sys.modules[self.offer.module])
        except (KeyError, AttributeError):
            known = None  # not imported yet, or just being imported
        module, name = place(plugin)
        package, own_package = (path.partition(".")[0] for path in (module, self.offer.module))
        return known is plugin or (package == own_package and name == self.offer.attribute)

    def record(self, spelling: str) -> Record:
        """What to show of it, under the name by which it can be asked for."""
        loaded = self.plugin is not None
        return Record(
            name=spelling,
            kind=self.kind.name,
            version=self.version if loaded else None,
            distribution=self.origin,
            state="broken" if self.failure else "loaded" if loaded else "available",
            cause=self.failure,
        )


def contract_failure(kind: Kind, name: str, plugin: Any, origin: str) -> str:
    """A sentence with every rule that `plugin` breaks, or an empty string."""
    broken = violations(kind, plugin)
    if not broken:
        return ""
    rules = "\n  ".join(broken)
    return (
        f"{kind.name} {name!r} from {origin} does not meet the contract:\n  {rules}\n"
        "The author can see the full report with tinyseq.testing.conformance."
    )


def place(plugin: Any) -> tuple[str, str]:
    """The module and qualified name of a class or function; running a notebook cell again keeps them."""
    return getattr(plugin, "__module__", ""), getattr(plugin, "__qualname__", repr(plugin))
