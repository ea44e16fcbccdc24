"""Progress bars on a terminal and in a notebook, and nothing at all in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinyseq.scan.emitters.numba.kernels import told_of_compiling


def bar(batches: Any, title: str, *, done: int = 0, show: bool | None = None) -> Any:
    """A tqdm bar for one pass over `batches`, `done` of them before; None shows it if somebody sees.

    In a notebook it is a widget, where ipywidgets is installed.
    tqdm and not rich: it has no dependencies of its own, and one moving line is all that is wanted.
    """
    from tqdm.auto import tqdm  # a third of tinyseq's import budget, and only training needs it

    return tqdm(
        desc=title,
        total=len(batches) if hasattr(batches, "__len__") else None,
        initial=done,
        unit=" batches",
        leave=False,
        dynamic_ncols=True,
        disable=not (_is_watched() if show is None else show),
    )


@contextmanager
def compilation_shown(shown: Any) -> Iterator[None]:
    """Say behind a bar that kernels are compiled, which takes seconds the first time, while they are."""
    with told_of_compiling(lambda: shown.set_postfix_str("compiling kernels")):
        yield


def _is_watched() -> bool:
    """Whether somebody watches stderr: on a terminal, or through the kernel of a notebook."""
    return sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
