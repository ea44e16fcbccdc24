"""Draws the picture of the README: `python docs/_site/picture.py`, once the step in it has changed."""

import re
import textwrap
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

DOCS = Path(__file__).parents[1]
FILE = DOCS / "picture.svg"
INK, PALE, BLUE, ORANGE = "#1f2933", "#6b7783", "#0072B2", "#D55E00"
SENTENCES = {"she sees the big dog": "#56B4E9", "it runs after him": "#E69F00", "we sleep": "#009E73"}


def step() -> str:
    """The step of the README's own cell."""
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^    def step\(.*?^        return .*?$", readme, re.M | re.S)
    assert found is not None
    return textwrap.dedent(found[0])


def draw() -> Figure:
    """The step on the left; on the right what becomes of it: one pass over a batch without padding."""
    figure = Figure(figsize=(10, 3.1), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, 31))
    axes.axis("off")
    axes.add_patch(FancyBboxPatch((2, 8.2), 48, 14.6, boxstyle="round,pad=0.4", fc="#f3f5f7", ec="#d5dbe1"))
    axes.text(1.6, 26.6, "Write one step, as in its paper", fontsize=12, color=INK, weight="bold")
    for i, line in enumerate(step().splitlines()):
        axes.text(3, 20.9 - 2.7 * i, line, fontsize=7.2, color=INK, family="monospace", va="center")
    axes.text(1.6, 4.2, "read once, with its gradient: no loop, no mask in it", fontsize=9.5, color=PALE)
    arrow(axes, (51.2, 15.5), (56, 15.5), INK)
    axes.text(57, 26.6, "and run it over whole batches", fontsize=12, color=INK, weight="bold")
    batch(axes)
    return figure


def batch(axes: Any) -> None:
    """Sentences as rows of words, one step a column, and the same words as one array, step after step."""
    width, height, left = 8.2, 3.1, 57.0
    words = [sentence.split() for sentence in SENTENCES]
    colours = list(SENTENCES.values())
    for row, sentence in enumerate(words):
        for t, word in enumerate(sentence):
            box(
                axes,
                left + t * width,
                21 - row * (height + 0.35),
                width - 0.4,
                height,
                colours[row],
                word,
                8.5,
            )
    at = left
    narrow = (5 * width - 0.4) / sum(map(len, words))
    for t in range(max(map(len, words))):
        for row, sentence in enumerate(words):
            if t < len(sentence):
                box(axes, at, 8.2, narrow - 0.15, 2.6, colours[row], "", 0)
                at += narrow
    arrow(axes, (left, 6.7), (at, 6.7), BLUE)
    axes.text(left, 4.2, "one kernel forward", fontsize=9.5, color=BLUE)
    arrow(axes, (at, 3.4), (left, 3.4), ORANGE)
    axes.text(at, 0.9, "one kernel backward", fontsize=9.5, color=ORANGE, ha="right")
    axes.text(at - 0.4, 15.2, "no padding", fontsize=9.5, color=PALE, ha="right")


def box(
    axes: Any, x: float, y: float, width: float, height: float, colour: str, word: str, size: float
) -> None:
    """A word, or the place of one."""
    axes.add_patch(Rectangle((x, y), width, height, fc=colour, alpha=0.55, ec="none"))
    if word:
        axes.text(x + width / 2, y + height / 2, word, fontsize=size, color=INK, ha="center", va="center")


def arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    """From one place to another."""
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, lw=1.6, color=colour))


if __name__ == "__main__":
    with matplotlib.rc_context({"svg.hashsalt": "tinyseq", "font.family": "DejaVu Sans"}):
        draw().savefig(FILE, metadata={"Date": None, "Description": step()})
