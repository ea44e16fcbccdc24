"""The parts of the documentation's site that are made from code: names, signatures, and a check of links."""

import html
import inspect
import re
import sys
from pathlib import Path

import pytest
from tinyseq_cells.lstm import LSTM

import tinyseq

DOCS = Path(__file__).parents[2] / "docs"
if str(DOCS) not in sys.path:
    sys.path.insert(0, str(DOCS))

from _site import cells, links, names, reference  # noqa: E402


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.html").write_text('<h1 id="top">b</h1><a href="../a.html">a</a><img src="no.png">')
    (tmp_path / "a.html").write_text(
        '<a href="sub/b.html#top"></a><a href="sub/b.html#foot"></a><a href="c.html"></a><a href="#me"'
        ' id="me"></a><a href="https://example.org/x"></a><a href="mailto:me"></a><a href="sub/b.html"></a>'
    )
    assert list(links.broken(tmp_path)) == [
        "a.html: sub/b.html#foot is no place on that page",
        "a.html: c.html is no file",
        "sub/b.html: no.png is no file",
    ]


def test_names_are_what_packages_hand_out_and_what_modules_define():
    assert {"Tensor", "grad", "cells"} <= set(names.names_in("tinyseq"))
    assert "ops" not in names.names_in("tinyseq")  # a module has a page of its own
    assert {"softmax", "tanh"} <= set(names.names_in("tinyseq.ops"))
    assert names.names_in("tinyseq.random") == ["seed", "generator", "refused", "get_state", "set_state"]


def test_every_public_name_stands_on_one_page():
    pages = names.public()
    found = [name.full for page in pages.values() for name in page]
    assert len(found) == len(set(found))
    assert len(found) > 300
    values = {id(name.value) for page in pages.values() for name in page}
    registered = [name for kind in names.KINDS for name in names.registered(kind)]
    assert all(id(name.value) in values for name in registered)


def test_a_signature_is_spelt_as_in_the_source():
    assert reference._signature(tinyseq.nn.Linear) == (
        "(input_size: int, output_size: int, *, bias: bool = True, "
        "init: str | init.Initializer = 'glorot_uniform')"
    )
    assert reference._signature(tinyseq.ops.tanh) == "(x)"


def test_a_docstring_is_text_in_markdown():
    assert reference.prose("a * b < `c * d`\n    x * y\n") == "a \\* b \\< `c * d`\n    x * y\n"


@pytest.mark.parametrize("name", sorted(tinyseq.cells))
def test_every_registered_cell_is_on_the_page_of_cells(name):
    if tinyseq.cells[name].__module__.startswith("tinyseq_cells"):
        assert f"\n## {name}\n" in "\n" + cells.page()


def test_the_page_of_cells_shows_formula_and_step():
    page = cells.page()
    assert "    c' = gate(f) * c + gate(i) * candidate(g)\n" in page
    for line in inspect.getsource(LSTM.step).splitlines():
        assert f"\n{line[4:]}\n" in page


def test_the_picture_shows_the_step_of_the_readme():
    pytest.importorskip("matplotlib", reason="the picture is drawn by matplotlib")
    from _site import picture

    drawn = picture.FILE.read_text(encoding="utf-8")
    described = html.unescape(re.findall(r"<dc:description>(.*?)</dc:description>", drawn, re.S)[0])
    assert described == picture.step()
    assert len(picture.step().splitlines()) == 5
    assert picture.draw().axes
