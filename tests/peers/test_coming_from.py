"""The page for those who come from elsewhere: its pairs give the same numbers, its names exist."""

import importlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Tensor, nn

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")
os.environ["KERAS_BACKEND"] = "torch"  # read when Keras is imported
pytest.importorskip("keras", reason="needs Keras: pip install '.[test-peers]'")

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
BEGINNING = "".join(code for kind, code in FENCES if kind == "python")
PAIRS = [code for kind, code in FENCES if kind == "pair"]

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras


def values(found: Any) -> list[np.ndarray[Any, Any]]:
    """NumPy arrays of a Tensor of anybody's, or of several."""
    if isinstance(found, tuple):
        return [array for part in found for array in values(part)]
    if isinstance(found, Tensor):
        return [found.numpy()]
    return [found.detach().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.splitlines()[0][:40])
def test_both_lines_of_a_pair_give_the_same_numbers(pair: str) -> None:
    torch.manual_seed(0)
    tinyseq.seed(0)
    names: dict[str, Any] = {}
    exec(BEGINNING + pair.replace("---\n", ""), names)
    theirs, ours = values(names["theirs"]), values(names["ours"])
    assert [array.shape for array in ours] == [array.shape for array in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_there_are_pairs() -> None:
    assert len(PAIRS) >= 19
    assert all(pair.count("---\n") == 1 for pair in PAIRS)


def test_the_names_of_the_tables_exist() -> None:
    rows = re.findall(r"^\| .* \| (.*) \|$", PAGE, re.M)
    named = [name for row in rows for name in re.findall(r'(?:tinyseq|nn)(?:\.\w+)+(?:\["[\w-]+"\])?', row)]
    assert len(named) > 40
    for name in named:
        parts = name.partition("[")[0].split(".")
        found = tinyseq if parts[0] == "tinyseq" else nn
        for k, part in enumerate(parts[1:], 2):
            if not hasattr(found, part):  # a package that is imported when it is asked for
                importlib.import_module(".".join(parts[:k]))
            found = getattr(found, part)
        for plugin in re.findall(r'\["([\w-]+)"\]', name):
            assert plugin in found, name
