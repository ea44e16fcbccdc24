"""Every Python block in the documentation runs, top to bottom, as one program per page."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_the_code_of_the_page_runs(page, tmp_path, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    assert blocks, f"{page.name} shows no code"
    monkeypatch.chdir(tmp_path)
    program = "\n".join(blocks)
    exec(compile(program, str(page), "exec"), {"__name__": page.stem})
