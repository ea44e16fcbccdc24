"""Where every row lives. All decisions about sharing memory are made here, and nowhere else.

A place is an interval of columns in a store. Rows of different steps never share memory (except in the
stores of one step, whose rows are used within the step), so lifetimes are counted in the order of operations
alone.
"""

from collections.abc import Sequence
from itertools import chain, count, pairwise

from tinyseq.backend.symbols import POINTWISE, Symbol
from tinyseq.scan.graph import ancestors, columns_of, is_view, root_of
from tinyseq.scan.memory.places import Kind, Place, Store
from tinyseq.scan.passes.fuse import Group
from tinyseq.scan.passes.partition import Operation, Region, Schedule

FOREVER = 1 << 60


class Storage:
    """The places of all rows of a schedule. `inner`: ids of values that need none (kept in registers)."""

    def __init__(
        self,
        schedule: Schedule,
        inner: frozenset[int] = frozenset(),
        groups: Sequence[Group] = (),
        *,
        reuse: bool = True,
    ) -> None:
        self.schedule, self.inner, self.reuse = schedule, inner, reuse
        self.together = {o.at: g.operations for g in groups for o in g.operations}
        self.totals = {s.id for g in groups for s in g.totals}  # summed up by kernels, in registers
        self.stores: list[Store] = []
        self.places: dict[int, Place] = {}
        self.work = {o.value.id: o for o in schedule.operations if o.slot is None}
        self.results = self._results()
        self._count_uses()
        self._place_leaves()
        self._reserve_rows_of_parts()
        for operation in schedule.operations:
            if operation.slot is None and operation.value.id not in inner:
                self._place(operation)

    # --- lifetimes

    def _results(self) -> dict[int, Symbol]:
        traced = self.schedule.traced
        return {s.id: s for s in [*traced.outputs, *traced.d_inputs] if s is not None}

    def _count_uses(self) -> None:
        """For every root: which of its columns are read, and when; and the regions that read it."""
        self.reads: dict[int, list[tuple[int, int, int]]] = {}
        self.regions: dict[int, set[Region]] = {}
        self.begin = {id_: o.at for id_, o in self.work.items()}

        def read(symbol: Symbol, at: int, region: Region | None) -> None:
            root, start, stop = _span(symbol)
            self.reads.setdefault(root.id, []).append((start, stop, at))
            if region is not None:
                self.regions.setdefault(root.id, set()).add(region)

        for operation in self.schedule.operations:
            for operand in operation.operands:
                read(operand, operation.at, operation.region)
            if operation.slot is None:  # a sum over rows reads transposed rows
                for s in operation.value.symbols:
                    if s.op == "transpose" and not s.is_row and s.inputs[0].is_row:
                        read(s.inputs[0], operation.at, operation.region)
        for symbol in _read_by_reductions(self.schedule, self.totals):
            read(symbol, FOREVER, Region.REST)
        for symbol in self.results.values():
            read(symbol, FOREVER, None)

    def _last(self, symbol: Symbol, start: int = 0, stop: int = FOREVER) -> int:
        """The last time that columns start..stop of a root are read."""
        return max([at for a, b, at in self.reads.get(symbol.id, ()) if a < stop and start < b], default=-1)

    def _is_free(self, place: Place, writer: Operation, *, over: bool = False) -> bool:
        """Whether nothing else needs these columns from when `writer` fills them to when they are last read.

        With `over`, the writer may read the very elements that it overwrites. The operations of a kernel run
        together, column by column: what one of them reads is needed until all of them are done.
        """
        begin, end = writer.at, self._last(writer.value)
        together = min(o.at for o in self._beside(writer))
        for other in place.store.values:
            at = self.places[other.id]
            if not place.overlaps(at):
                continue
            last = self._last(other, place.start - at.start, place.stop - at.start)
            if self.begin.get(other.id, -1) > end:
                continue
            if last > begin or self.begin.get(other.id, -1) >= begin:
                return False
            if last >= together and not (over and self._reads_in_step(writer, place)):
                return False
        return True

    def _beside(self, operation: Operation) -> Sequence[Operation]:
        """The operations of the same kernel, or the operation alone."""
        return self.together.get(operation.at, [operation])

    def _reads_in_step(self, reader: Operation, place: Place) -> bool:
        """Whether whatever the operation, or its group, reads of these elements, it reads where it writes."""
        for operation in self._beside(reader):
            for operand in operation.operands:
                at = self.place(operand) if self._has_place(operand) else None
                aligned = at == place and operand.shape == reader.value.shape
                if at is not None and at.overlaps(place) and not aligned:
                    return False
        return True

    # --- places

    def _new_store(self, name: str, kind: Kind, like: Symbol, region: Region | None = None) -> Store:
        taken = {s.name for s in self.stores}
        unique = next(n for n in chain([name], (f"{name}_{k}" for k in count(2))) if n not in taken)
        store = Store(unique, kind, like.width, like.dtype, region)
        self.stores.append(store)
        return store

    def _settle(self, symbol: Symbol, place: Place) -> None:
        self.places[symbol.id] = place
        place.store.values.append(symbol)

    def _has_place(self, symbol: Symbol) -> bool:
        return root_of(symbol).id in self.places

    def place(self, symbol: Symbol) -> Place:
        """The place of a row: its own, or for a view the part of its root's."""
        root, start, stop = _span(symbol)
        whole = self.places[root.id]
        return whole if (start, stop) == (0, root.width) else whole.part(start, stop)

    def _place_leaves(self) -> None:
        traced = self.schedule.traced
        for s in traced.inputs + traced.d_outputs:
            self._settle(s, Place(self._new_store(s.name, Kind.GIVEN, s), 0, s.width))
        self.state_stores: list[Store] = []
        for before, after in zip(traced.states, traced.new_states, strict=True):
            name = before.name.removesuffix("_prev")
            store = self._new_store(name, Kind.STATE, before)
            self.state_stores.append(store)
            self.places[before.id] = Place(store, 0, store.width, before=True)
            operation = self.work.get(after.id)
            if operation is not None and operation.region is Region.STEP and after.id not in self.places:
                self._settle(after, Place(store, 0, store.width))
        self.carry_stores: list[Store] = []
        for cotangent, gradient in zip(traced.d_new_states, traced.d_states, strict=True):
            store = self._new_store(cotangent.name, Kind.CARRY, cotangent)
            self.carry_stores.append(store)
            self.places[cotangent.id] = Place(store, 0, store.width, before=True)
            operation = self.work.get(gradient.id) if gradient is not None else None
            if (
                gradient is not None
                and operation is not None
                and operation.region is Region.BACK_STEP
                and gradient.id not in self.places
                and self._kind(operation) is Kind.STEP
            ):
                self._settle(gradient, Place(store, 0, store.width))

    def _kind(self, operation: Operation) -> Kind:
        """The store that a value needs, from who reads it."""
        region, value = operation.region, operation.value
        elsewhere = self.regions.get(value.id, set()) - {region}
        if value.id in self.results and not (region.in_loop or self._is_sliced(value)):
            return Kind.RESULT
        if not region.in_loop or elsewhere or self._is_result(value):
            return Kind.SEQUENCE
        return Kind.STEP

    def _is_sliced(self, value: Symbol) -> bool:
        """Whether a loop reads it."""
        return any(region.in_loop for region in self.regions.get(value.id, ()))

    def _is_result(self, value: Symbol) -> bool:
        return any(root_of(s) is value for s in self.results.values())

    def _reserve_rows_of_parts(self) -> None:
        """A concatenation's parts are computed straight into their columns, where they can be.

        The widest come first: what is joined in them may be joined elsewhere too, and then stands there.
        """
        joining = [
            o
            for o in self.schedule.operations
            if o.slot is None and o.value.op == "concatenate" and o.value.ndim == 2
        ]
        joining.sort(key=lambda o: (-o.value.width, not o.region.in_loop, -o.at))
        planned: dict[int, Place] = {}
        for operation in joining:
            row = operation.value
            if row.id in self.places or not self.reuse:
                continue
            kind = self._kind(operation)
            place = planned.get(row.id) or self._side_by_side(row, kind)
            if place is None:
                place = Place(self._new_store(row.name or "row", kind, row, operation.region), 0, row.width)
                if kind is Kind.SEQUENCE:
                    free = [o for o in joining if o.value.id not in self.places and o is not operation]
                    place = self._sharing(row, place, free, planned)
            start, written = 0, []
            for part in row.symbols:
                own = self.work.get(part.id)
                slot = place.part(start, start + part.width)
                if own is not None and self._has_place(part) and self.place(part) == slot:
                    written.append(own.at)
                elif own is not None and self._may_be_part(part, own, operation, kind):
                    self._settle(part, slot)
                    written.append(own.at)
                start += part.width
            self.begin[row.id] = min([operation.at, *written])
            self._settle(row, place)

    def _sharing(
        self, row: Symbol, place: Place, others: list[Operation], planned: dict[int, Place]
    ) -> Place:
        """The place of a row in its new store, made wide enough for another that begins as this one ends."""
        for operation in others:
            other = operation.value
            if self._kind(operation) is not Kind.SEQUENCE or other.dtype != row.dtype or other.id in planned:
                continue
            for left, right in ((row, other), (other, row)):
                shared = _shared_width(left, right)
                if shared:
                    store = place.store
                    store.width = left.width + right.width - shared
                    planned[left.id] = Place(store, 0, left.width)
                    planned[right.id] = Place(store, left.width - shared, store.width)
                    return planned[row.id]
        return place

    def _may_be_part(self, part: Symbol, own: Operation, whole: Operation, kind: Kind) -> bool:
        """Whether `part`, computed by `own`, can be computed straight into its columns of `whole`."""
        early = own.region.in_loop and kind is Kind.SEQUENCE and own.region < whole.region
        return (
            (own.region is whole.region or (early and own.region.is_forward == whole.region.is_forward))
            and part.id not in self.places
            and part.dtype == whole.value.dtype
            and (kind is not Kind.STEP or self._kind(own) is Kind.STEP)
            and self._kind(own) is not Kind.RESULT
            and not (kind is Kind.RESULT and self._is_sliced(part))
        )

    def _side_by_side(self, row: Symbol, kind: Kind) -> Place | None:
        """Where the parts of a row stand side by side already, in their order; None where they do not."""
        if kind is Kind.RESULT or not all(part.is_row and self._has_place(part) for part in row.symbols):
            return None
        places = [self.place(part) for part in row.symbols]
        joined = all(a.store is b.store and a.stop == b.start for a, b in pairwise(places))
        first = places[0]
        if not joined or first.store.kind is not Kind.SEQUENCE or first.store.dtype != row.dtype:
            return None
        return Place(first.store, first.start, places[-1].stop)

    def _place(self, operation: Operation) -> None:
        value = operation.value
        if value.id in self.places:
            return
        kind = self._kind(operation)
        if self.reuse and kind is not Kind.RESULT:
            found = self._over_an_operand(operation, kind) or self._in_a_used_store(operation, kind)
            if found is not None:
                self._settle(value, found)
                return
        region = operation.region if kind in (Kind.STEP, Kind.RESULT) else None
        store = self._new_store(value.name or _SHORT.get(value.op, "t"), kind, value, region)
        self._settle(value, Place(store, 0, value.width))

    def _over_an_operand(self, operation: Operation, kind: Kind) -> Place | None:
        value = operation.value
        if value.op not in POINTWISE:
            return None
        read = {s.id: s for o in self._beside(operation) if o.at <= operation.at for s in o.operands}
        for operand in read.values():
            if operand.shape != value.shape or operand.dtype != value.dtype or not self._has_place(operand):
                continue
            place = self.place(operand)
            own = place.store.kind
            saved = root_of(operand).id in self.schedule.forward and not operation.region.is_forward
            if saved or own not in (Kind.SEQUENCE, Kind.STEP) or (kind is Kind.SEQUENCE and own is Kind.STEP):
                continue
            if own is Kind.STEP and place.store.region is not operation.region:
                continue
            if self._is_free(place, operation, over=True):
                return place
        return None

    def _in_a_used_store(self, operation: Operation, kind: Kind) -> Place | None:
        value = operation.value
        if kind is not Kind.STEP:
            return None
        for store in self.stores:
            if (store.kind, store.region, store.width, store.dtype) == (
                kind,
                operation.region,
                value.width,
                value.dtype,
            ):
                place = Place(store, 0, store.width)
                if self._is_free(place, operation):
                    return place
        return None


_SHORT = {"matmul": "product", "sum": "total", "concatenate": "row"}


def _span(symbol: Symbol) -> tuple[Symbol, int, int]:
    """The root of a row, and the elements of a row of it that the symbol shows."""
    if not is_view(symbol):
        return symbol, 0, symbol.width
    root, start, stop = _span(symbol.inputs[0])
    part = columns_of(symbol)
    return (root, start, stop) if part is None else (root, start + part[0], start + part[1])


def _shared_width(left: Symbol, right: Symbol) -> int:
    """How many columns the end of a concatenation and the beginning of another have in common."""
    for shared in range(min(len(left.symbols), len(right.symbols)), 0, -1):
        if left.symbols[-shared:] == right.symbols[:shared]:
            return sum(part.width for part in right.symbols[:shared])
    return 0


def _read_by_reductions(schedule: Schedule, totals: set[int]) -> list[Symbol]:
    """The rows that sums over all rows read: the gradients of parameters."""
    found: list[Symbol] = []
    for s in ancestors(schedule.traced.d_parameters):
        if not s.is_row and s.id not in totals:
            for i in s.symbols:
                if i.is_row and s.op != "transpose":
                    found.append(i)
                if i.op == "transpose" and i.inputs[0].is_row:
                    found.append(i.inputs[0])
    return found
