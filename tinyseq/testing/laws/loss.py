"""Laws for losses."""

from typing import Any

import numpy as np

from tinyseq.engine import Tensor
from tinyseq.sequences import Layout, Sequences
from tinyseq.testing.law import SMALL, TOGETHER, DoesNotApply, Example, Violation, array, equal, finite, law
from tinyseq.testing.laws.common import check_finite
from tinyseq.testing.plays import leaves_of, make_pair, play, to_parts
from tinyseq.testing.subject import Subject


def _loss_values(module: Any, pair: tuple[Any, ...], reduction: str | None = None) -> np.ndarray[Any, Any]:
    if reduction is None:
        return array(module(*pair))
    before = module.reduction
    module.reduction = reduction
    try:
        return array(module(*pair))
    finally:
        module.reduction = before


def _mining(s: Subject) -> str:
    return "it compares the rows of a batch: mines=True" if s.declared.mines else ""


@law(
    "L1",
    "loss",
    usually="an axis or a sign is wrong, or what is returned is not what is differentiated",
    exempt=lambda s: "" if s.declared.reference else "no reference= was given",
)
def value(s: Subject, example: Example) -> None:
    """The loss is its formula, computed by the declared reference with a plain loop."""
    assert s.declared.reference is not None
    module = s.build()
    predictions, targets = make_pair(s, module, example)
    want = s.declared.reference(module, _as_arrays(predictions), _as_arrays(targets))
    equal("the loss", _loss_values(module, (predictions, targets)), "of the reference", want)


def _ignored(s: Subject) -> Any:
    declared = s.declared.ignored
    return declared(s.build()) if callable(declared) else declared


@law(
    "L2",
    "loss",
    usually="a masked value is multiplied by 0 (which keeps NaN and infinity) instead of selected with "
    "where(), or the mean "
    "is taken over all targets instead of those that count",
    examples=TOGETHER,
    fewest=2,
    exempt=lambda s: "" if s.declared.ignored is not None else "no target is ignored: ignored=",
)
def ignored_targets(s: Subject, example: Example) -> None:
    """Ignored targets change neither the loss nor any gradient; where all are ignored, both are 0."""
    module = s.build()
    ignored = _ignored(s)
    if ignored is None:
        raise DoesNotApply("this case ignores no target")
    predictions, targets = map(array, make_pair(s, module, example))
    dropped = np.random.default_rng(example.seed).permutation(len(targets)) < max(1, len(targets) // 2)
    masked = np.where(dropped, ignored, targets)
    wild = np.where(dropped[:, None], 1e4, predictions)
    what = "the loss with ignored targets"
    equal(
        what,
        _loss_values(module, (Tensor(wild), Tensor(masked))),
        "with other predictions for them",
        _loss_values(module, (Tensor(predictions), Tensor(masked))),
    )
    for reduction in ("mean", "sum"):
        whole = _loss_values(module, (Tensor(predictions), Tensor(masked)), reduction)
        rest = _loss_values(module, (Tensor(predictions[~dropped]), Tensor(targets[~dropped])), reduction)
        equal(f"the {reduction} with ignored targets", whole, "of the others alone", rest)
    x = Tensor(predictions, requires_grad=True)
    module(x, Tensor(masked)).sum().backward()
    if x.grad is not None and np.any(array(x.grad)[dropped]):
        raise Violation("the prediction of an ignored target gets a gradient.")
    y = Tensor(predictions, requires_grad=True)
    nothing = module(y, Tensor(np.full_like(targets, ignored)))
    equal("the loss where all targets are ignored", nothing, "expected", np.zeros(nothing.shape), 0)
    if nothing.requires_grad:
        nothing.sum().backward()
        equal("its gradient", y.grad, "expected", np.zeros(predictions.shape), 0)


@law(
    "L3",
    "loss",
    usually="a mean of means: first over each sequence or part, then over those, so that short ones count "
    "more",
    examples=TOGETHER,
    fewest=2,
    exempt=_mining,
)
def split(s: Subject, example: Example) -> None:
    """Parts add up to the whole: sums as they are, means weighed by what counts in each part."""
    module = s.build()
    pair = make_pair(s, module, example)
    parts = [tuple(_of_sequence(x, example, i) for x in pair) for i in range(len(example.lengths))]
    total, mean = _loss_values(module, pair, "sum"), _loss_values(module, pair, "mean")
    if all(isinstance(x, Tensor) for x in pair):
        packed = tuple(Sequences(x, Layout(example.lengths)) for x in pair)
        parts = [tuple(_of_sequence(x, example, i) for x in packed) for i in range(len(example.lengths))]
        equal("the sum for Sequences", _loss_values(module, packed, "sum"), "for Tensors", total)
        equal("the mean for Sequences", _loss_values(module, packed, "mean"), "for Tensors", mean)
    equal("the sum", total, "of the single values", _loss_values(module, pair, "none").sum())
    sums, means = ([_loss_values(module, part, way) for part in parts] for way in ("sum", "mean"))
    equal("the sums of the parts together", sum(sums), "of the whole", total)
    if all(abs(m) > 1e-12 for m in means):
        counted = sum(a / m for a, m in zip(sums, means, strict=True))
        equal("the mean", mean, "of the parts, weighed by what counts in each", total / counted)


@law(
    "L5",
    "loss",
    usually="ignored targets, or class weights, are in the mean but not in weight(targets): figures over a "
    "data set then depend on how it is cut into batches",
    examples=TOGETHER,
    fewest=2,
    exempt=_mining,
)
def weight(s: Subject, example: Example) -> None:
    """Means of parts, each times weight(targets), add up to that of the whole, ignored targets included."""
    module = s.build()
    pair = make_pair(s, module, example)
    ignored = None if s.declared.ignored is None else _ignored(s)
    if ignored is not None:
        predictions, targets = map(array, pair)
        dropped = np.random.default_rng(example.seed).permutation(len(targets)) < len(targets) // 2
        pair = Tensor(predictions), Tensor(np.where(dropped, ignored, targets))
    parts = [tuple(_of_sequence(x, example, i) for x in pair) for i in range(len(example.lengths))]
    together = sum(_loss_values(module, part, "mean") * module.weight(part[1]) for part in parts)
    whole = _loss_values(module, pair, "mean") * module.weight(pair[1])
    equal("the means of parts, times their weights,", together, "that of the whole", whole)


def _of_sequence(values: Any, example: Example, i: int) -> Any:
    """Sequence i of Sequences, or the rows that would be its own; of each in a tuple."""
    if isinstance(values, tuple):
        return tuple([_of_sequence(x, example, i) for x in values])
    if isinstance(values, Sequences):
        return Sequences.from_list([array(values.to_list()[i])])
    start = sum(example.lengths[:i])
    return Tensor(array(values)[start : start + example.lengths[i]])


def _as_arrays(values: Any) -> Any:
    """Arrays for Tensors, and a list of arrays for Sequences."""
    if isinstance(values, tuple):
        return tuple([_as_arrays(x) for x in values])
    return to_parts(values) if isinstance(values, Sequences) else array(values)


@law(
    "L4",
    "loss",
    usually="log(softmax(x)) or log(sigmoid(x)) is computed in two steps: use ops.log_softmax, "
    "ops.softplus, ops.logsumexp",
)
def extreme_predictions(s: Subject, example: Example) -> None:
    """Predictions of 10,000 and -10,000 give a finite loss and finite gradients."""
    module = s.build()
    p = play(s, module, example)
    for i, x in enumerate(p.leaves.values()):
        x.data = np.random.default_rng([example.seed, i]).choice([-1e4, 1e4], x.shape)
    with np.errstate(all="ignore"):
        check_finite(p, leaves_of(module, p))


@law(
    "M1",
    "loss",
    usually="0 / 0 where no triplet (or pair) was found, a row taken for its own positive, or a maximum "
    "over the wrong axis",
    examples=(Example((1,), 0), *SMALL),
    exempt=lambda s: (
        "" if s.declared.mines and s.declared.reference else "it does not mine: mines=True and reference="
    ),
)
def mining(s: Subject, example: Example) -> None:
    """What is mined from a batch is what trying all combinations finds; if that is nothing, the loss is 0."""
    assert s.declared.reference is not None
    module = s.build()
    predictions, targets = map(array, make_pair(s, module, Example((2 * example.rows,), example.seed)))
    alike, distinct = (
        np.zeros_like(targets),
        np.arange(len(targets)).astype(targets.dtype).reshape(targets.shape),
    )
    for case in (targets, alike, distinct):
        x = Tensor(predictions, requires_grad=True)
        loss = module(x, Tensor(case))
        labels = f"for targets {case.tolist()}"
        finite(f"the loss {labels}", loss)
        equal(
            f"the loss {labels}",
            loss,
            "by trying all combinations",
            s.declared.reference(module, predictions, case),
        )
        if loss.requires_grad:
            loss.sum().backward()
            if x.grad is not None:
                finite(f"the gradient {labels}", x.grad)
