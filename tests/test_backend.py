"""Choosing a backend, and what only a backend may know."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq.backend import WORDS, backend, is_basic, numpy_backend, to_numpy, words_of
from tinyseq.errors import BackendError


@given(
    vocabulary=st.integers(1, 9),
    count=st.integers(0, 40),
    width=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_add_at_equals_a_loop(vocabulary, count, width, seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(-vocabulary, vocabulary, count)  # NumPy's negative ids count from the end
    rows = rng.standard_normal((count, width))
    expected = np.zeros((vocabulary, width))
    for i, row in zip(ids, rows, strict=True):
        expected[i] += row
    got = backend("numpy").words.add_at(rows, ids, axis=0, size=vocabulary)
    np.testing.assert_allclose(got, expected, atol=1e-12)


@given(
    vocabulary=st.integers(1, 9),
    count=st.integers(0, 40),
    width=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_many_values_to_few_rows_are_summed_row_by_row(vocabulary, count, width, seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, vocabulary, (count, 2))
    rows = rng.integers(-9, 9, (count, 2, width)).astype("f4")
    words = backend("numpy").words
    expected = words.add_at(rows, ids, axis=0, size=vocabulary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_backend, "MANY", 0)
        got = words.add_at(rows, ids, axis=0, size=vocabulary)
        with pytest.raises(IndexError):
            words.add_at(rows[:1], ids[:1] + vocabulary, axis=0, size=vocabulary) if count else [][0]
    assert got.dtype == rows.dtype
    assert np.array_equal(got, expected)


@given(seed=st.integers(0, 2**32 - 1), axis=st.integers(0, 2))
def test_add_at_along_any_axis_is_the_transpose_of_take(seed, axis):
    rng = np.random.default_rng(seed)
    x, ids = rng.standard_normal((3, 4, 5)), rng.integers(0, 3, (2, 2))
    words = backend("numpy").words
    taken = words.take(x, ids, axis=axis)
    g = rng.standard_normal(taken.shape)
    given_back = words.add_at(g, ids, axis=axis, size=x.shape[axis])
    assert given_back.shape == x.shape
    np.testing.assert_allclose((taken * g).sum(), (x * given_back).sum(), rtol=1e-10)


def test_use_is_a_context_and_a_switch():
    assert tinyseq.backend.backend().name == "numpy"
    with tinyseq.use("numpy") as chosen:
        assert chosen is tinyseq.backend.backend()


def test_unknown_backend_is_refused_by_name():
    with pytest.raises(BackendError, match="no backend 'tpu'; choose 'numpy' or 'cupy'"):
        tinyseq.use("tpu")


def run(code: str, **env: str) -> "subprocess.CompletedProcess[str]":
    full = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | env
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=full, cwd="/", check=False
    )


def test_environment_variable_chooses_and_a_bad_one_is_explained():
    done = run("import tinyseq; tinyseq.Tensor([1.0])", TINYSEQ_BACKEND="tpu")
    assert done.stderr.strip().endswith(
        "BackendError: There is no backend 'tpu'; choose 'numpy' or 'cupy' (also in TINYSEQ_BACKEND)."
    )


def test_cupy_that_is_not_installed_is_one_sentence():
    hide = "import importlib.util as u; u.find_spec = lambda name: None\n"
    done = run(hide + "import tinyseq; tinyseq.use('cupy')")
    assert "BackendError: The backend 'cupy' needs CuPy, which is not installed: pip install" in done.stderr


def test_cupy_without_a_driver_is_one_sentence():
    pytest.importorskip("cupy", reason="needs the CuPy wheel (extra test-cupy)")
    probe = "import cupy; print(cupy.cuda.is_available())"
    if run(probe).stdout.strip() == "True":
        pytest.skip("this machine has a GPU, so CuPy works")
    done = run("import tinyseq; tinyseq.use('cupy')")
    assert "BackendError: CuPy" in done.stderr
    assert "there is no NVIDIA driver or it is too old" in done.stderr
    assert "tinyseq.use('numpy')" in done.stderr


def test_the_choice_of_one_thread_is_not_that_of_another():
    seen = []
    with tinyseq.use("numpy"):
        thread = threading.Thread(target=lambda: seen.append(tinyseq.backend.backend().name))
        thread.start()
        thread.join()
    assert seen == ["numpy"]


def test_every_numpy_scalar_is_known():
    for scalar in (np.float32(1), np.float64(1), np.int64(1), np.bool_(True), np.uint8(1)):
        assert words_of(scalar) is WORDS[np.ndarray]
    assert isinstance(to_numpy(np.float32(1)), np.ndarray)


def test_arrays_of_strangers_are_refused():
    with pytest.raises(TypeError, match="list is not an array of any backend in use"):
        words_of([1.0])


def test_basic_indices_name_no_element_twice():
    assert is_basic((slice(None), 0, None, Ellipsis))
    assert not is_basic(np.array([0, 0]))
    assert not is_basic((slice(None), np.array([True])))
