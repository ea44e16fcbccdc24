"""Loops and products with several threads: the same numbers as with one, and the same every time."""

import os
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.backend import threads as in_threads
from tinyseq.backend.threads import together
from tinyseq.nn import Parameter
from tinyseq.ops import sigmoid, tanh
from tinyseq.scan.emitters.numba import products
from tinyseq.scan.memory.workspace import rows_of

LENGTHS = st.lists(st.integers(1, 9), min_size=2, max_size=12)


@given(lengths=LENGTHS, count=st.integers(1, 5), reverse=st.booleans())
def test_shares_hold_every_sequence_once_and_are_about_equal(
    lengths: list[int], count: int, reverse: bool
) -> None:
    layout = Sequences.from_list([np.zeros((n, 1)) for n in lengths]).layout
    shares = rows_of(layout.sizes, reverse).shares(count)
    ordered = sorted(lengths, reverse=True)
    assert [i for start, stop in shares for i in range(start, stop)] == list(range(len(lengths)))
    steps = [sum(ordered[start:stop]) for start, stop in shares]
    assert len(shares) <= count
    assert max(steps) <= sum(lengths) / count + ordered[0]


@pytest.mark.parametrize(("said", "wanted"), [(None, 2), ("5", 5)])
def test_processes_of_one_machine_share_its_cores(
    monkeypatch: pytest.MonkeyPatch, said: str | None, wanted: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", said or "")
    blas_threads: list[int] = []
    monkeypatch.setattr(in_threads.blas, "set", blas_threads.append)
    in_threads.threads.cache_clear()
    try:
        in_threads.share_cores(4)
        assert in_threads.threads() == wanted
        assert blas_threads == [wanted]
    finally:
        monkeypatch.undo()
        in_threads.threads.cache_clear()


def test_tasks_run_together_and_the_first_here() -> None:
    barrier, names = threading.Barrier(2, timeout=30), []

    def task() -> None:
        barrier.wait()
        names.append(threading.current_thread().name)

    together([task, task])
    assert threading.current_thread().name in names
    assert len(set(names)) == 2


def test_an_error_in_a_thread_arrives_after_all_have_ended() -> None:
    ended = threading.Event()

    def fails() -> None:
        raise ValueError("of a task")

    with pytest.raises(ValueError, match="of a task"):
        together([fails, ended.set])
    assert ended.is_set()
    with pytest.raises(ValueError, match="of a task"):
        together([ended.set, fails])


@pytest.mark.skipif(
    not hasattr(os, "fork") or sys.platform == "darwin", reason="processes are not forked here"
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_makes_threads_of_its_own() -> None:
    together([lambda: None, lambda: None])
    child = os.fork()
    if child == 0:
        together([lambda: None, lambda: None])
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.fixture(scope="module")
def cell() -> tuple[dict[str, Parameter], object]:
    """A step with a product, sums over rows for its gradients, and two states."""
    rng = np.random.default_rng(0)
    shapes = {"w": (3, 8), "u": (8, 8), "b": (8,), "v": (8, 8)}
    p = {name: Parameter(rng.normal(size=shape) * 0.4, dtype=np.float64) for name, shape in shapes.items()}

    def step(x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        f = sigmoid(x @ p["w"] + h @ p["u"] + p["b"])
        c = f * c + (1 - f) * tanh(h @ p["v"] + p["b"])
        return f * tanh(c), (f * tanh(c), c)

    return p, step


@pytest.mark.parametrize("reverse", [False, True])
@given(lengths=LENGTHS, seed=st.integers(0, 2**32 - 1))
def test_threads_change_no_number(cell: object, reverse: bool, lengths: list[int], seed: int) -> None:
    """Values are the same to the last bit; sums over rows are taken in another order."""
    pytest.importorskip("numba")
    p, step = cell  # type: ignore[misc]
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(16 * n, 3)) for n in lengths]
    weights = rng.normal(size=(sum(map(len, rows)), 8))

    def results(threads: int) -> list[np.ndarray]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TINYSEQ_EMITTER", "numba")
            patch.setattr(products, "threads", lambda: threads)
            patch.setattr(products, "LEAST_OPERATIONS", 1.0)
            xs = Sequences.from_list(rows)
            x = Tensor(xs.data.numpy(), requires_grad=True)
            start = [Tensor(np.full((len(rows), 8), v), requires_grad=True) for v in (0.1, -0.2)]
            for leaf in p.values():
                leaf.grad = None
            ys, last = tinyseq.scan(step, xs.with_data(x), tuple(start), reverse=reverse)
            ((ys.data * weights).sum() + last[0].sum() * 0.5 + (last[1] * last[1]).sum()).backward()
            values = [ys.data, *last, x.grad, *[s.grad for s in start], *[leaf.grad for leaf in p.values()]]
            return [np.array(v.numpy() if isinstance(v, Tensor) else v) for v in values]

    one, three, again = results(1), results(3), results(3)
    for a, b, c in zip(one, three, again, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(b, c)


@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 20), st.integers(1, 40)),
    turned=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_divided_product_is_the_product(
    sizes: tuple[int, int, int], turned: tuple[bool, bool], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, depth, columns = sizes
    a = rng.normal(size=(depth, rows)).T if turned[0] else rng.normal(size=(rows, depth))
    b = rng.normal(size=(columns, depth)).T if turned[1] else rng.normal(size=(depth, columns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_threads, "threads", lambda: 3)
        patch.setattr(in_threads, "BLAS_TAKES_ONE", 0)
        patch.setattr(in_threads, "LEAST_PRODUCT", 0)
        np.testing.assert_allclose(in_threads.matmul(a, b), np.matmul(a, b), rtol=1e-13, atol=1e-13)
        wide = np.full((rows, columns + 2), 7.0)
        in_threads.matmul(a, b, out=wide[:, 1:-1])
        np.testing.assert_allclose(wide[:, 1:-1], np.matmul(a, b), rtol=1e-13, atol=1e-13)
        assert (wide[:, [0, -1]] == 7).all()
        with pytest.raises(ValueError, match="mismatch"):
            in_threads.matmul(a, np.ones((depth + 1, 2)))


def test_blas_has_its_threads_again_when_the_last_user_is_done() -> None:
    blas = in_threads.blas
    if blas.get is None or blas.set is None:
        pytest.skip("NumPy has no OpenBLAS of its own here, whose threads could be set")
    before = blas.get()
    blas.set(2)
    try:
        with blas.with_one_thread() as able:
            assert able
            assert blas.get() == 1
            with pytest.raises(KeyError), blas.with_one_thread():
                raise KeyError
            assert blas.get() == 1
        assert blas.get() == 2
    finally:
        blas.set(before)
