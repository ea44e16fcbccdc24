"""Products with a packed matrix: tiles and remainders of every size, and when BLAS is used instead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

numba = pytest.importorskip("numba")

from tinyseq.scan.emitters.numba import products  # noqa: E402
from tinyseq.scan.emitters.numba.products import (  # noqa: E402
    BLAS,
    LEAST_ROWS,
    MOST_OPERATIONS,
    packed,
    packing_pays,
    shares_of,
)
from tinyseq.scan.emitters.numba.tiles import TALL, panel_width  # noqa: E402


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(data=st.data())
def test_equals_matmul(dtype: str, data: st.DataObject) -> None:
    """Rows and results may be columns of wider arrays, and the matrix may be seen transposed."""
    wide = panel_width(dtype)
    count = data.draw(st.integers(1, 2 * TALL + 3))
    depth = data.draw(st.integers(1, 20))
    width = data.draw(st.one_of(st.integers(1, 2 * wide), st.integers(3 * wide, 6 * wide)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    rows = rng.normal(size=(count, depth + 3))[:, 1 : depth + 1].astype(dtype)
    if data.draw(st.booleans()):
        rows = np.concatenate([rows, rows], axis=1)[:, :depth]
    matrix = rng.normal(size=(width, depth)).astype(dtype).T
    if data.draw(st.booleans()):
        matrix = np.ascontiguousarray(matrix)
    around = np.full((count + 2, width + 2), 7, dtype)
    ways = packed(dtype)
    ways.product(rows, ways.pack(matrix), around[1:-1, 1:-1])
    exact = rows.astype("float64") @ matrix.astype("float64")
    bound = 4 * depth * np.finfo(dtype).eps * (np.abs(rows) @ np.abs(matrix)).max()
    assert np.abs(around[1:-1, 1:-1] - exact).max() <= bound
    around[1:-1, 1:-1] = 7
    assert (around == 7).all()  # nothing was written beside the result


def test_nan_stays_in_its_row() -> None:
    ways = packed("float32")
    rows, matrix, out = np.ones((5, 4), "f"), np.ones((4, 2 * panel_width("float32")), "f"), None
    rows[2, 1] = np.nan
    out = np.empty((5, matrix.shape[1]), "f")
    ways.product(rows, ways.pack(matrix), out)
    assert np.isnan(out[2]).all()
    assert (np.delete(out, 2, axis=0) == 4).all()


@pytest.mark.parametrize("count", [1, 2])
def test_packing_pays_unless_blas_has_more_threads_or_there_is_too_little(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "threads", lambda: count)
    assert packing_pays(10 * MOST_OPERATIONS, LEAST_ROWS, shares=1) is (count == 1)
    assert packing_pays(10 * MOST_OPERATIONS, LEAST_ROWS, shares=count)
    assert packing_pays(MOST_OPERATIONS, LEAST_ROWS, shares=1)
    assert not packing_pays(1, LEAST_ROWS - 1, shares=1)


def test_a_thread_more_is_taken_where_there_is_enough_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "threads", lambda: 4)
    assert shares_of(rows=10, batch=10, operations=1000) == 1
    assert shares_of(rows=10**6, batch=3, operations=1000) == 3  # a sequence is not divided
    assert shares_of(rows=10**6, batch=100, operations=1000) == 4


def test_blas_multiplies_where_kernels_run_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    packed.cache_clear()
    assert packed("float32") is BLAS
    packed.cache_clear()
