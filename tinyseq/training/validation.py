"""The loss and the metrics of data that are not trained on."""

from collections.abc import Iterable
from typing import Any

from tinyseq import random
from tinyseq.engine import no_grad
from tinyseq.errors import DataError
from tinyseq.training.bars import bar
from tinyseq.training.cuts import located, placed
from tinyseq.training.interrupts import Stopped
from tinyseq.training.monitor import merged, values
from tinyseq.training.records import Tally


def validated(trainer: Any, batches: Iterable[Any]) -> tuple[float, dict[str, float]]:
    """The mean loss over all targets of `batches`, and the metrics of the model's head, as they are numbers.

    Raises DataError if there is no batch, or no target counts; Stopped if the process was asked to stop.
    """
    if hasattr(batches, "one_stream"):
        batches = batches.one_stream()
    model, team = trainer.model, trainer.team
    state, tally, numbers, seen = None, Tally(), random.get_state(), False
    metrics = trainer.monitor.fresh()
    try:
        with no_grad(), model.evaluating(), bar(batches, "validation", show=trainer.bars) as shown:
            for batch, place in placed(batches, batches):
                seen = True
                trainer.try_out(batch)
                mean, targets = 0.0, 0.0
                for share in team.shares([batch]):
                    with located(place, team):
                        found = trainer.objective(model, share, state)
                        state, mean, targets = found.state, found.mean.item(), found.targets
                        if found.answers is None:
                            metrics = {}
                        elif metrics:
                            features, wanted = found.answers
                            answers = model.head.predict(features)
                            for metric in metrics.values():
                                metric.update(answers, wanted)
                total = mean * targets if targets else 0.0
                total, targets, stop = team.total(total, targets, trainer.asked_to_stop, batch)
                tally.total, tally.count = tally.total + total, tally.count + targets
                shown.update()
                if stop:
                    raise Stopped
    finally:
        random.set_state(numbers)
    if not seen or not tally.count:
        raise DataError(
            "Validation brought no batch: pass a list, or an iterable that starts anew every epoch."
            if not seen
            else "No target of the validation data counts: all are ignored, or have the weight 0."
        )
    return tally.mean, values(merged(team.exchange(metrics)))
