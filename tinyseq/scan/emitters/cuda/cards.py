"""GPUs, as far as the choice of a plan asks; and what was measured on one of them."""

from dataclasses import dataclass, field
from typing import Any

KIB = 1024
HAS_CLUSTERS = 9  # compute capability, major
PORTABLE = 8  # the largest cluster that every card with clusters can run


@dataclass(frozen=True)
class Card:
    """A GPU. shared: bytes a block may have; clusters: how many of each size (in blocks) run at once.

    measured: the best size of cluster for (units, rows), of an LSTM in float32.
    """

    name: str
    shared: int
    clusters: dict[int, int]
    measured: dict[tuple[int, int], int] = field(default_factory=dict, hash=False)

    def __hash__(self) -> int:
        return hash((self.name, self.shared, *self.clusters.items()))


def _table(rows: dict[int, str]) -> dict[tuple[int, int], int]:
    batches = (1, 8, 32, 64, 128, 256)
    return {(h, b): int(c) for h, text in rows.items() for b, c in zip(batches, text.split(), strict=True)}


H200 = Card(
    "NVIDIA H200",
    227 * KIB,
    {1: 132, 2: 66, 4: 30, 8: 15, 16: 7},
    _table(
        {
            64: "1 1 1 1 1 1",
            128: "8 4 2 2 2 2",
            256: "8 8 8 8 4 4",
            384: "16 16 16 8 8 8",
            512: "16 16 16 16 16 16",
            768: "16 16 16 8 8 8",
            1024: "16 16 16 16 16 16",
        }
    ),
)
CARDS = {card.name: card for card in (H200,)}


def card_of(library: Any) -> Card:
    """The GPU in use; one that was not measured is told by what its driver says."""
    device = library.cuda.Device()
    name = library.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    if name in CARDS:
        return CARDS[name]
    attributes = device.attributes
    processors = attributes["MultiProcessorCount"]
    shared = attributes.get("MaxSharedMemoryPerBlockOptin") or attributes["MaxSharedMemoryPerBlock"]
    return described(name, processors, shared, int(device.compute_capability[:-1]))


def described(name: str, processors: int, shared: int, major: int) -> Card:
    """A card that was not measured. One cluster in ten is left out, which may find no place beside others."""
    sizes = [2, 4, PORTABLE] if major >= HAS_CLUSTERS else []
    return Card(name, shared, {1: processors} | {c: max(1, 9 * processors // (10 * c)) for c in sizes})
