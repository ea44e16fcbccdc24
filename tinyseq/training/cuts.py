"""How an epoch's batches are cut: those that a resumed run has left, and groups that make one update."""

import itertools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tinyseq import random
from tinyseq.engine import make_tensor
from tinyseq.errors import DataError, TinyseqError
from tinyseq.training.records import Progress


@contextmanager
def examples_named(batches: Any) -> Iterator[None]:
    """Let errors about a sequence of a batch also say which example of the data that is.

    Batches whose `places` tell, such as LengthBatches, come in another order every epoch.
    """
    try:
        yield
    except TinyseqError as error:
        places = getattr(batches, "places", None)
        found = re.search(r"\bsequence (\d+)", str(error))
        if places and found and int(found[1]) < len(places):
            place = f"Sequence {found[1]} of this batch is example {places[int(found[1])]} of the data."
            error.args = (f"{error} {place}",)
        raise


def rest_of_epoch(batches: Iterable[Any], progress: Progress) -> Iterator[Any]:
    """The batches to come; those that were done are drawn again, from the same numbers, and skipped.

    Raises DataError if there are fewer than were done.
    """
    done = progress.batch
    if done == 0:
        progress.random_at_epoch = random.get_state()
        return iter(batches)
    now = random.get_state()
    random.set_state(progress.random_at_epoch)
    rest = iter(batches)
    skipped = sum(1 for _ in itertools.islice(rest, done))
    random.set_state(now)
    if skipped < done:
        raise DataError(
            f"The checkpoint stands after batch {done} of an epoch, and here an epoch has {skipped}: "
            "resume with the data and batch size of the run that wrote it."
        )
    return rest


def in_groups(batches: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Batches in groups of `size`; the last may have fewer."""
    while group := list(itertools.islice(batches, size)):
        yield group


def scale_gradients(model: Any, factor: float) -> None:
    """Multiply the gradients of all Parameters that have one."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad = make_tensor(parameter.grad.data * factor, None)
