"""IDX arrays: every dtype and shape comes back; whatever is cut or forged is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyseq.data import read_idx
from tinyseq.data.images import DTYPES
from tinyseq.errors import DataError


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx") / "images"


def idx(array: np.ndarray, code: int) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(DTYPES[code]).tobytes()


@given(
    shape=hnp.array_shapes(max_dims=3, max_side=4),
    code=st.sampled_from(sorted(DTYPES)),
    seed=st.integers(0, 999),
)
def test_round_trip(path: Path, shape: tuple[int, ...], code: int, seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 100, shape).astype(DTYPES[code])
    path.write_bytes(idx(array, code))
    read = read_idx(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == np.dtype(DTYPES[code]).newbyteorder("=")


@given(keep=st.integers(0, 19), extra=st.booleans())
def test_files_of_another_length_than_the_header_says(path: Path, keep: int, extra: bool) -> None:
    whole = idx(np.arange(8), 0x08) + b"and more"
    path.write_bytes(whole[:keep] if not extra else whole)
    if keep == 16 and not extra:
        assert read_idx(path).tolist() == list(range(8))
    else:
        with pytest.raises(DataError, match=r"is no IDX file|is damaged: its header promises an array"):
            read_idx(path)


@pytest.mark.parametrize("chunk", [1, 4, 8, 100])
def test_large_files_are_read_in_parts(path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr("tinyseq.data.images.CHUNK", chunk)
    path.write_bytes(idx(np.arange(8), 0x08))
    assert read_idx(path).tolist() == list(range(8))
    path.write_bytes(idx(np.arange(8), 0x08) + b"!")
    with pytest.raises(DataError, match="8 bytes, and it holds more"):
        read_idx(path)


def test_a_header_may_promise_anything(path: Path) -> None:
    path.write_bytes(bytes([0, 0, 0x0E, 8]) + b"\xff" * 32 + b"nothing")
    with pytest.raises(DataError, match=r"is damaged: .* it holds 7"):
        read_idx(path)
    path.write_bytes(b"\x89PNG....")
    with pytest.raises(DataError, match=r"is no IDX file: it begins with the bytes 89 50 4e 47"):
        read_idx(path)
