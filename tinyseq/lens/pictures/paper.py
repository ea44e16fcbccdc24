"""What all pictures are drawn on and with."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from tinyseq.errors import ConfigError

SCALE, SHARES = "cividis", "Blues"  # of values with a middle, and of shares, where nothing is white
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
DASHES: tuple[Any, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (6, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
    (0, (1, 1)),
    (0, (3, 3)),
)
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
SMALL = 8  # points, the smallest letters

WHITE_SPACE = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def figure(width: float, height: float) -> Any:
    """An empty figure, in inches, that a notebook shows. Raises ConfigError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("Pictures need matplotlib: pip install 'tinyseq[plot]'.") from None
    made: Any = Figure(figsize=(width, height), layout="constrained", dpi=150)
    made._repr_png_ = lambda: png(made)
    return made


def png(drawn: Any) -> bytes:
    """A figure as the bytes of a PNG."""
    file = BytesIO()
    drawn.savefig(file, format="png")
    return file.getvalue()


def bare(axes: Any) -> None:
    """Without the frame's upper and right line."""
    axes.spines[["top", "right"]].set_visible(False)


def visible(token: str) -> str:
    """A token as a label: white space has signs, and nothing is endless."""
    shown = "".join(WHITE_SPACE.get(letter, letter) for letter in token)
    return shown if len(shown) <= 24 else f"{shown[:23]}…"


def ticks(axis: Any, labels: Sequence[str], *, turned: bool = False) -> None:
    """A label at each place of an axis, taken literally; every k-th if there are too many to read."""
    step = max(1, -(-len(labels) // 100))
    places = range(0, len(labels), step)
    options: dict[str, Any] = {"rotation": 90} if turned else {}
    shown = [visible(labels[i]) for i in places]
    axis.set_ticks(places, labels=shown, fontsize=SMALL, parse_math=False, **options)
    axis.set_tick_params(length=0)
