"""The public names: what packages hand out, what the modules below define, and what is registered."""

import ast
import importlib
import inspect
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tinyseq
from tinyseq.registry import registries

ROOT = Path(tinyseq.__file__).parent
PRIVATE = {"tinyseq.cli"}
"""The command: its words are on the pages, its functions are nobody's to import."""
MODULES = [
    "tinyseq.errors",
    "tinyseq.interop.keras",
    "tinyseq.interop.torch",
    "tinyseq.nn.init",
    "tinyseq.contracts.pairing",
    "tinyseq.random",
    "tinyseq_heads.attention",
    "tinyseq_heads.pooling",
    "tinyseq_losses.miners",
    "tinyseq_losses.similarity",
]
"""Single files whose classes and functions are public."""
FIRST = ["tinyseq", "tinyseq.ops", "tinyseq.nn", "tinyseq.nn.init", "tinyseq.sequences", "tinyseq.data"]
"""The pages that are read most come first; the others follow by name, and then what is registered."""
KINDS = [registry.kind.plural for registry in registries.values()]


@dataclass(frozen=True)
class Name:
    """A public name: where it is imported from, what it is, and the name it is registered by, if any."""

    module: str
    name: str
    value: Any
    registered: str = ""

    @property
    def full(self) -> str:
        """The name with its module."""
        return f"{self.module}.{self.name}"


def public() -> dict[str, list[Name]]:
    """The public names of every page, each on the first page that has it."""
    seen: set[int] = set()
    pages: dict[str, list[Name]] = {}
    for module in modules():
        scope = importlib.import_module(module)
        found = [Name(module, name, getattr(scope, name)) for name in names_in(module)]
        pages[module] = [name for name in found if id(name.value) not in seen]
        seen |= {id(name.value) for name in pages[module]}
    for kind in KINDS:
        pages[kind] = [name for name in registered(kind) if id(name.value) not in seen]
    return {page: names for page, names in pages.items() if names or (page in KINDS and registered(page))}


def registered(kind: str) -> list[Name]:
    """What tinyseq itself registers of a kind."""
    points = [p for p in entry_points(group=f"tinyseq.{kind}") if p.dist and p.dist.name == "tinyseq"]
    found = [Name(point.module, point.attr, point.load(), point.name) for point in points]
    return sorted(found, key=lambda name: name.registered)


def modules() -> list[str]:
    """The packages that hand names out, and MODULES."""
    files = sorted(ROOT.rglob("__init__.py"))
    packages = [".".join(("tinyseq", *file.parent.relative_to(ROOT).parts)) for file in files]
    found = [name for name in packages if name not in PRIVATE and _importable(name) and names_in(name)]
    return FIRST + sorted(set(found + MODULES) - set(FIRST))


def _importable(module: str) -> bool:
    """False for what needs an extra that is not installed; the extra `docs` brings all of them."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def names_in(module: str) -> list[str]:
    """The public names of a module: what it defines, and imports written `from x import name as name`."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    found: list[str] = []
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if alias.asname == alias.name]
        elif isinstance(node, ast.Assign) and module == "tinyseq.registry":  # its registries
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
    scope = importlib.import_module(module)
    return [name for name in found if not name.startswith("_") and not inspect.ismodule(getattr(scope, name))]
