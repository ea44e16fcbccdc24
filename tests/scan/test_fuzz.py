"""Random steps, compiled, equal the same steps on the tape. More seeds: python -m tests.scan.fuzz."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.scan import fuzz
from tinyseq.scan.emitters.numba import products
from tinyseq.scan.emitters.numba.kernels import load_kernels


@pytest.mark.parametrize("first", range(0, 300, 30))
def test_compiled_equals_eager(first: int) -> None:
    for seed in range(first, first + 30):
        found = fuzz.errors(fuzz.case(seed))
        wrong = {name: error for name, error in found.items() if not error < fuzz.TOLERANCE}
        assert not wrong, f"seed {seed}: {wrong}\n{fuzz.case(seed).source}"


FAILED_ONCE = [
    1018,  # a kernel overwrote the one column that its later columns still had to read
    5259,  # one element of a parameter was taken for as many as there are columns
    7687,  # and that where there is no column, before the loop along a row
]


@pytest.mark.parametrize(
    "seeds",
    [*(range(first, first + 30) for first in range(0, 300, 30)), FAILED_ONCE],
    ids=lambda s: str(s[0]),
)
def test_kernels_equal_eager(seeds: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The numba emitter's kernels, run as Python: what they say is tested here, numba in test_kernels.py."""
    numba = pytest.importorskip("numba")
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    monkeypatch.setattr(products, "LEAST_ROWS", 0)
    load_kernels.cache_clear()
    products.packed.cache_clear()
    try:
        for seed in seeds:
            case = fuzz.case(seed)
            case.options.emitter = "numba"
            with np.errstate(all="ignore"):
                found = fuzz.errors(case)
            wrong = {name: error for name, error in found.items() if not error < fuzz.TOLERANCE}
            assert not wrong, f"seed {seed}: {wrong}\n{case.source}"
    finally:
        load_kernels.cache_clear()
        products.packed.cache_clear()


def test_on_every_backend(backend: str) -> None:
    for seed in range(12):
        assert max(fuzz.errors(fuzz.case(seed)).values()) < 1e-10


def test_in_float32() -> None:
    for seed in range(30):
        assert max(fuzz.errors(fuzz.case(seed), np.float32).values()) < 2e-4
