"""What a person sees who chooses backends for the tests."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinyseq

TESTS = Path(__file__).parent
SAMPLE = """
from hypothesis import given, settings, strategies as st
from tinyseq import random

def test_backend(backend):
    assert backend == "numpy"

def test_on_cupy(backend, counts):
    raise AssertionError

def test_in_order(schedule):
    raise AssertionError

def test_rng(rng):
    assert rng.integers(1000) == 850

@given(st.integers())
def test_rng_with_examples(rng, x):
    pass

@given(st.integers())
def test_backend_with_examples(backend, x):
    assert settings.default.deadline is None

def test_weights():
    assert random.generator().integers(1000) == 850

@given(st.integers())
def test_weights_with_examples(x):
    assert random.generator().integers(1000) == 850
"""


@pytest.fixture
def conftest(request):
    return request.config.pluginmanager.get_plugin(str(TESTS / "conftest.py"))


def test_backend_is_in_use(backend):
    assert tinyseq.backend.backend().name == backend


def test_a_fixture_that_needs_cupy_narrows_the_backend(backend, counts, schedule):
    assert backend == tinyseq.backend.backend().name == "cupy"


def test_choices(conftest):
    assert conftest.chosen_backends("numpy") == ("numpy",)
    assert conftest.chosen_backends("numpy, cupy,numpy") == ("numpy", "cupy")
    for wrong in ("jax", "", "numpy,"):
        with pytest.raises(pytest.UsageError, match=r"no backend '(jax)?'; choose numpy, cupy or numpy,cupy"):
            conftest.chosen_backends(wrong)


def test_cupy_not_installed(conftest, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(pytest.UsageError, match="asks for cupy, which is not installed: pip install"):
        conftest.prepare_cupy()


def test_cpu_device_not_possible(conftest, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(conftest.cpucuda, "gpu_present", lambda: False)

    def install():
        raise conftest.cpucuda.InstallError("no g++.")

    monkeypatch.setattr(conftest.cpucuda, "install", install)
    with pytest.raises(pytest.UsageError, match=r"asks for cupy without a GPU: no g\+\+"):
        conftest.prepare_cupy()
    monkeypatch.setattr(conftest.cpucuda, "gpu_present", lambda: True)
    assert conftest.prepare_cupy() is False


def run_sample(folder: Path, backends: str, *more: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(TESTS / "conftest.py", folder)
    (folder / "cpucuda").symlink_to(TESTS / "cpucuda")
    (folder / "test_sample.py").write_text(SAMPLE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "-rs",
        str(folder),
        *more,
    ]
    environment = {**os.environ, "TINYSEQ_TEST_BACKENDS": backends, "NVRTC_ALL": "0"}
    environment.pop("PYTEST_ADDOPTS", None)  # over several processes pytest does not say what it left out
    if not backends:
        del environment["TINYSEQ_TEST_BACKENDS"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_a_session_on_numpy(tmp_path):
    done = run_sample(tmp_path, "numpy")
    assert "tinyseq backends: numpy\n" in done.stdout
    assert "SKIPPED [2] test_sample.py: needs CuPy: set TINYSEQ_TEST_BACKENDS=cupy" in done.stdout
    assert "rng would go on from one example to the next: draw a seed" in done.stdout
    assert "5 passed, 2 skipped, 1 error" in done.stdout


@pytest.mark.usefixtures("cupy")
def test_a_session_of_all_that_runs_on_cupy(tmp_path):
    done = run_sample(tmp_path, "", "-m", "gpu")
    assert "tinyseq backends: cupy" in done.stdout
    assert "4 deselected" in done.stdout  # those that use no backend
    assert "test_backend[cupy]" in done.stdout


def test_a_session_on_a_backend_that_is_not_there(tmp_path):
    done = run_sample(tmp_path, "jax")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    message = "ERROR: TINYSEQ_TEST_BACKENDS='jax': no backend 'jax'; choose numpy, cupy or numpy,cupy."
    assert (done.stdout + done.stderr).strip() == message
