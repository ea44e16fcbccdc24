"""The kit finds faults: each is caught by the law that names it, and right components keep all laws."""

from typing import Any

import pytest
from planted import cells, layers, losses, others, right
from planted.parts import Gated, gated_formula

from tinyseq.testing import Report, check, laws_of
from tinyseq.testing.subject import KINDS

PLANTS = [*cells.PLANTS, *layers.PLANTS, *losses.PLANTS, *others.PLANTS]
RIGHT: list[tuple[Any, dict[str, Any]]] = [
    *right.RIGHT,
    (Gated, {"cases": cells.SIZES, "reference": gated_formula}),
    (layers.TwoWays, {"cases": layers.SIZES, "context": "halves"}),
    (layers.Running, {"cases": layers.SIZES}),
    *losses.RIGHT,
    *others.RIGHT,
]


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return [check(component, draws=0, **declared) for _, _, component, declared in PLANTS]


def test_every_planted_fault_is_caught_by_the_law_that_names_it(
    reports: list[Report], capsys: pytest.CaptureFixture[str]
) -> None:
    lines, missed = [], []
    for (what, law, _, _), report in zip(PLANTS, reports, strict=True):
        broken = list(dict.fromkeys(outcome.law.id for outcome in report.failures))
        lines.append(f"{what:<54} {law:<4} {'caught' if law in broken else 'MISSED'}  {' '.join(broken)}")
        if law not in broken:
            missed.append(f"{what}: {law} is kept; broken: {broken}")
    with capsys.disabled():
        print(f"\n{'planted':<54} law          all laws that it breaks", *lines, sep="\n")
        print(f"{len(PLANTS) - len(missed)} of {len(PLANTS)} caught")
    assert not missed
    assert len(PLANTS) >= 25


def test_every_law_has_a_fault_planted_for_it() -> None:
    planted = {law for _, law, _, _ in [*PLANTS, *cells.NEEDS_CUPY]}
    assert planted == {law.id for kind in KINDS for law in laws_of(kind)}


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize(("what", "law", "component", "declared"), cells.NEEDS_CUPY)
def test_faults_that_only_another_backend_shows(
    what: str, law: str, component: Any, declared: dict[str, Any]
) -> None:
    assert law in [outcome.law.id for outcome in check(component, draws=0, **declared).failures], what


@pytest.mark.parametrize(("component", "declared"), RIGHT)
def test_the_components_that_were_spoilt_are_right_themselves(
    component: Any, declared: dict[str, Any]
) -> None:
    report = check(component, **declared)
    assert report.ok, str(report)
    assert report.ran > 0
