"""A run's losses as a drawing that a notebook shows without any library."""

import html
import math
from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT, LEFT, TOP = 340, 160, 60, 26  # pixels, of the axes and around them
COLOURS = ("#4477aa", "#ee6677")  # two of Tol's bright ones


def curves(history: Sequence[Any]) -> str:
    """Inline SVG: training and validation loss over the epochs, the best epoch marked; "" without epochs.

    Losses that are not finite are left out; each line has its name and its last value above them.
    """
    lines = {"train loss": [epoch.train_loss for epoch in history]}
    if any(epoch.valid_loss is not None for epoch in history):
        lines["valid loss"] = [
            math.nan if epoch.valid_loss is None else epoch.valid_loss for epoch in history
        ]
    finite = [value for line in lines.values() for value in line if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    first, last = history[0].number, history[-1].number

    def x(number: float) -> float:
        return LEFT + WIDTH * ((number - first) / (last - first) if last > first else 0.5)

    def y(value: float) -> float:
        return TOP + HEIGHT * ((high - value) / (high - low) if high > low else 0.5)

    best = [epoch.number for epoch in history if epoch.best][-1:]
    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbbbbb"/>',
        *(_mark(x(number), f"best: epoch {number}") for number in best),
        *(_text(LEFT - 6, y(value) + 4, f"{value:.4g}", "end") for value in dict.fromkeys((high, low))),
        *(
            _text(x(number), TOP + HEIGHT + 16, f"epoch {number}", "middle")
            for number in dict.fromkeys((first, last))
        ),
    ]
    for place, (name, values) in enumerate(lines.items()):
        points = [
            (x(epoch.number), y(value))
            for epoch, value in zip(history, values, strict=True)
            if math.isfinite(value)
        ]
        parts.append(_line(points, COLOURS[place]))
        parts.append(_text(LEFT + 170 * place, TOP - 10, f"{name} {values[-1]:.4f}", "start", COLOURS[place]))
    width, height = LEFT + WIDTH + 30, TOP + HEIGHT + 24
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{"".join(parts)}</svg>'


def _line(points: list[tuple[float, float]], colour: str) -> str:
    if len(points) == 1:
        return f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3" fill="{colour}"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _mark(x: float, title: str) -> str:
    line = f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + HEIGHT}" stroke="#bbbbbb"'
    return f'{line} stroke-dasharray="3 3"><title>{title}</title></line>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#777777") -> str:
    style = f'font-family="sans-serif" font-size="11" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{html.escape(text)}</text>'
