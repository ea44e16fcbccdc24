"""Make the planted components importable as `planted`, which nothing else is by accident."""

import importlib.util
import sys
from pathlib import Path

if "planted" not in sys.modules:
    folder = Path(__file__).parent / "planted"
    spec = importlib.util.spec_from_file_location("planted", folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["planted"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["planted"])
