"""Packages that are not there: folders on sys.path that look installed. And `registry_fuzz`, importable."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tinyseq.registry import catalogue

if "registry_fuzz" not in sys.modules:
    spec = importlib.util.spec_from_file_location("registry_fuzz", Path(__file__).parent / "fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["registry_fuzz"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["registry_fuzz"])

CELL = '''
from typing import NamedTuple
import tinyseq
from tinyseq.contracts import Cell

class State(NamedTuple):
    h: tinyseq.Tensor

class {name}(Cell):
    """h = h + x, scaled."""
    api = {api}
    version = {version}

    def __init__(self, input_size, *, scale=1.0):
        self.input_size = self.output_size = input_size
        self.scale = scale

    def initial_state(self, batch_size):
        return State(self.zeros(batch_size, self.input_size))

    def step(self, x, state):
        h = state.h + x * self.scale
        return h, State(h)
'''


def cell_source(name: str = "MGU", api: int = 1, version: int = 1) -> str:
    return CELL.format(name=name, api=api, version=version)


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a fake package: `install("tinyseq-mgu", {"tinyseq.cells": {"mgu": "mgu:MGU"}}, mgu=source)`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.delenv("TINYSEQ_PLUGINS", raising=False)
    before = set(sys.modules)
    registries = catalogue.registries.values()
    registered = [dict(registry._registered) for registry in registries]

    def install(name: str, points: dict[str, dict[str, str]], release: str = "1.0", **modules: str) -> Path:
        info = site / f"{name.replace('-', '_')}-{release}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n")
        groups = (
            f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in offers.items())
            for group, offers in points.items()
        )
        (info / "entry_points.txt").write_text("\n".join(groups))
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
        catalogue.refresh()
        return info

    yield install
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    for registry, names in zip(registries, registered, strict=True):
        registry._registered = names
    monkeypatch.undo()
    catalogue.refresh()


@pytest.fixture
def source() -> Callable[..., str]:
    """The text of a module with one right cell."""
    return cell_source
