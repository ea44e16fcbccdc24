"""Pictures of what is looked at, and of what lies near what."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyseq.errors import ShapeError
from tinyseq.lens.pictures.paper import COLOURS, MARKS, SHARES, SMALL, bare, figure, ticks, visible
from tinyseq.lens.vectors import flat


def alignment(weights: Any, read: Sequence[str], written: Sequence[str]) -> Any:
    """How much each symbol that was written, a row, looked at each one that was read, a column.

    weights: (written, read), as `attention` gives for each sequence.
    """
    table = np.asarray(weights)
    if table.shape != (len(written), len(read)):
        raise ShapeError(
            f"Weights of {len(written)} symbols written and {len(read)} read are ({len(written)}, "
            f"{len(read)}), not {table.shape}."
        )
    longest = max(map(len, written))
    drawn = figure(min(2.2 + 0.3 * len(read) + 0.06 * longest, 14), min(1.6 + 0.3 * len(written), 14))
    axes = drawn.subplots()
    image = axes.imshow(table, aspect="auto", cmap=SHARES, vmin=0, vmax=1, interpolation="nearest")
    drawn.colorbar(image, ax=axes, label="weight")
    ticks(axes.xaxis, read, turned=any(len(symbol) > 1 for symbol in read))
    ticks(axes.yaxis, written)
    axes.set_xlabel("read")
    axes.set_ylabel("written")
    return drawn


def vectors(
    points: Any,
    labels: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    *,
    method: str = "pca",
) -> Any:
    """Vectors as points of a plane, with their labels, and with a colour and a mark for each group.

    points: (n, 2) as they are, or what `tinyseq.lens.flat` takes, laid flat by `method`. A label that would
    lie on another is left out.
    """
    plane = points if np.ndim(points) == 2 and np.shape(points)[1] == 2 else flat(points, method=method)
    plane = np.asarray(plane, np.float64)
    for name, given in (("labels", labels), ("groups", groups)):
        if given is not None and len(given) != len(plane):
            raise ShapeError(f"{len(plane)} points need as many {name}, not {len(given)}.")
    drawn = figure(6.4, 5.2)
    axes = drawn.subplots()
    names = list(dict.fromkeys(groups)) if groups is not None else [""]
    for k, name in enumerate(names):
        chosen = plane if groups is None else plane[[group == name for group in groups]]
        axes.scatter(
            *chosen.T, s=22, color=COLOURS[k % 8], marker=MARKS[(k + k // 8) % 8], alpha=0.85, linewidths=0,
            label=visible(str(name)),
        )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.margins(0.08)
    bare(axes)
    axes.spines[["left", "bottom"]].set_visible(False)
    if groups is not None:
        legend = drawn.legend(loc="outside right upper", frameon=False, fontsize=SMALL + 1)
        for text in legend.get_texts():
            text.set_parse_math(False)
    _write(drawn, axes, plane, labels)
    return drawn


def _write(drawn: Any, axes: Any, plane: Any, labels: Sequence[str] | None) -> None:
    """Labels beside their points, as far as there is room."""
    drawn.draw_without_rendering()  # the axes have found their place
    taken: list[Any] = []
    for (x, y), label in zip(plane, labels or (), strict=False):
        text = axes.annotate(
            visible(str(label)), (x, y), xytext=(4, 2), textcoords="offset points", fontsize=SMALL + 1,
            parse_math=False,
        )  # fmt: skip
        box = text.get_window_extent()
        if any(box.overlaps(other) for other in taken):
            text.remove()
        else:
            taken.append(box)
