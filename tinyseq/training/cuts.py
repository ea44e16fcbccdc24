"""How an epoch's batches are cut: those that a resumed run has left, and groups that make one update."""

import itertools
import warnings
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, NamedTuple

from tinyseq import random
from tinyseq.data.batches import examples_named
from tinyseq.engine import make_tensor
from tinyseq.errors import DataError, TinyseqError
from tinyseq.processes import Team
from tinyseq.processes.shares import fingerprint
from tinyseq.training.records import Progress


class Place(NamedTuple):
    """Where a batch comes from: its number in the epoch, from 0, and the examples in it, if that is known."""

    batch: int
    examples: list[int]


def placed(drawn: Iterable[Any], batches: Any, first: int = 0) -> Iterator[tuple[Any, Place]]:
    """Batches, each with its place: several may be drawn before the first is used.

    Batches whose `places` tell, such as LengthBatches, come in another order every epoch.
    """
    for number, batch in enumerate(drawn, first):
        yield batch, Place(number, list(getattr(batches, "places", ())))


@contextmanager
def located(place: Place | None, team: Team) -> Iterator[None]:
    """Let errors about a batch say where in the data that is.

    A process knows of the sequences of its share only, and counts these.
    """
    examples = place.examples if place else []
    share = examples if team.alone else [examples[i] for i in team.places(len(examples))]
    try:
        with examples_named(share, whole="this batch" if team.alone else "this process's share"):
            yield
    except TinyseqError as error:
        if place and not place.examples:
            error.args = (*error.args, f"It is in batch {place.batch} of the epoch, counted from 0.")
        raise


def rest_of_epoch(
    batches: Iterable[Any], progress: Progress, mark: int | None, *, resumed: bool
) -> Iterator[Any]:
    """The batches to come; those that were done are drawn again, from the same numbers, and skipped.

    Warns where the last of those has another mark, or a resumed run has other batches to an epoch. Raises
    DataError if there are fewer than were done.
    """
    done, before = progress.batch, progress.batches
    progress.batches = len(batches) if isinstance(batches, Sized) else None
    if done == 0:
        if resumed and before and progress.batches and before != progress.batches:
            warnings.warn(
                f"The run goes on with {progress.batches} batches to an epoch, not {before}: its data or "
                "their batch size have changed.",
                stacklevel=2,
            )
        progress.random_at_epoch = random.get_state()
        return iter(batches)
    now = random.get_state()
    random.set_state(progress.random_at_epoch)
    rest = iter(batches)
    skipped, last = 0, None
    for batch in itertools.islice(rest, done):
        skipped, last = skipped + 1, batch
    random.set_state(now)
    if skipped < done:
        raise DataError(
            f"The checkpoint stands after batch {done} of an epoch, and here an epoch has {skipped}: "
            "resume with the data and batch size of the run that wrote it."
        )
    if mark is not None and fingerprint(last) != mark:
        warnings.warn(
            f"Batch {done} of this epoch is not the one that the run was trained on: its data, their order "
            "or batch size have changed, or batches draw numbers that are not of tinyseq.random. The rest "
            "of the epoch may repeat some examples and leave out others.",
            stacklevel=2,
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
