"""Pictures of what goes on inside a recurrence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyseq.errors import ConfigError, ShapeError
from tinyseq.lens.pictures.paper import COLOURS, DASHES, MARKS, SCALE, bare, figure, ticks
from tinyseq.lens.through_time import GradientThroughTime
from tinyseq.lens.trace import Trace

Array = np.ndarray[Any, np.dtype[np.float64]]


def gates(
    trace: Trace, *names: str, labels: Sequence[str] | None = None, sequence: int = 0, units: int = 64
) -> Any:
    """A panel for each value: units from top to bottom, the positions of one sequence from left to right.

    names: values of the trace; by default all that are gates, which means that they lie between 0 and 1 and
    are not all alike, or, where nothing does, the outputs. labels: what stands at the positions, such as the
    characters of a text. Of more than `units` units the first are shown.

    Raises ConfigError for a name that is none, ShapeError for labels of another number.
    """
    chosen = {name: _units(trace, name, sequence) for name in names or gate_names(trace)}
    steps = len(next(iter(chosen.values())))
    if labels is None:
        labels = [str(t) for t in range(steps)] if trace.tokens is None else trace.tokens[sequence]
    for name, values in chosen.items():
        if len(values) != len(labels):
            raise ShapeError(f"{name} has {len(values)} positions, and there are {len(labels)} labels.")
    heights = [min(values.shape[1], units) for values in chosen.values()]
    inches = [min(0.9 + 0.025 * height, 1.8) for height in heights]
    drawn = figure(min(max(4.5, 1.6 + 0.16 * steps), 14), 0.7 + sum(inches))
    panels = drawn.subplots(len(chosen), 1, squeeze=False, sharex=True, height_ratios=inches)[:, 0]
    for axes, (name, values) in zip(panels, chosen.items(), strict=True):
        low, high = limits(values)
        image = axes.imshow(
            values[:, :units].T, aspect="auto", cmap=SCALE, vmin=low, vmax=high, interpolation="nearest"
        )
        shown = min(values.shape[1], units)
        more = f" of {values.shape[1]}" if shown < values.shape[1] else ""
        axes.set_ylabel(f"{name}\n{shown}{more} unit{'s' if shown > 1 else ''}", parse_math=False)
        axes.set_yticks([])
        axes.tick_params(bottom=False)
        drawn.colorbar(
            image, ax=axes, pad=0.01, aspect=12, ticks=[low, (low + high) / 2, high], format="%.3g"
        )
    words = any(len(label) > 1 for label in labels) and not all(label.isdigit() for label in labels)
    ticks(panels[-1].xaxis, list(labels), turned=words)
    return drawn


def gate_names(trace: Trace) -> list[str]:
    """The values that are gates; the outputs if there are none."""
    found = []
    for name, values in trace.items():
        data = values.data.numpy()
        inputs = name.rpartition(".")[2] == "x" or ".state." in f".{name}"
        if not inputs and data.ndim == 2 and data.min() >= 0 and data.max() <= 1 and data.max() > data.min():
            found.append(name)
    return found or [name for name in trace if name.rpartition(".")[2] == "output"]


def limits(values: Array) -> tuple[float, float]:
    """The ends of the scale: 0 to 1 for gates, -1 to 1 for what tanh gives, else as far as values go."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest <= 1:
        return (0.0, 1.0) if values.min(initial=0.0) >= 0 else (-1.0, 1.0)
    return (0.0 if values.min() >= 0 else -largest), largest


def gradients(through: Mapping[str, GradientThroughTime], *, layer: str | None = None) -> Any:
    """How much of a gradient arrives, step by step back from its start, for several models side by side.

    through: by the models' names, what `gradient_through_time` gave. layer: whose gradient, by default the
    model's first. A line is the mean over the sequences; what is 0 is left out. Where singular values of
    Jacobians were asked for, a second panel has them.
    """
    if not through:
        raise ConfigError("gradients() takes a dict of what gradient_through_time() gave, by model.")
    parts = [("norm of the gradient", [found.norms for found in through.values()])]
    if all(found.singular_values for found in through.values()):
        values = [found.singular_values for found in through.values()]
        parts.append(("largest singular value of the Jacobian", values))
    drawn = figure(5.4 * len(parts) + 0.6, 3.6)
    for axes, (title, curves) in zip(drawn.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        for k, (name, found, by_layer) in enumerate(zip(through, through.values(), curves, strict=True)):
            places, means = _curve(by_layer[_layer(by_layer, layer)], found.at)
            axes.semilogy(
                places, means, label=name, color=COLOURS[k % 8], linestyle=DASHES[k % 8], linewidth=1.8,
                marker=MARKS[k % 8], markersize=4, markevery=max(1, len(places) // 8),
            )  # fmt: skip
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step, from the one that is differentiated")
        axes.grid(alpha=0.3)
        bare(axes)
    handles = drawn.axes[0].get_legend_handles_labels()
    drawn.legend(*handles, loc="outside right center", frameon=False, handlelength=3.5)
    return drawn


def _layer(found: Mapping[str, Any], layer: str | None) -> str:
    if layer is None:
        return next(iter(found))
    if layer not in found:
        raise ConfigError(f"There is no layer {layer!r}; there are {', '.join(map(repr, found))}.")
    return layer


def _curve(numbers: Any, at: int) -> tuple[Array, Array]:
    """Places, counted from the step `at` of each sequence, and the mean of the numbers there."""
    sums: dict[int, list[float]] = {}
    for part in numbers.to_list():
        row = part.numpy()
        for t in np.flatnonzero(row).tolist():
            sums.setdefault(t - at % len(row), []).append(float(row[t]))
    places = sorted(sums)
    return np.array(places), np.array([np.mean(sums[place]) for place in places])


def _units(trace: Trace, name: str, sequence: int) -> Array:
    """A value of one sequence: (steps, units)."""
    values = trace[name]
    if not -len(values) <= sequence < len(values):
        raise ShapeError(f"There are {len(values)} sequences, and no number {sequence}.")
    rows = values.to_list()[sequence].numpy()
    flat: Array = rows.reshape(len(rows), -1).astype(np.float64)
    return flat
