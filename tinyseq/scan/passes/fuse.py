"""Which operations become one kernel: as many as can run between two matrix products.

A kernel goes through its rows one by one, and through the columns of each row in one loop or several. Where a
sum of a row is needed to go on (a mean, say), its next loop begins: a new phase.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from tinyseq.backend.symbols import POINTWISE, Level, Symbol
from tinyseq.scan.graph import ancestors, is_view, root_of
from tinyseq.scan.passes.partition import Operation, Region, Schedule

CHEAP = ("add", "subtract", "multiply", "negative")


@dataclass(eq=False)
class Group:
    """Operations on rows of one width and one floating dtype, to be computed together row by row.

    Beside those on all columns there may be sums of rows, and operations on one number for each row.
    """

    region: Region
    width: int
    operations: list[Operation] = field(default_factory=list)
    phases: dict[int, int] = field(default_factory=dict)  # by id of value; -1: before the first loop
    totals: list[Symbol] = field(default_factory=list)  # sums over all rows of values computed here

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The floating dtype."""
        values = [s for o in self.operations for s in (o.value, *o.value.symbols)]
        return next(s.dtype for s in values if s.dtype.kind == "f")

    def takes(self, o: Operation) -> bool:
        """Whether an operation may join: one of this width, or on one number for each row."""
        return is_fusable(o) and width_of(o.value) in (1, self.width)

    def add(self, o: Operation) -> None:
        """Take an operation in whose operands are computed."""
        self.operations.append(o)
        self.phases[o.value.id] = self._phase(o.value)

    def in_loop(self, s: Symbol) -> bool:
        """Whether a value is computed column by column; if not, it is one number for each row."""
        return width_of(s) == self.width

    def _phase(self, s: Symbol) -> int:
        phase = 0 if self.in_loop(s) else -1
        for i in s.symbols:
            root = root_of(i)
            if root.id in self.phases:
                # All of a row's sum, or another column, is there when the loop that computes it is over.
                waits = self.in_loop(s) and (is_view(i) or root.width != self.width)
                phase = max(phase, self.phases[root.id] + waits)
        return phase

    def by_phase(self) -> None:
        """Put the operations in the order in which the kernel runs them."""
        self.operations.sort(key=lambda o: (self.phases[o.value.id], not self.in_loop(o.value)))


def width_of(s: Symbol) -> int:
    """How many columns an operation goes through."""
    return s.inputs[0].width if s.op == "sum" else s.width


def fuse(schedule: Schedule) -> list[Group]:
    """The groups of a schedule, whose operations are put in an order that makes groups large."""
    _into_the_loop(schedule)
    groups: list[Group] = []
    ordered: list[Operation] = []
    for region in Region:
        ordered += _ordered(schedule.within(region), groups)
    schedule.operations = ordered
    schedule.number()
    _find_totals(schedule, groups)
    return groups


def inner_values(schedule: Schedule, groups: list[Group]) -> frozenset[int]:
    """Values that only their own group reads, at once: they live in registers."""
    home = {o.value.id: g for g in groups for o in g.operations}
    outer = {s.id for s in _read_without_operation(schedule, groups)}
    for o in schedule.operations:
        group = None if o.slot is not None else home.get(o.value.id)
        for operand in o.operands:
            if group is None or home.get(operand.id) is not group or not _is_at_hand(group, operand, o.value):
                outer.add(root_of(operand).id)
    return frozenset(set(home) - outer)


def _is_at_hand(group: Group, operand: Symbol, user: Symbol) -> bool:
    """Whether a value is still in a register when `user` needs it."""
    same = group.phases[operand.id] == group.phases[user.id]
    return not is_view(operand) and (same or operand.width != group.width)


def _find_totals(schedule: Schedule, groups: list[Group]) -> None:
    """Give sums over all rows to the groups that compute what is summed: gradients of biases, say."""
    home = {o.value.id: g for g in groups for o in g.operations}
    for s in ancestors(schedule.traced.d_parameters):
        if s.op == "sum" and s.static == {"axis": (0,), "keepdims": False} and s.inputs[0].id in home:
            group = home[s.inputs[0].id]
            if group.region in (Region.BACK_STEP, Region.REST) and group.in_loop(s.inputs[0]):
                group.totals.append(s)


def _read_without_operation(schedule: Schedule, groups: Iterable[Group] = ()) -> list[Symbol]:
    """Rows that are results, or that sums over rows read."""
    traced = schedule.traced
    found = [
        s for s in (*traced.outputs, *traced.new_states, *traced.d_inputs, *traced.d_states) if s is not None
    ]
    summed = {s.id for g in groups for s in g.totals}
    for s in ancestors(traced.d_parameters):
        found += [i for i in s.symbols if i.is_row and not s.is_row and s.id not in summed]
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
            and all(u.region is Region.STEP and is_fusable(u) and o.value in u.value.inputs for u in users)
            and is_fusable(o)
        ):
            o.region = Region.STEP


def is_fusable(o: Operation) -> bool:
    """Whether a kernel can compute it: rows of numbers of one floating dtype, side by side."""
    s = o.value
    if o.slot is not None or s.ndim != 2 or (s.op not in POINTWISE and not _is_sum_of_rows(s)):
        return False
    floats = {i.dtype for i in (s, *s.symbols) if i.dtype.kind == "f"}
    if len(floats) != 1 or any(i.dtype.kind not in "fb" for i in (s, *s.symbols)):
        return False
    for i in s.symbols:
        if i.is_row and (i.ndim != 2 or i.width not in (1, width_of(s))):
            return False
        if not i.is_row and (i.level > Level.PARAMETER or i.ndim > 2 or (i.ndim == 2 and i.shape[0] != 1)):
            return False
    return True


def _is_sum_of_rows(s: Symbol) -> bool:
    return s.op == "sum" and s.static == {"axis": (1,), "keepdims": True} and s.inputs[0].ndim == 2


def _ordered(operations: Iterable[Operation], groups: list[Group]) -> list[Operation]:
    """Heavy operations as soon as they can run, and between them whatever is ready and goes together."""
    todo = [o for o in operations if o.slot is None]
    last = [o for o in operations if o.slot is not None]
    waiting = {o.value.id for o in todo}
    out: list[Operation] = []

    def ready(o: Operation) -> bool:
        return not any(root_of(i).id in waiting for i in o.operands)

    def run(o: Operation) -> None:
        todo.remove(o)
        waiting.discard(o.value.id)

    while todo:
        heavy = [o for o in todo if not is_fusable(o) and ready(o)]
        for o in heavy:
            out.append(o)
            run(o)
        if heavy:
            continue
        first = max((o for o in todo if ready(o)), key=lambda o: width_of(o.value))
        group = Group(first.region, width_of(first.value))
        dtype = Group(first.region, 0, [first]).dtype
        grown = True
        while grown:
            grown = False
            for o in list(todo):
                if group.takes(o) and ready(o) and Group(o.region, 0, [o]).dtype == dtype:
                    group.add(o)
                    run(o)
                    grown = True
        group.by_phase()
        out += group.operations
        groups.append(group)
    return out + last
