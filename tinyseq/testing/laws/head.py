"""Laws for heads."""

from typing import Any

import numpy as np

from tinyseq.contracts import Metric
from tinyseq.engine import Tensor, no_grad
from tinyseq.nn import Parameter
from tinyseq.optim import Adam
from tinyseq.sequences import Sequences
from tinyseq.testing.law import TOGETHER, Example, Violation, array, equal, law
from tinyseq.testing.laws.metric import figures
from tinyseq.testing.plays import make_pair
from tinyseq.testing.subject import Subject

STEPS = 150


def _compares(s: Subject) -> str:
    return "it compares the sequences of a batch: mines=True" if s.declared.mines else ""


def _sequence_alone(xs: Any, i: int) -> Any:
    """Sequence i of Sequences, or row i of a Tensor with one row for each sequence."""
    if isinstance(xs, Sequences):
        return Sequences.from_list([array(xs.to_list()[i])])
    return Tensor(array(xs)[i : i + 1])


@law(
    "H1",
    "head",
    usually="the loss is computed from other scores than it should be, a sign is wrong, or no gradient "
    "reaches the features",
    examples=(Example((3, 1, 2, 2, 4, 1, 2, 3), 0),),
    shortest=None,
)
def learnable(s: Subject, example: Example) -> None:
    """Trained together with the features of eight examples, it drives the loss down to less than half."""
    head = s.build().train()
    features, targets = make_pair(s, head, example)
    free = Parameter(array(features), dtype=np.float64)
    optimizer = Adam([free, *head.parameters()], lr=0.1)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = head.loss(features.with_data(free) if isinstance(features, Sequences) else free, targets)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    if not losses[-1] < 0.5 * losses[0]:
        raise Violation(f"the loss went from {losses[0]:.4g} to {losses[-1]:.4g} in {STEPS} steps of Adam.")


@law(
    "H2",
    "head",
    usually="predict() looks at padding, or at the other sequences of the batch",
    examples=TOGETHER,
)
def predictions(s: Subject, example: Example) -> None:
    """What is predicted for a sequence does not depend on the others of its batch, and has its length."""
    head = s.build()
    features, _ = make_pair(s, head, example)
    with no_grad():
        whole = _answers(head.predict(features))
        for i in range(len(example.lengths)):
            alone = _answers(head.predict(_sequence_alone(features, i)))[0]
            equal(f"the prediction for sequence {i} alone", alone, "in the batch", whole[i])


@law(
    "H5",
    "head",
    usually="predict() drops features in every mode (ops.dropout instead of nn.Dropout), or draws where it "
    "should take the likeliest",
    examples=TOGETHER,
)
def deterministic(s: Subject, example: Example) -> None:
    """In evaluation mode, also after training, the same features get the same answer every time."""
    head = s.build().train().eval()
    features, _ = make_pair(s, head, example)
    with no_grad():
        first = _answers(head.predict(features))
        for _ in range(3):
            for i, (before, now) in enumerate(zip(first, _answers(head.predict(features)), strict=True)):
                equal(f"the prediction for sequence {i}, asked again,", now, "at first", before)


def _answers(predicted: Any) -> list[np.ndarray[Any, Any]]:
    """One array for each sequence."""
    if isinstance(predicted, Sequences):
        return [array(x) for x in predicted.to_list()]
    return [np.asarray(array(x)) for x in predicted]


@law(
    "H3",
    "head",
    usually="a mean of means over sequences, or a mean over padded steps; or ignored targets, or weights of "
    "classes, are in the mean but not in weight(targets)",
    examples=TOGETHER,
    fewest=2,
    exempt=_compares,
)
def batches(s: Subject, example: Example) -> None:
    """The loss is a mean over what counts: those of the sequences, times their weights, give the batch's."""
    head = s.build()
    features, targets = make_pair(s, head, example)
    with no_grad():
        whole = head.weight(targets) * array(head.loss(features, targets))
        parts = [
            (_sequence_alone(features, i), _sequence_alone(targets, i)) for i in range(len(example.lengths))
        ]
        weighed = sum(head.weight(part[1]) * array(head.loss(*part)) for part in parts)
    equal("the batch's loss, times its weight,", whole, "those of its sequences together", weighed)


@law(
    "H4",
    "head",
    usually="metrics() hands out the same objects again, or a metric keeps means where it should keep sums "
    "and counts",
    examples=TOGETHER,
    fewest=2,
    exempt=_compares,
)
def metrics(s: Subject, example: Example) -> None:
    """metrics() gives fresh Metrics of predictions and targets, which say the same for every split."""
    head = s.build()
    features, targets = make_pair(s, head, example)
    whole, parts = head.metrics(), head.metrics()
    for name, metric in whole.items():
        if not isinstance(metric, Metric) or metric is parts[name]:
            raise Violation(f"metrics()[{name!r}] is no Metric of its own.")
        with no_grad():
            metric.update(head.predict(features), targets)
            for i in range(len(example.lengths)):
                parts[name].update(head.predict(_sequence_alone(features, i)), _sequence_alone(targets, i))
        equal(
            f"{name} over single sequences",
            figures(parts[name].value()),
            "over the batch",
            figures(metric.value()),
        )
