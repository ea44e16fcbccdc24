"""Backends, Hypothesis profiles and fixtures for every test.

`TINYSEQ_TEST_BACKENDS` is `numpy` (the default), `cupy` or `numpy,cupy`; `pytest -m gpu` chooses `cupy`, and
of the tests those that use it. CuPy runs on the GPU if there is one, else on cpucuda's CPU device
(cpucuda/README.md). There, `NVRTC_ALL=1` also hands every kernel that the session generated to NVIDIA's
compiler.

pytest imports test files by path (`--import-mode=importlib`), so nothing beside them is importable by
accident; `cpucuda` alone is made so here.
"""

import importlib.util
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, is_hypothesis_test, register_random, settings

VARIABLE = "TINYSEQ_TEST_BACKENDS"
BACKENDS = ("numpy", "cupy")
CHOSEN = pytest.StashKey[tuple[str, ...]]()
CPU_DEVICE = pytest.StashKey[bool]()  # whether CuPy runs on cpucuda
NVRTC_REPORT = pytest.StashKey[list[str]]()
NEEDS_CUPY = {"cupy", "counts", "schedule"}
NEEDS_CPU_DEVICE = {"counts"}


def load_cpucuda() -> ModuleType:
    """Make `import cpucuda` work, and nothing else."""
    folder = Path(__file__).parent / "cpucuda"
    spec = importlib.util.spec_from_file_location("cpucuda", folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["cpucuda"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cpucuda = sys.modules.get("cpucuda") or load_cpucuda()

# The NumPy emitter compiles a step in milliseconds, numba in seconds: tests of numba's ask for it.
os.environ.setdefault("TINYSEQ_EMITTER", "numpy")

# `backend`, `schedule` and `counts` stay right when Hypothesis reuses them for every example of a test, so
# its check against function-scoped fixtures is off; `rng`, which would not, refuses such tests itself.
settings.register_profile(
    "dev", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile(
    "ci", settings.get_profile("dev"), max_examples=50, derandomize=True, print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")  # --hypothesis-profile wins


class Randomness:
    """tinyseq's random numbers, for Hypothesis: each example starts from the same, and can be repeated."""

    def seed(self, n: int) -> None:
        from tinyseq import random

        random.seed(n)

    def getstate(self) -> dict[str, Any]:
        from tinyseq import random

        return random.get_state()

    def setstate(self, state: dict[str, Any]) -> None:
        from tinyseq import random

        random.set_state(state)


RANDOMNESS = Randomness()  # Hypothesis keeps no reference of its own
register_random(RANDOMNESS)


def chosen_backends(text: str) -> tuple[str, ...]:
    """The backends that the environment variable's text names."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in BACKENDS:
            raise pytest.UsageError(
                f"{VARIABLE}={text!r}: no backend {name!r}; choose numpy, cupy or numpy,cupy."
            )
    return names


def prepare_cupy() -> bool:
    """Have CuPy ready to import; True if that took the CPU device."""
    if importlib.util.find_spec("cupy") is None:
        raise pytest.UsageError(
            f"{VARIABLE} asks for cupy, which is not installed: pip install '.[test-cupy]'."
        )
    if cpucuda.gpu_present():
        return False
    try:
        cpucuda.install()
    except cpucuda.InstallError as error:
        raise pytest.UsageError(f"{VARIABLE} asks for cupy without a GPU: {error}") from error
    return True


def wants_nvrtc() -> bool:
    """Whether generated kernels are to be compiled by NVRTC when the session ends."""
    return os.environ.get("NVRTC_ALL") == "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: runs on CuPy; `-m gpu` runs all of these, and nothing else")
    default = "cupy" if config.getoption("markexpr") == "gpu" else "numpy"
    chosen = chosen_backends(os.environ.get(VARIABLE, default))
    config.stash[CHOSEN] = chosen
    config.stash[CPU_DEVICE] = "cupy" in chosen and prepare_cupy()
    if wants_nvrtc() and not cpucuda.nvrtc_installed():
        raise pytest.UsageError("NVRTC_ALL=1 needs NVIDIA's compiler: pip install nvidia-cuda-nvrtc-cu12.")


def pytest_report_header(config: pytest.Config) -> str:
    device = "cpucuda, no GPU" if config.stash[CPU_DEVICE] else "GPU"
    names = [f"cupy ({device})" if name == "cupy" else name for name in config.stash[CHOSEN]]
    return f"tinyseq backends: {', '.join(names)}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        only_cupy = NEEDS_CUPY.intersection(metafunc.fixturenames)
        metafunc.parametrize(
            "backend", ["cupy"] if only_cupy else metafunc.config.stash[CHOSEN], indirect=True
        )
    if "schedule" in metafunc.fixturenames:
        orders = cpucuda.ORDERS if metafunc.config.stash[CPU_DEVICE] else ["device"]
        metafunc.parametrize("schedule", orders, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if names & NEEDS_CUPY or parameters.get("backend") == "cupy":
            item.add_marker(pytest.mark.gpu)
        if names & NEEDS_CUPY and "cupy" not in config.stash[CHOSEN]:
            item.add_marker(pytest.mark.skip(reason=f"needs CuPy: set {VARIABLE}=cupy"))
        elif names & NEEDS_CPU_DEVICE and not config.stash[CPU_DEVICE]:
            item.add_marker(pytest.mark.skip(reason="needs cpucuda's CPU device, but CuPy runs on a GPU"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not wants_nvrtc() or not session.config.stash.get(CPU_DEVICE, False):
        return
    sources, failures = cpucuda.check_generated()
    architectures = ", ".join(cpucuda.ARCHITECTURES)
    summary = f"{sources} sources for {architectures}: {len(failures)} failures"
    session.config.stash[NVRTC_REPORT] = [*failures, summary]
    if failures:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if report := config.stash.get(NVRTC_REPORT, None):
        terminalreporter.section("NVRTC")
        for text in report:
            terminalreporter.line(text)


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    """Every test starts from the same random numbers of tinyseq, whichever tests ran before it."""
    RANDOMNESS.seed(0)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each chosen backend's name in turn, in use; only "cupy" beside a fixture that needs CuPy."""
    import tinyseq

    with tinyseq.use(request.param):
        yield request.param


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """The same random numbers for every test and run."""
    if is_hypothesis_test(request.function):
        pytest.fail("rng would go on from one example to the next: draw a seed, and call default_rng(seed).")
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def cupy() -> ModuleType:
    """The cupy module, on a GPU or on the CPU device."""
    return importlib.import_module("cupy")


@pytest.fixture
def counts(cupy: ModuleType) -> Callable[[], AbstractContextManager[Counter[str]]]:
    """`with counts() as seen:` counts what CuPy asks of the device: `seen["launch"]`, `seen["gemm"]`, ..."""
    return cpucuda.counting


@pytest.fixture
def schedule(request: pytest.FixtureRequest, cupy: ModuleType) -> Iterator[str]:
    """Runs the test in three orders of threads, "fwd", "rev" and "rand"; or once on a GPU, as "device"."""
    if request.param == "device":
        yield request.param
        return
    with cpucuda.thread_order(request.param):
        yield request.param
