"""Make `planted` and `oracles` importable, which nothing else here is by accident."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

for name in ("planted", "oracles"):
    if name not in sys.modules:
        folder = Path(__file__).parent / name
        spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


@pytest.fixture(scope="module", autouse=True)
def plain_kernels() -> Iterator[None]:
    """Steps become NumPy source: each numba kernel would cost a second, and the laws are the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSEQ_EMITTER", "numpy")
        yield
