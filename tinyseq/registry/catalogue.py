"""Names to plugins: one registry per kind."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tinyseq.errors import PluginError, brief, near
from tinyseq.registry import discovery
from tinyseq.registry.discovery import BUILT_IN, Offer, canonical
from tinyseq.registry.entry import THIS_PROCESS, Entry, Record, contract_failure, place
from tinyseq.registry.kinds import KINDS, Kind

MAX_NAME = 200
ORIGIN = r"[A-Za-z0-9][A-Za-z0-9._-]* [A-Za-z0-9][A-Za-z0-9.!+_-]*"
"""What may be shown, and suggested for installation, from a file that anybody may have written."""

P = TypeVar("P", bound=Callable[..., Any])


class Registry:
    """The plugins of one kind by name: listing reads metadata only, and a look-up imports only what it names.

    `registry["lstm"]` gives the class; `"package:lstm"` asks for one package's, `"lstm@2"` for one version.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._entries: dict[Offer, Entry] = {}
        self._registered: dict[str, Entry] = {}

    def __getitem__(self, name: str) -> Any:
        return self.find(name).load()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and len(self._candidates(*_split(name)[:2])) == 1

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.spellings()))

    def __len__(self) -> int:
        return len(self.spellings())

    def __repr__(self) -> str:
        return f"<tinyseq.{self.kind.plural}: {', '.join(self)}>"

    def records(self) -> list[Record]:
        """What is known of each plugin, in order of name; imports nothing."""
        return [entry.record(name) for name, entry in sorted(self.spellings().items())]

    def has(self, name: str) -> bool:
        """Whether anybody offers `name`, be it two packages at once."""
        return bool(self._candidates("", name))

    def find(self, name: str, origin: str = "") -> Entry:
        """The entry that `name` means; `origin` is where a file says that its component came from.

        A version in the name is checked, which loads the plugin. Raises PluginError.
        """
        if not isinstance(name, str):
            raise PluginError(
                f"tinyseq.{self.kind.plural} is asked by name, not by {name!r}; a class needs no registry."
            )
        distribution, short, version = _split(name)
        if not distribution and origin and short not in self._registered:
            distribution = "" if origin == THIS_PROCESS else origin.rpartition(" ")[0]
        found = self._candidates(distribution, short)
        if not found and discovery.is_stale():
            refresh()
            found = self._candidates(distribution, short)
        if not found:
            raise PluginError(self._unknown(name, short, origin))
        if len(found) > 1:
            found = sorted(found, key=lambda entry: entry.origin)
            choices = " or ".join(repr(f"{entry.distribution}:{short}") for entry in found)
            origins = " and ".join(entry.origin for entry in found)
            raise PluginError(f"{self.kind.name} {short!r} is offered by {origins}; say {choices}.")
        if version:
            _require_version(found[0], version)
        return found[0]

    def register(self, name: str, plugin: P, *, replace: bool = False) -> P:
        """Add `plugin` under `name` for this process; adding the same class again is fine."""
        if not isinstance(name, str) or not re.fullmatch(r"[^\s:@]+", name):
            raise PluginError(f"A plugin's name is a word without ':', '@' or spaces, not {name!r}.")
        failure = contract_failure(self.kind, name, plugin, THIS_PROCESS)
        if failure:
            raise PluginError(failure)
        for taken in self._candidates("", name):
            if taken.offer is not None and taken.may_stand_for(plugin):
                return plugin  # a package that also registers by decorator: the package stays its origin
            if not (replace or taken.may_stand_for(plugin)):
                raise PluginError(
                    f"{self.kind.name} {name!r} is already taken by {_where(taken)} ({taken.origin}). "
                    "Choose another name, or pass replace=True."
                )
        self._registered[name] = Entry(self.kind, name, None, plugin)
        return plugin

    def remove(self, name: str) -> None:
        """Take back what `register` added under `name`; what packages offer stays."""
        self._registered.pop(name, None)

    def spellings(self) -> dict[str, Entry]:
        """Every entry under the shortest name that means it and nothing else."""
        holders: dict[str, list[Entry]] = {}
        for entry in self._installed():
            holders.setdefault(entry.name, []).append(entry)
        spelled: dict[str, Entry] = dict(self._registered)
        for name, entries in holders.items():
            chosen = None if name in spelled else _choose(entries)
            for entry in entries:
                alone = chosen == [entry]
                spelled[name if alone else f"{entry.distribution}:{name}"] = entry
        return spelled

    def forget_failures(self) -> None:
        """Try again what could not be imported, since what it lacked may be there now."""
        self._entries = {offer: entry for offer, entry in self._entries.items() if not entry.failure}

    def _installed(self) -> list[Entry]:
        offers = [offer for offer in discovery.scan().offers if offer.group == self.kind.group]
        for offer in offers:
            if offer not in self._entries:
                self._entries[offer] = Entry(self.kind, offer.name, offer)
        return [self._entries[offer] for offer in offers]

    def _candidates(self, distribution: str, name: str) -> list[Entry]:
        if distribution:
            wanted = canonical(distribution)
            return [e for e in self._installed() if e.name == name and canonical(e.distribution) == wanted]
        if name in self._registered:
            return [self._registered[name]]
        return _choose([entry for entry in self._installed() if entry.name == name])

    def _unknown(self, name: str, short: str, origin: str) -> str:
        spelled = self.spellings()
        listed = ", ".join(f"{n} ({entry.origin})" for n, entry in sorted(spelled.items()))
        lines = [f"No {self.kind.name} named {name!r}.{near(name, spelled)}"]
        lines += [
            f"There is a {other.kind.name} of that name: tinyseq.{other.kind.plural}[{short!r}]."
            for other in registries.values()
            if other is not self and short in other.spellings()
        ]
        lines.append(f"Available: {listed or 'none'}")
        if discovery.switched_off():
            lines.append(f"Installed packages are not looked at, because {discovery.VARIABLE}=0.")
        if origin == THIS_PROCESS:
            lines.append("It was registered by the program that saved it: import the file that registers it.")
        elif origin:
            lines.append(
                f"It was saved with {origin}, as the file says: pip install {origin.rpartition(' ')[0]}"
            )
        else:
            lines.append(
                "From a package: install it. From your own file: import it first, so that it is registered."
            )
        return "\n".join(lines)


registries = {kind.name: Registry(kind) for kind in KINDS}
"""Every registry by the name of its kind: "cell", "layer", ..."""


def register(kind: str, name: str, *, replace: bool = False) -> Callable[[P], P]:
    """Give a class (or function) a name in this process: `@tinyseq.register("cell", "mgu")`.

    Running it again for the same class is fine. A name that is taken is refused unless `replace=True`. Raises
    PluginError, with every rule that the class breaks.
    """
    if kind not in registries:
        raise PluginError(f"No kind of plugin named {kind!r}; the kinds are {', '.join(registries)}.")
    return lambda plugin: registries[kind].register(name, plugin, replace=replace)


def locate(name: str, origin: str = "") -> Entry:
    """The entry for "kind:name", or for a name that only one kind has; `origin` as for `Registry.find`.

    Raises PluginError.
    """
    if not isinstance(name, str) or len(name) > MAX_NAME:
        raise PluginError(f"A plugin goes by a short name, such as 'cell:lstm', not by {brief(name)}.")
    if not _is_origin(origin):
        raise PluginError(f"A component is from a package and its release, not from {brief(origin)}.")
    kind, _, rest = name.partition(":")
    if rest and kind in registries:
        return registries[kind].find(rest, origin)
    short = _split(name)[1]
    holders = [registry for registry in registries.values() if registry.has(short)]
    if len(holders) == 1:
        return holders[0].find(name, origin)
    if holders:
        choices = " or ".join(repr(f"{registry.kind.name}:{name}") for registry in holders)
        raise PluginError(f"{name!r} names plugins of {len(holders)} kinds; say {choices}.")
    everything = [n for registry in registries.values() for n in registry]
    raise PluginError(f"No plugin named {name!r}.{near(short, everything)} `tinyseq plugins` lists them all.")


def _is_origin(origin: Any) -> bool:
    if not isinstance(origin, str) or len(origin) > MAX_NAME:
        return False
    return origin in ("", THIS_PROCESS) or re.fullmatch(ORIGIN, origin) is not None


def problems() -> tuple[str, ...]:
    """A sentence on each installed package whose metadata could not be read, and which may offer plugins."""
    return discovery.scan().problems


def refresh() -> None:
    """Look again at what is installed, and try again what was broken."""
    from importlib import invalidate_caches

    invalidate_caches()
    discovery.scan.cache_clear()
    for registry in registries.values():
        registry.forget_failures()


def entry_of(plugin: Any) -> Entry | None:
    """The entry under which a class can be found again, or None if it has no registered name.

    It may import a module of the class's own package. Raises PluginError if that fails.
    """
    if not (inspect.isclass(plugin) or inspect.isfunction(plugin)):
        return None
    for registry in registries.values():
        for _, entry in sorted(registry.spellings().items()):
            if entry.may_stand_for(plugin) and (entry.offer is None or entry.load() is plugin):
                return entry
    return None


def _choose(entries: list[Entry]) -> list[Entry]:
    """tinyseq's own, if it is among entries of one name: installing a package never replaces a built-in."""
    return [entry for entry in entries if entry.distribution == BUILT_IN] or entries


def _split(name: str) -> tuple[str, str, str]:
    """`"package:name@version"` in its three parts, of which only the name must be there."""
    base, _, version = name.partition("@")
    distribution, _, short = base.rpartition(":")
    return distribution, short, version


def _require_version(entry: Entry, wanted: str) -> None:
    entry.load()
    if wanted != str(entry.version):
        raise PluginError(
            f"{entry.kind.name} {entry.name!r} of {entry.origin} is at version {entry.version}, "
            f"and version {wanted} was asked for. Versions differ in their numbers: install a release that "
            "has it, or train again."
        )


def _where(entry: Entry) -> str:
    module, name = (entry.offer.module, entry.offer.attribute) if entry.offer else place(entry.plugin)
    return f"{module}.{name}"
