"""What each process gets of a batch: everything once, about as much as the others, in its place again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Sequences, Tensor
from tinyseq.data.pairs import PairBatch
from tinyseq.errors import ConfigError, ProcessError
from tinyseq.nn import Linear, Parameter
from tinyseq.processes import MPI, Team
from tinyseq.processes.gradients import sum_gradients
from tinyseq.processes.mpi import begun_by_launcher
from tinyseq.processes.shares import dealt, fingerprint, merged_rows, share_of


class Silent:
    """A process of two that is never answered by the other."""

    def __init__(self, rank):
        self.rank, self.size = rank, 2


@given(count=st.integers(0, 40), size=st.integers(1, 9))
def test_every_sequence_is_dealt_once_and_all_get_about_as_many(count, size):
    hands = [dealt(count, rank, size) for rank in range(size)]
    assert sorted(i for hand in hands for i in hand) == list(range(count))
    assert max(map(len, hands)) - min(map(len, hands)) <= 1
    assert all(hand == sorted(hand) for hand in hands)


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40).map(sorted), size=st.integers(2, 5))
def test_of_sequences_in_the_order_of_lengths_no_process_gets_much_more(lengths, size):
    steps = [sum(lengths[i] for i in dealt(len(lengths), rank, size)) for rank in range(size)]
    assert max(steps) - min(steps) <= 2 * max(lengths)


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=9), size=st.integers(1, 4))
def test_shares_hold_the_sequences_in_every_part_of_a_batch(lengths, size):
    rows = [np.arange(n * 2.0).reshape(n, 2) + 100 * i for i, n in enumerate(lengths)]
    ids = np.arange(len(rows))
    batch = Sequences.from_list(rows), (ids, Tensor(ids * 2.0)), list("abcdefghi")[: len(rows)]
    for rank in range(size):
        share, hand = share_of(batch, rank, size), dealt(len(rows), rank, size)
        if not hand:
            assert share is None
            continue
        xs, (numbers, doubled), letters = share
        for found, i in zip(xs.to_list(), hand, strict=True):
            np.testing.assert_array_equal(found.numpy(), rows[i])
        assert numbers.tolist() == hand
        assert doubled.numpy().tolist() == [2.0 * i for i in hand]
        assert letters == [batch[2][i] for i in hand]


@given(count=st.integers(0, 11), size=st.integers(1, 4))
def test_rows_of_shares_come_back_to_their_places(count, size):
    whole = [np.random.default_rng(0).normal(size=(count, 3)), np.arange(count)]
    hands = [dealt(count, rank, size) for rank in range(size)]
    found = merged_rows([[leaf[hand] for leaf in whole] if hand else [] for hand in hands], size)
    assert len(found) == (2 if count else 0)
    for leaf, wanted in zip(found, whole, strict=False):
        np.testing.assert_array_equal(leaf, wanted)


def test_a_named_tuple_stays_one():
    share = share_of(PairBatch(np.arange(4), np.arange(4)), 1, 2)
    assert isinstance(share, PairBatch)
    assert share.indices.tolist() == [1, 2]


@pytest.mark.parametrize("batch", [None, 3, (np.zeros((2, 3)), np.zeros(3)), (), {"xs": 1}])
def test_a_batch_that_cannot_be_shared_is_refused(batch):
    with pytest.raises(ConfigError, match="Processes share a batch by its sequences"):
        share_of(batch, 0, 2)


def test_batches_are_told_apart():
    xs = Sequences.from_list([[[1.0], [2.0]], [[3.0]]])
    batches = [
        (xs, [1, 2]),
        (xs, [1, 3]),
        (xs, np.array([1, 2])),
        (xs.with_data(xs.data + 1), [1, 2]),
        (Sequences.from_list([[[1.0]], [[3.0], [2.0]]]), [1, 2]),
        xs,
    ]
    assert len({fingerprint(batch) for batch in batches}) == len(batches)
    assert fingerprint((xs, [1, 2])) == fingerprint((xs.with_data(xs.data + 0), [1, 2]))


def test_one_process_alone_exchanges_nothing():
    team = Team()
    assert (team.rank, team.size, team.alone) == (0, 1, True)
    assert team.exchange("it") == ["it"]
    assert team.any(True, False) == (True, False)
    assert team.shares([3, None]) == [3, None]  # whatever an objective takes
    with pytest.raises(OSError, match="gone"), team.telling():  # and nobody is told
        raise OSError("gone")


def test_what_another_process_tells_is_raised_once():
    class Told(Silent):
        def allgather(self, value):
            self.asked = getattr(self, "asked", 0) + 1
            return [value, *Told.failure]

    class Failing(Told):
        def allgather(self, value):
            Told.failure = [value]  # what this one tells
            return [None, value]

    with pytest.raises(OSError, match="gone"), Team(Failing(1)).telling():
        raise OSError("gone")
    other = Told(0)
    team = Team(other)
    with (
        pytest.raises(ProcessError, match=r"rank 1 \(process \d+ on .*\) stopped: OSError: gone"),
        team.telling(),
    ):
        team.exchange(1)
    assert other.asked == 1


@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_a_launcher_is_noticed(monkeypatch, name):
    for variable in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "MPI_LOCALNRANKS"):
        monkeypatch.delenv(variable, raising=False)
    assert not begun_by_launcher()
    monkeypatch.setenv(name, "1")
    assert not begun_by_launcher()
    monkeypatch.setenv(name, "4")
    assert begun_by_launcher()


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mpi4py", None)
    with pytest.raises(ConfigError, match=r"pip install 'tinyseq\[mpi\]'"):
        MPI()


class Doubling(Silent):
    """A process of two, whose other has the same gradients."""

    def sum(self, array):
        assert isinstance(array, np.ndarray)  # whatever the backend, in host memory
        assert array.ctypes.data % 64 == 0
        return array * 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_are_added_up_on_every_backend(backend, dtype):
    model = Linear(3, 5).to(dtype)
    model.frozen, model.unused = Parameter(np.ones(2)), Parameter(np.ones(3))
    model.frozen.requires_grad = False
    xs = Sequences.from_list([np.arange(6.0).reshape(2, 3), np.ones((1, 3))]).select([1, 0, 1])
    (model(xs.data.astype(dtype)) ** 2).sum().backward()
    before = {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}
    assert set(before) == {"weight", "bias"}
    sum_gradients(model, Doubling(0), 0.5)
    for name, parameter in model.named_parameters():
        if name not in before:
            assert parameter.grad is None
            continue
        assert type(parameter.grad.data) is type(parameter.data)
        assert parameter.grad.dtype == parameter.dtype
        np.testing.assert_array_equal(parameter.grad.numpy(), before[name])
