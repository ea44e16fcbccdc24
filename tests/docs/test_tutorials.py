"""The tutorials, as far as a test can be quick: the gate runs them all when it builds the site."""

import ast
import importlib
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "tutorials"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.stem != "index")


def code(page):
    cells = re.findall(r"^```\{code-cell\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert cells, f"{page.name} shows no code"
    return ast.parse("\n".join(re.sub(r"^:tags: .*\n", "", cell) for cell in cells))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_tutorial_imports_is_there(page):
    imports = [node for node in ast.walk(code(page)) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if node.module.startswith("tinyseq")]
    assert ours
    for node in ours:
        module = importlib.import_module(node.module)
        for alias in node.names:
            assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_says_that_it_is_to_be_run(page):
    """Without its head it would be shown, and nobody would notice what is wrong with it."""
    assert page.read_text(encoding="utf-8").startswith(
        "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n"
    )


def test_every_tutorial_is_in_the_index():
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\(([\w-]+)\.md\)", index)
    assert sorted(listed) == sorted(page.stem for page in PAGES)
    assert re.findall(r"^([\w-]+)$", index.rpartition(":hidden:")[2], re.M) == listed
