"""Progress bars on a terminal, and nothing at all in a log."""

from typing import Any


def bar(batches: Any, title: str, *, done: int = 0, show: bool | None = None) -> Any:
    """A tqdm bar for one pass over `batches`, `done` of them before; None shows it if stderr is a terminal.

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
        disable=None if show is None else not show,
    )
