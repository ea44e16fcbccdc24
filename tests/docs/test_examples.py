"""Every public name has an example in docs/examples, and what it shows is what comes out."""

import doctest
import math
import re
import sys
from pathlib import Path

import pytest

import tinyseq
from tinyseq.registry import registries

DOCS = Path(__file__).parents[2] / "docs"
if str(DOCS) not in sys.path:
    sys.path.insert(0, str(DOCS))

from _site import names, reference  # noqa: E402

PAGES = sorted(file.stem for file in (DOCS / "examples").glob("*.txt"))
NEEDS = {
    "tinyseq.lens.pictures": "matplotlib",
    "tinyseq.interop": "onnx",
    "tinyseq.interop.onnx": "onnx",
    "tinyseq.sklearn": "sklearn",
}
NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?")


class Close(doctest.OutputChecker):
    """Numbers with a point may differ in their last digits: processors add up in another order."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        wanted, found = (NUMBER.findall(text) for text in (want, got))
        near = len(wanted) == len(found) and all(
            math.isclose(float(a), float(b), rel_tol=1e-3, abs_tol=1e-6)
            for a, b in zip(wanted, found, strict=True)
        )
        if near:
            want, got = (" ".join(NUMBER.sub("0", text).split()) for text in (want, got))
        return super().check_output(want, got, optionflags)


def failures(text: str, name: str) -> str:
    """What is wrong with the doctest, as doctest tells it; nothing if it is right."""
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "example"}, name, None, None)
    assert test.examples, f"{name} shows no code"
    told: list[str] = []
    doctest.DocTestRunner(Close(), optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    return "".join(told)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # log(0), a recipe of a few examples
def test_the_examples_of_the_page_run(page, tmp_path, monkeypatch):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page], reason="the page shows what an extra does")
    monkeypatch.chdir(tmp_path)
    for registry in registries.values():
        monkeypatch.setattr(registry, "_registered", {})
    shown = reference.examples(page)
    setup = shown.pop("setup", "")
    for name, example in shown.items():
        tinyseq.seed(0)
        assert failures(f"{setup}\n\n{example}\n", f"{page}.{name}") == ""


def test_every_public_name_has_an_example():
    missing = [
        f"{name.full}: write one in docs/examples/{page}.txt"
        for page, found in names.public().items()
        for name in found
        if name.name not in reference.examples(page)
    ]
    assert missing == []


def test_every_example_is_of_a_public_name():
    """So that one for a name that is gone goes, too; a page of a missing extra is left alone."""
    public = {page: {name.name for name in found} for page, found in names.public().items()}
    known = [page for page in PAGES if page in public]
    assert len(known) >= len(PAGES) - len(NEEDS)
    assert {page: set(reference.examples(page)) - public[page] - {"setup"} for page in known} == {
        page: set() for page in known
    }


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (">>> 1 / 3\n0.3333", True),
        (">>> 1 / 3\n0.3433", False),
        (">>> [1, 2]\n[1, 3]", False),
        (">>> print('a 0.50')\na 0.5", True),
        (">>> print('a 0.50')\nb 0.5", False),
    ],
)
def test_an_example_that_is_wrong_is_found(text, right):
    assert (failures(text, "example") == "") is right
