"""The page of cells: each registered one's formula, from its docstring, and its step, from the source."""

import inspect
import textwrap

from _site.names import registered
from _site.reference import prose

HEAD = """# Cells from the literature

Every cell that comes with tinyseq: the formula with its source, and the step that computes it, which is all
of its code that runs over a sequence. Here x is one step of the input, h the last output, and a mark, h',
says after the step. [Write a cell](../write-a-cell.md) of your own, in as many lines.

"""


def page() -> str:
    """The page, in Markdown."""
    return HEAD + "\n".join(_section(name.registered, name.value) for name in registered("cells"))


def _section(name: str, cell: type) -> str:
    step = textwrap.dedent(inspect.getsource(cell.step))  # type: ignore[attr-defined]
    doc = prose(inspect.getdoc(cell) or "")
    full = f"{cell.__module__}.{cell.__qualname__}"
    return f"## {name}\n\n{{py:class}}`{full}`\n\n{doc}\n```python\n{step}```\n"
