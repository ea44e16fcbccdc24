"""Training as a whole equals PyTorch's: data, model, gradients, clipping, Adam and the carried state."""

import importlib.util
from pathlib import Path

import pytest

from tinyseq.cli.language_model import Settings

pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "char_lm.py"
TEXT = "the quick brown fox jumps over the lazy dog; how vexingly quick daft zebras jump! " * 25


def test_a_character_model_trains_as_pytorch_does():
    spec = importlib.util.spec_from_file_location("char_lm", BENCHMARK)
    char_lm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(char_lm)
    settings = Settings(hidden=24, embedding=8, batch=4, window=16, lr=1e-2, clip=0.5)
    said = []
    figures = char_lm.compare(TEXT, settings, 2, say=said.append)
    before, after = figures["epochs"]
    assert after["torch_nats"] < before["torch_nats"] - 0.2, "it learns"
    assert figures["difference"] == pytest.approx(0, abs=1e-4)
    assert len(said) == 3
    assert {"threads", "throughput_ratio", "versions"} <= figures.keys()
