"""A class that breaks the contract is refused with every broken rule at once, and no instance is made."""

import pytest

import tinyseq
from tinyseq.contracts import Cell
from tinyseq.errors import PluginError
from tinyseq.nn import Module
from tinyseq.registry import registries
from tinyseq.registry.contract import violations
from tinyseq.registry.kinds import KINDS

KIND = {kind.name: kind for kind in KINDS}


class Good(Cell):
    def __init__(self, input_size, *, bias=True):
        raise AssertionError("no instance is made")

    def initial_state(self, batch_size): ...

    def step(self, x, state): ...


def rules(kind, plugin):
    return [rule.split()[0] for rule in violations(KIND[kind], plugin)]


def test_a_right_class_breaks_no_rule():
    assert violations(KIND["cell"], Good) == []


def test_every_rule_is_told_at_once():
    class Bad(Cell):
        api = 9
        version = 0

        def __init__(self, size, *parts, **options): ...

        def step(self, x, state): ...

    assert violations(KIND["cell"], Bad) == [
        "TS002 written for plugin API 9; this tinyseq speaks 1",
        "TS003 version must be a whole number from 1, not 0",
        "TS010 missing method initial_state()",
        "TS022 constructor must not take *parts: a file gives arguments by name (only layers, which compose "
        "others, may)",
        "TS021 constructor must not take **options: a misspelt option would be swallowed, and the "
        "configuration could not be replayed",
    ]


@pytest.mark.parametrize("plugin", [Module, object, 3, print, lambda: 0])
def test_the_kind_is_the_base_class(plugin):
    assert rules("cell", plugin) == ["TS001"]


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.0])
def test_versions_are_whole_numbers(version):
    assert rules("cell", type("Wrong", (Good,), {"version": version})) == ["TS003"]


def test_a_placeholder_is_not_a_method():
    class Silent(Module):
        pass

    class NoFunction(Good):
        step = None

    assert rules("layer", Silent) == ["TS010"]
    assert rules("cell", NoFunction) == ["TS010"]


def test_layers_may_take_parts_but_no_options():
    class Parts(Module):
        def __init__(self, *layers, residual=False): ...

        def forward(self, xs): ...

    class Options(Module):
        def __init__(self, **options): ...

        def forward(self, xs): ...

    assert rules("layer", Parts) == []
    assert rules("layer", Options) == ["TS021"]


def test_a_class_without_a_constructor_takes_nothing():
    class Plain(Module):
        def forward(self, xs): ...

    assert rules("layer", Plain) == []


def test_a_package_of_another_contract_is_refused_by_look_up(install, source):
    install("old", {"tinyseq.cells": {"old": "fake_old:MGU"}}, "0.1", fake_old=source(api=7))
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            tinyseq.cells["old"]
        assert str(caught.value).startswith("cell 'old' from old 0.1 does not meet the contract:\n  TS002")
    record = {r.name: r for r in tinyseq.cells.records()}["old"]
    assert record.state == "broken"
    assert "TS002" in record.cause


@pytest.mark.parametrize("registry", registries.values(), ids=list(registries))
def test_what_tinyseq_offers_itself_meets_the_contract(registry):
    for record in registry.records():
        if record.distribution.startswith("tinyseq "):
            assert registry[record.name] is not None
