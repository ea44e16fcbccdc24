"""Which elementwise operations become one kernel: as many as can run between two matrix products."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from tinyseq.backend.symbols import POINTWISE, Level, Symbol
from tinyseq.scan.graph import ancestors, is_view, root_of
from tinyseq.scan.partition import Operation, Region, Schedule

CHEAP = ("add", "subtract", "multiply", "negative")


@dataclass(eq=False)
class Group:
    """Operations on rows of one width and one floating dtype, to be computed together element by element."""

    region: Region
    width: int
    operations: list[Operation] = field(default_factory=list)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The floating dtype."""
        values = [s for o in self.operations for s in (o.value, *o.value.symbols)]
        return next(s.dtype for s in values if s.dtype.kind == "f")


def fuse(schedule: Schedule) -> list[Group]:
    """The groups of a schedule, whose operations are put in an order that makes groups large."""
    _into_the_loop(schedule)
    groups: list[Group] = []
    ordered: list[Operation] = []
    for region in Region:
        ordered += _ordered(schedule.within(region), groups)
    schedule.operations = ordered
    schedule.number()
    return groups


def inner_values(schedule: Schedule, groups: list[Group]) -> frozenset[int]:
    """Values that only their own group reads: they live in registers."""
    home = {o.value.id: g for g in groups for o in g.operations}
    outer = {s.id for s in _read_without_operation(schedule)}
    for o in schedule.operations:
        group = None if o.slot is not None else home.get(o.value.id)
        for operand in o.operands:
            if is_view(operand) or group is None or home.get(operand.id) is not group:
                outer.add(root_of(operand).id)
    return frozenset(set(home) - outer)


def _read_without_operation(schedule: Schedule) -> list[Symbol]:
    """Rows that are results, or that sums over rows read."""
    traced = schedule.traced
    found = [
        s for s in (*traced.outputs, *traced.new_states, *traced.d_inputs, *traced.d_states) if s is not None
    ]
    for s in ancestors(traced.d_parameters):
        found += [i for i in s.symbols if i.is_row and not s.is_row]
    return [root_of(s) for s in found]


def _into_the_loop(schedule: Schedule) -> None:
    """Cheap work on all steps at once that only the loop's kernels read joins them: a bias is added there."""
    readers: dict[int, list[Operation]] = {}
    for o in schedule.operations:
        for operand in o.operands:
            readers.setdefault(root_of(operand).id, []).append(o)
    kept = {s.id for s in _read_without_operation(schedule)}
    for o in reversed(schedule.within(Region.BEFORE)):
        users = readers.get(o.value.id, [])
        if (
            o.value.op in CHEAP
            and o.value.id not in kept
            and users
            and all(u.region is Region.STEP and _fusable(u) and o.value in u.value.inputs for u in users)
            and _fusable(o)
        ):
            o.region = Region.STEP


def _fusable(o: Operation) -> bool:
    """Whether a kernel can compute it: rows of numbers of one floating dtype, side by side."""
    s = o.value
    if o.slot is not None or s.op not in POINTWISE or s.ndim != 2:
        return False
    floats = {i.dtype for i in (s, *s.symbols) if i.dtype.kind == "f"}
    if len(floats) != 1 or any(i.dtype.kind not in "fb" for i in (s, *s.symbols)):
        return False
    for i in s.symbols:
        if i.is_row and (i.ndim != 2 or i.width not in (1, s.width)):
            return False
        if not i.is_row and (i.level > Level.PARAMETER or i.ndim > 2 or (i.ndim == 2 and i.shape[0] != 1)):
            return False
    return True


def _ordered(operations: Iterable[Operation], groups: list[Group]) -> list[Operation]:
    """Heavy operations as soon as they can run, and between them whatever is ready of one width."""
    todo = [o for o in operations if o.slot is None]
    last = [o for o in operations if o.slot is not None]
    waiting = {o.value.id for o in todo}
    out: list[Operation] = []

    def ready(o: Operation) -> bool:
        return not any(root_of(i).id in waiting for i in o.operands)

    def run(o: Operation) -> None:
        out.append(o)
        todo.remove(o)
        waiting.discard(o.value.id)

    while todo:
        heavy = [o for o in todo if not _fusable(o) and ready(o)]
        for o in heavy:
            run(o)
        if heavy:
            continue
        first = max((o for o in todo if ready(o)), key=lambda o: o.value.width)
        group = Group(first.region, first.value.width)
        dtype = None
        grown = True
        while grown:
            grown = False
            for o in list(todo):
                if _fusable(o) and o.value.width == group.width and ready(o):
                    group.operations.append(o)
                    if dtype is None:
                        dtype = group.dtype
                    if group.dtype != dtype or Group(o.region, 0, [o]).dtype != dtype:
                        group.operations.pop()
                        continue
                    run(o)
                    grown = True
        groups.append(group)
    return out + last
