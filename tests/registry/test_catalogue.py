"""Names find plugins; a wrong name, a clash or a broken package costs one sentence and nothing else."""

import importlib
import re
import shutil
import sys

import pytest

import tinyseq
from tinyseq.errors import PluginError
from tinyseq.nn import Linear
from tinyseq.registry import catalogue, problems, refresh

CELLS = "tinyseq.cells"


def message(call, *arguments):
    with pytest.raises(PluginError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_name_gives_the_class_and_only_then_imports_it(install, source):
    install("first", {CELLS: {"mgu": "fake_a:MGU"}}, "0.3", fake_a=source(version=2))
    install("other-first", {CELLS: {"other": "fake_b:Other"}}, fake_b=source("Other"))
    assert "mgu" in tinyseq.cells
    assert {"mgu", "other", "lstm"} <= set(tinyseq.cells)
    assert len(tinyseq.cells) == len(list(tinyseq.cells))
    record = {r.name: r for r in tinyseq.cells.records()}["mgu"]
    assert (record.state, record.version, record.distribution) == ("available", None, "first 0.3")
    assert "fake_a" not in sys.modules

    cell = tinyseq.cells["mgu"]
    assert cell is sys.modules["fake_a"].MGU is tinyseq.cells["first:mgu"] is tinyseq.cells["mgu@2"]
    assert "fake_b" not in sys.modules
    record = {r.name: r for r in tinyseq.cells.records()}["mgu"]
    assert (record.state, record.version, record.kind) == ("loaded", 2, "cell")


def test_a_misspelt_name_gets_the_near_ones_and_imports_nothing(install):
    install("tinyseq-mgu", {CELLS: {"mgu": "fake_missing:MGU"}}, "0.3")
    said = message(tinyseq.cells.__getitem__, "gur")
    assert "No cell named 'gur'. Did you mean 'mgu' or 'gru'?" in said or "'gru' or 'mgu'?" in said
    assert "mgu (tinyseq-mgu 0.3)" in said
    assert "install it" in said
    assert {r.name: r.state for r in tinyseq.cells.records()}["mgu"] == "available"
    assert "No cell named 'lstm,'. Did you mean 'lstm'" in message(tinyseq.cells.__getitem__, "lstm,")
    assert "'lstm,'" not in tinyseq.cells


def test_at_most_three_suggestions(install):
    install("many", {CELLS: {f"cell{i}": "m:C" for i in range(9)}})
    said = message(tinyseq.cells.__getitem__, "cellx")
    assert len(re.findall(r"'cell\d'", said)) == 3


def test_a_name_of_another_kind_is_said():
    said = message(tinyseq.layers.__getitem__, "lstm")
    assert "There is a cell of that name: tinyseq.cells['lstm']." in said
    assert "asked by name" in message(tinyseq.layers.__getitem__, Linear)


def test_a_broken_package_keeps_its_cause_and_touches_nothing_else(install, source):
    install("fast", {CELLS: {"fast": "fake_fast:Fast"}}, fake_fast="import a_module_that_is_not_there")
    install("quits", {CELLS: {"quits": "fake_quits:Quits"}}, fake_quits="raise SystemExit(3)")
    install("empty", {CELLS: {"empty": "fake_empty:Nothing"}}, fake_empty="")
    install("good", {CELLS: {"good": "fake_good:MGU"}}, fake_good=source())
    for _ in range(2):
        with pytest.raises(PluginError, match=r"cell 'fast' from fast 1\.0 could not be imported") as caught:
            tinyseq.cells["fast"]
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)
        assert "a_module_that_is_not_there" in str(caught.value)
        assert "Other plugins are not affected." in str(caught.value)
    assert "SystemExit: 3" in message(tinyseq.cells.__getitem__, "quits")
    assert "has no attribute 'Nothing'" in message(tinyseq.cells.__getitem__, "empty")
    assert tinyseq.cells["good"].__name__ == "MGU"
    states = {r.name: (r.state, "a_module_that_is_not_there" in r.cause) for r in tinyseq.cells.records()}
    assert states["fast"] == ("broken", True)
    assert states["good"] == ("loaded", False)


def test_what_was_broken_is_tried_again_after_refresh(install, source, tmp_path):
    install("fast", {CELLS: {"fast": "fake_fast:MGU"}}, fake_fast="import a_module_that_is_not_there")
    message(tinyseq.cells.__getitem__, "fast")
    (tmp_path / "site" / "fake_fast.py").write_text(source() + "\n# repaired\n")
    message(tinyseq.cells.__getitem__, "fast")
    refresh()
    assert tinyseq.cells["fast"].__name__ == "MGU"


def test_a_reloaded_module_gives_its_new_class(install, source):
    text = source().replace("class MGU", '@tinyseq.register("cell", "mgu")\nclass MGU')
    install("tinyseq-mgu", {CELLS: {"mgu": "fake_mgu:MGU"}}, fake_mgu=text)
    old = tinyseq.cells["mgu"]
    importlib.reload(sys.modules["fake_mgu"])
    assert tinyseq.cells["mgu"] is sys.modules["fake_mgu"].MGU is not old


def test_two_packages_with_one_name_are_never_chosen_between(install, source):
    install("a", {CELLS: {"turbo": "fake_a:A"}}, "1.0", fake_a=source("A"))
    install("b", {CELLS: {"turbo": "fake_b:B"}}, "2.1", fake_b=source("B"))
    said = message(tinyseq.cells.__getitem__, "turbo")
    assert said == "cell 'turbo' is offered by a 1.0 and b 2.1; say 'a:turbo' or 'b:turbo'."
    assert {"a:turbo", "b:turbo"} <= set(tinyseq.cells)
    assert "turbo" not in tinyseq.cells
    assert tinyseq.cells["a:turbo"].__name__ == "A"
    assert tinyseq.cells["B:turbo"].__name__ == "B"


def test_a_built_in_keeps_its_name(install, source):
    install("evil", {CELLS: {"lstm": "fake_evil:Evil"}}, fake_evil=source("Evil"))
    assert catalogue.registries["cell"].find("lstm").distribution == "tinyseq"
    assert {"lstm", "evil:lstm"} <= set(tinyseq.cells)
    assert tinyseq.cells["evil:lstm"].__name__ == "Evil"


def test_versions_that_differ_are_refused(install, source):
    install("tinyseq-mgu", {CELLS: {"mgu": "fake_mgu:MGU"}}, fake_mgu=source(version=2))
    said = message(tinyseq.cells.__getitem__, "mgu@1")
    assert "cell 'mgu' of tinyseq-mgu 1.0 is at version 2, and version 1 was asked for" in said


def test_a_package_that_is_gone_is_named(install, source):
    info = install("tinyseq-mgu", {CELLS: {"mgu": "fake_mgu:MGU"}}, "0.3", fake_mgu=source())
    assert catalogue.registries["cell"].find("mgu", "tinyseq-mgu 0.3").load().__name__ == "MGU"
    shutil.rmtree(info)
    refresh()
    said = message(catalogue.registries["cell"].find, "mgu", "tinyseq-mgu 0.3")
    assert "No cell named 'mgu'" in said
    assert said.endswith("It was saved with tinyseq-mgu 0.3, as the file says: pip install tinyseq-mgu")
    install("other", {CELLS: {"mgu": "fake_other:MGU"}}, fake_other=source())
    assert "pip install tinyseq-mgu" in message(catalogue.registries["cell"].find, "mgu", "tinyseq-mgu 0.3")


def test_a_package_installed_later_is_found_without_a_restart(install, source, tmp_path):
    assert "late" not in tinyseq.cells
    site, info = tmp_path / "site", tmp_path / "site" / "late-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tinyseq.cells]\nlate = fake_late:MGU\n")
    (site / "fake_late.py").write_text(source())
    assert tinyseq.cells["late"].__name__ == "MGU"


def test_unreadable_metadata_harms_nobody_else(install):
    info = install("garbled", {CELLS: {"x": "m:C"}})
    (info / "entry_points.txt").write_text("[tinyseq.cells]\nno equals sign\n")
    nameless = install("nameless", {CELLS: {"y": "m:C"}})
    (nameless / "METADATA").unlink()
    refresh()
    assert "lstm" in tinyseq.cells
    assert "x" not in tinyseq.cells
    assert len(problems()) == 2
    assert any("garbled-1.0.dist-info cannot be read" in problem for problem in problems())


def test_an_earlier_folder_hides_a_later_one(install, source, tmp_path, monkeypatch):
    install("tinyseq-mgu", {CELLS: {"mgu": "fake_mgu:MGU"}}, "2.0", fake_mgu=source())
    later = tmp_path / "later" / "tinyseq_mgu-1.0.dist-info"
    later.mkdir(parents=True)
    (later / "METADATA").write_text("Metadata-Version: 2.1\nName: Tinyseq_MGU\nVersion: 1.0\n")
    (later / "entry_points.txt").write_text("[tinyseq.cells]\nmgu = old:MGU\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(later.parent)])
    refresh()
    assert catalogue.registries["cell"].find("mgu").origin == "tinyseq-mgu 2.0"


def test_discovery_can_be_switched_off(install, source, monkeypatch):
    install("tinyseq-mgu", {CELLS: {"mgu": "fake_mgu:MGU"}}, fake_mgu=source())
    monkeypatch.setenv("TINYSEQ_PLUGINS", "0")
    refresh()
    assert "mgu" not in tinyseq.cells
    assert "lstm" in tinyseq.cells
    assert "because TINYSEQ_PLUGINS=0" in message(tinyseq.cells.__getitem__, "mgu")
