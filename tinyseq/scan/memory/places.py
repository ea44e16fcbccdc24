"""Where a row can live: columns of a store, which has memory for one step or for all of them."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tinyseq.backend.symbols import Symbol
from tinyseq.scan.passes.partition import Region


class Kind(Enum):
    """How many rows a store has, and who owns it. B: sequences, N: steps of all sequences."""

    GIVEN = "N rows, the caller's: inputs and cotangents of outputs"
    SEQUENCE = "N rows"
    RESULT = "N rows, new for every run: handed to the caller"
    STATE = "B + N rows: the initial states, then those after each step"
    CARRY = "2 x B rows: what a step reads and what it leaves for the next, by turns"
    STEP = "B rows: used within a step"


@dataclass(eq=False)
class Store:
    """Memory for rows of one width."""

    name: str
    kind: Kind
    width: int
    dtype: Any
    region: Region | None = None  # of a STEP store
    values: list[Symbol] = field(default_factory=list)  # whatever has a place in it


@dataclass(frozen=True)
class Place:
    """The columns start..stop of a store; of a STATE or CARRY, the value before the step or after it."""

    store: Store
    start: int
    stop: int
    before: bool = False

    def part(self, start: int, stop: int) -> "Place":
        """Columns start..stop of this place."""
        return Place(self.store, self.start + start, self.start + stop, self.before)

    def overlaps(self, other: "Place") -> bool:
        """Whether they share an element."""
        return self.store is other.store and self.start < other.stop and other.start < self.stop


# What a loop variable shows: (place, shape of a row).
Key = tuple[Place, tuple[int, ...]]
