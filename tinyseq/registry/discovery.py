"""What the installed packages offer, read from their metadata alone: nothing is imported."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tinyseq.registry.kinds import KINDS

if TYPE_CHECKING:
    from importlib.metadata import Distribution

BUILT_IN = "tinyseq"
"""The distribution whose names no other package can take."""

VARIABLE = "TINYSEQ_PLUGINS"


class Offer(NamedTuple):
    """One line of a package's entry points: `name = module:attribute`."""

    group: str
    name: str
    module: str
    attribute: str
    distribution: str
    release: str


class Scan(NamedTuple):
    """Every offer found, and a sentence on each package whose metadata could not be read."""

    offers: tuple[Offer, ...]
    problems: tuple[str, ...]


def canonical(distribution: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def switched_off() -> bool:
    """Whether the environment asks for the built-in plugins alone."""
    return os.environ.get(VARIABLE, "1") == "0"


@cache
def scan() -> Scan:
    """Read the metadata of all installed packages, once; `scan.cache_clear()` forgets it."""
    # Imported here: it costs much of tinyseq's import budget, and most programs never look up a name.
    from importlib.metadata import distributions

    global _scanned
    _scanned = _folders()
    offers: list[Offer] = []
    problems: list[str] = []
    seen: set[str] = set()
    for distribution in distributions():
        try:
            # Most packages have nothing for us: one read settles that, without parsing anything.
            text = distribution.read_text("entry_points.txt")
            if text is None or "tinyseq." not in text:
                continue
            name, release = distribution.metadata["Name"], distribution.metadata["Version"]
            if canonical(name) in seen or (switched_off() and name != BUILT_IN):
                continue  # an earlier folder of sys.path hides a later one
            seen.add(canonical(name))
            offers.extend(_offers(distribution, name, release))
        except Exception as error:  # whatever is wrong with one package must not touch the others
            where = getattr(distribution, "_path", "an installed package")
            problems.append(f"The metadata in {where} cannot be read: {type(error).__name__}: {error}")
    return Scan(tuple(offers), tuple(problems))


def is_stale() -> bool:
    """Whether anything may have been installed or removed since the scan."""
    return _scanned != _folders()


_scanned: dict[str, int] = {}
"""The folders of sys.path when they were scanned, with their times of change."""


def _folders() -> dict[str, int]:
    found = {}
    for folder in sys.path:
        with suppress(OSError):
            found[folder] = os.stat(folder or ".").st_mtime_ns
    return found


def _offers(distribution: "Distribution", name: str, release: str) -> Iterator[Offer]:
    groups = {kind.group for kind in KINDS}
    for point in distribution.entry_points:
        if point.group in groups:
            yield Offer(point.group, point.name, point.module, point.attr, name, release)
