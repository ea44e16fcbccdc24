"""A notebook registers by decorator: again and again, but never over somebody else."""

import importlib

import pytest

import tinyseq
from tinyseq.contracts import Cell
from tinyseq.errors import PluginError
from tinyseq.nn import Linear
from tinyseq.registry import catalogue, entry_of


def notebook_cell(scale=1.0):
    """What running one notebook cell does: a new class object of the same name."""

    class Mine(Cell):
        def initial_state(self, batch_size):
            return ()

        def step(self, x, state):
            return x * scale, state

    return Mine


@pytest.fixture(autouse=True)
def _clean(install):
    """`install` also puts the registries back."""


def test_registers_a_class_under_a_name():
    mine = tinyseq.register("cell", "mine")(notebook_cell())
    assert tinyseq.cells["mine"] is mine
    record = {r.name: r for r in tinyseq.cells.records()}["mine"]
    assert (record.distribution, record.state, record.version) == ("this process", "loaded", 1)
    assert entry_of(mine).name == "mine"


def test_running_a_notebook_cell_again_is_fine_and_the_newest_counts():
    tinyseq.register("cell", "mine")(notebook_cell())
    newer = tinyseq.register("cell", "mine")(notebook_cell(2.0))
    assert tinyseq.cells["mine"] is newer


def test_another_class_is_refused_unless_it_replaces():
    tinyseq.register("cell", "mine")(notebook_cell())

    class Other(notebook_cell()):
        pass

    with pytest.raises(PluginError, match=r"cell 'mine' is already taken by .*Mine .*pass replace=True"):
        tinyseq.register("cell", "mine")(Other)
    tinyseq.register("cell", "mine", replace=True)(Other)
    assert tinyseq.cells["mine"] is Other


def test_a_built_in_or_installed_name_is_refused_unless_it_replaces(install, source):
    install("tinyseq-mgu", {"tinyseq.cells": {"mgu": "fake_mgu:MGU"}}, fake_mgu=source())
    for name, owner in ("lstm", "tinyseq_cells.lstm.LSTM"), ("mgu", "fake_mgu.MGU"):
        with pytest.raises(PluginError, match=f"cell '{name}' is already taken by {owner}"):
            tinyseq.register("cell", name)(notebook_cell())
    mine = tinyseq.register("cell", "mgu", replace=True)(notebook_cell())
    assert tinyseq.cells["mgu"] is mine
    assert tinyseq.cells["tinyseq-mgu:mgu"].__name__ == "MGU"
    assert {"mgu", "tinyseq-mgu:mgu"} <= set(tinyseq.cells)


def test_a_package_that_also_registers_keeps_its_origin(install, source):
    text = source().replace("class MGU", '@tinyseq.register("cell", "mgu")\nclass MGU')
    install("tinyseq-mgu", {"tinyseq.cells": {"mgu": "fake_mgu:MGU"}}, "0.3", fake_mgu=text)
    imported_by_hand = importlib.import_module("fake_mgu").MGU
    assert tinyseq.cells["mgu"] is imported_by_hand
    assert entry_of(imported_by_hand).origin == "tinyseq-mgu 0.3"


def test_an_imported_class_is_found_under_its_name_without_a_look_up(install, source):
    install(
        "tinyseq-mgu", {"tinyseq.cells": {"mgu": "fake_mgu:Public"}}, fake_mgu=source() + "\nPublic = MGU"
    )
    module = importlib.import_module("fake_mgu")
    assert entry_of(module.MGU).name == "mgu"
    assert entry_of(Linear).name == "linear"
    assert entry_of(type("Child", (module.MGU,), {})) is None
    assert entry_of("mgu") is None


def test_two_classes_of_one_name_in_one_package_are_kept_apart(install, source):
    install("tinyseq-mgu", {"tinyseq.cells": {"mgu": "fake.new:MGU"}})
    folder = install("helper", {}).parent / "fake"
    folder.mkdir()
    for name in "__init__", "new", "old":
        (folder / f"{name}.py").write_text(source())
    old = importlib.import_module("fake.old").MGU
    assert entry_of(old) is None
    assert entry_of(importlib.import_module("fake.new").MGU).name == "mgu"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a@1", None])
def test_a_name_that_could_not_be_asked_for_is_refused(name):
    with pytest.raises(PluginError, match="is a word without ':', '@' or spaces"):
        tinyseq.register("cell", name)(notebook_cell())


def test_a_registered_name_can_be_taken_back():
    cell = notebook_cell()
    tinyseq.register("cell", "passing")(cell)
    tinyseq.cells.remove("passing")
    assert "passing" not in tinyseq.cells
    assert entry_of(cell) is None
    tinyseq.cells.remove("lstm")
    assert "lstm" in tinyseq.cells


def test_an_unknown_kind_is_refused():
    with pytest.raises(
        PluginError, match="No kind of plugin named 'cells'; the kinds are cell, wrapper, layer"
    ):
        tinyseq.register("cells", "mine")


def test_functions_are_plugins_too():
    @tinyseq.register("initializer", "threes")
    def threes(shape, dtype="float32"):
        return shape, dtype

    assert tinyseq.initializers["threes"] is threes
    with pytest.raises(PluginError, match="TS001 3 cannot be called"):
        tinyseq.register("initializer", "three")(3)


def test_a_refused_class_leaves_no_trace():
    with pytest.raises(PluginError):
        tinyseq.register("cell", "bad")(Linear)
    assert "bad" not in tinyseq.cells
    assert "bad" not in catalogue.registries["cell"]._registered
