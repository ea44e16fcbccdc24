"""Laws for metrics: inputs=(metric, rng, rows) -> the arguments of update()."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyseq.scan.state import flatten
from tinyseq.testing.law import TOGETHER, Example, equal, law
from tinyseq.testing.subject import Subject, Undeclared


def _batches(s: Subject, metric: Any, example: Example) -> list[tuple[Any, ...]]:
    """One batch of arguments for each length."""
    if not callable(s.declared.inputs):
        raise Undeclared(
            f"The kit cannot know what {s.name} measures: pass inputs=, a function (metric, rng, rows) -> "
            "the arguments of update()."
        )
    rng = np.random.default_rng(example.seed)
    return [tuple(s.declared.inputs(metric, rng, rows)) for rows in example.lengths]


def _metric_after(s: Subject, batches: list[tuple[Any, ...]]) -> Any:
    metric = s.make()
    for batch in batches:
        metric.update(*batch)
    return metric


def figures(value: Any) -> np.ndarray[Any, Any]:
    """The numbers in what a metric says: one, or a tuple or a dict of them."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    return np.asarray([float(v) for v in flatten(value)])


def _figures(metric: Any) -> Any:
    return figures(metric.value())


@law(
    "E1",
    "metric",
    usually="means are kept, and averaged again: keep sums and counts",
    examples=TOGETHER,
    fewest=2,
)
def merging(s: Subject, example: Example) -> None:
    """Batches in any order, and metrics merged, give one figure; merging leaves the other metric as it is."""
    batches = _batches(s, s.make(), example)
    whole = _metric_after(s, batches)
    equal(
        "the figure with the batches in another order",
        _figures(_metric_after(s, batches[::-1])),
        "in this",
        _figures(whole),
    )
    for cut in range(1, len(batches)):
        left, right = _metric_after(s, batches[:cut]), _metric_after(s, batches[cut:])
        before = _figures(right)
        left.merge(right)
        equal("the figure of merged metrics", _figures(left), "of one that saw everything", _figures(whole))
        equal("the figure of the metric that was merged", _figures(right), "before", before)


@law(
    "E2",
    "metric",
    usually="a mean of means, or something is counted that should not be",
    examples=TOGETHER,
    exempt=lambda s: "" if s.declared.reference else "no reference= was given",
)
def figure(s: Subject, example: Example) -> None:
    """The figure is what the declared reference computes from all batches at once."""
    assert s.declared.reference is not None
    metric = s.make()
    batches = _batches(s, metric, example)
    want = s.declared.reference(metric, batches)
    equal(
        "the figure",
        _figures(_metric_after(s, batches)),
        "of the reference",
        figures(want),
    )


@law(
    "E3",
    "metric",
    usually="ignored targets are left out of the sum, but not of the count, or are looked up as classes",
    examples=(*TOGETHER, Example((24, 9), 3)),  # enough rows that some predictions are right
    exempt=lambda s: "" if s.declared.ignored is not None else "no target is ignored: ignored=",
)
def ignored_targets(s: Subject, example: Example) -> None:
    """Ignored targets, the last argument of update(), count nowhere, whatever was predicted for them."""
    metric = s.make()
    declared = s.declared.ignored
    ignored = declared(metric) if callable(declared) else declared
    for batch in _batches(s, metric, example):
        *predictions, targets = map(np.asarray, batch)
        dropped = np.arange(len(targets)) % 2 == 1
        left = _figures(_metric_after(s, [(*(x[~dropped] for x in predictions), targets[~dropped])]))
        targets = np.where(dropped, ignored, targets)
        for others in (predictions, [np.concatenate([x[:1], x[:-1]]) for x in predictions]):
            mixed = (
                np.where(dropped.reshape(-1, *[1] * (x.ndim - 1)), y, x)
                for x, y in zip(predictions, others, strict=True)
            )
            equal(
                "the figure with ignored targets",
                _figures(_metric_after(s, [(*mixed, targets)])),
                "of the others alone",
                left,
            )
