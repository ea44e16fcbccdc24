"""Contiguous windows: the streams go on from batch to batch, and no id is lost silently."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import ContiguousWindows
from tinyseq.errors import ConfigError, DataError


@given(batch=st.integers(1, 5), window=st.integers(1, 6), extra=st.integers(1, 60))
def test_rows_are_streams_and_every_id_is_a_target_once(batch: int, window: int, extra: int) -> None:
    ids = np.arange(100, 100 + batch + extra)
    windows = ContiguousWindows(ids, batch, window)
    pairs = list(windows)
    assert len(pairs) == len(windows)
    assert [x.lengths for x, _ in pairs[:-1]] == [(window,) * batch] * (len(pairs) - 1)
    assert 1 <= pairs[-1][0].lengths[0] <= window
    streams = np.concatenate([x.to_padded().numpy() for x, _ in pairs], axis=1)
    targets = np.concatenate([y.to_padded().numpy() for _, y in pairs], axis=1)
    assert np.array_equal(targets, streams + 1)
    assert np.array_equal(np.diff(streams, axis=1), np.ones((batch, streams.shape[1] - 1)))
    assert 0 <= windows.dropped < batch
    assert np.array_equal(np.sort(targets.ravel()), ids[1 : len(ids) - windows.dropped])
    assert windows.tokens == targets.size


def test_one_window_can_be_asked_for() -> None:
    windows = ContiguousWindows(np.arange(50), 2, 5)
    for k, (x, y) in enumerate(windows):
        assert np.array_equal(windows[k][0].data.numpy(), x.data.numpy())
        assert np.array_equal(windows[k][1].data.numpy(), y.data.numpy())
    for k in (-1, len(windows)):
        with pytest.raises(IndexError, match=f"no window {k}; there are 5"):
            windows[k]


def test_ids_keep_their_values_on_each_backend(backend: str) -> None:
    x, y = ContiguousWindows(np.array([5, 6, 7, 8, 9]), 2, 8)[0]
    assert x.to_padded().numpy().tolist() == [[5, 6], [7, 8]]
    assert y.to_padded().numpy().tolist() == [[6, 7], [8, 9]]
    assert x.id_range == (5, 8)


def test_unusable_ids_and_sizes() -> None:
    with pytest.raises(DataError, match="4 ids are too few for 4 streams, which need 5 or more"):
        ContiguousWindows(np.arange(4), 4, 2)
    with pytest.raises(DataError, match=r"not float64 of shape \(3,\)"):
        ContiguousWindows(np.ones(3), 1, 2)
    with pytest.raises(DataError, match=r"not int64 of shape \(2, 3\)"):
        ContiguousWindows(np.ones((2, 3), np.int64), 1, 2)
    for batch, window in ((0, 1), (1, 0)):
        with pytest.raises(ConfigError, match=r"(batch_size|window) is a whole number, 1 or more, not"):
            ContiguousWindows(np.arange(9), batch, window)
