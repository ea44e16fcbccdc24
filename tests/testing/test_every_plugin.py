"""Every registered component keeps the laws of its kind: those of the conformance kit, with no false alarm.

What is registered must be described here; a test says what was forgotten.
"""

import pytest
from oracles.described import DESCRIBED

from tinyseq.registry import registries
from tinyseq.testing import conformance, laws_of
from tinyseq.testing.subject import Declared, Subject


def ours(kind: str) -> list[str]:
    return [r.name for r in registries[kind].records() if r.distribution.startswith("tinyseq ")]


for (kind, name), declarations in DESCRIBED.items():
    for i, declared in enumerate(declarations if name in registries[kind] else ()):
        component = registries[kind][name]
        globals()[f"test_{kind}_{name}_{i}"] = conformance(
            component, kind="cell" if kind == "wrapper" else kind, **declared
        )


@pytest.mark.parametrize(
    "kind", ["cell", "wrapper", "layer", "loss", "head", "model", "metric", "optimizer", "initializer"]
)
def test_every_registered_component_is_described_here(kind: str) -> None:
    assert sorted(ours(kind)) == sorted(name for k, name in DESCRIBED if k == kind)


@pytest.mark.parametrize("kind", ["cell", "layer", "loss", "head", "model", "metric"])
def test_every_law_of_every_kind_is_tried_on_some_component(kind: str) -> None:
    tried = set()
    for (k, name), declarations in DESCRIBED.items():
        for declared in declarations if k == kind else ():
            options = {key: value for key, value in declared.items() if key != "cases"}
            subject = Subject(registries[kind][name], declared["cases"][0], Declared(kind, **options))
            tried |= {law.id for law in laws_of(kind) if not law.exempt(subject)}
    assert tried >= {law.id for law in laws_of(kind)}
