"""Thousands of damaged and forged files: each loads or makes one sentence, in bounded memory and no time.

More of them: python -m tests.registry.fuzz.
"""

import json
import struct
from collections import Counter

import pytest
from registry_fuzz import attacks, attempt, memory, outcome

import tinyseq
from tinyseq.errors import TinyseqError
from tinyseq.registry import run_file

COUNT = 2500
FILES = {"loaded", "DataError", "PluginError"}


@pytest.mark.parametrize(
    ("name", "count", "outcomes"),
    [
        ("bytes of a model file", COUNT, FILES - {"PluginError"}),
        ("record of a model file", COUNT, FILES),
        ("arrays of a model file", COUNT // 5, FILES - {"PluginError"}),
        ("configuration", COUNT // 5, {"built", "ConfigError", "PluginError"}),
        ("run file", COUNT // 2, {"mistakes", "no mistakes"}),
    ],
)
def test_attacks(name, count, outcomes, tmp_path):
    attack = attacks(tmp_path)[name]
    before = memory()
    seen = Counter(attempt(attack, name, number) for number in range(count))
    assert set(seen) == outcomes
    if name != "bytes of a model file":  # of which checksums let hardly one through
        assert max(seen.values()) < count * 0.995
    assert memory() - before < 256  # MiB
    assert {path.name for path in tmp_path.iterdir()} <= {"good", "novel.txt", "file", "run.toml"}


def header(content, described):
    text = json.dumps(described).encode()
    return struct.pack("<Q", len(text)) + text + content


@pytest.mark.parametrize(
    "described",
    [
        {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 2**64 - 1]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}},
        {"a": {"dtype": "OBJECT", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [[[1]]], "data_offsets": [0, 4]}},
        {"__metadata__": {"tinyseq": {"format": "tinyseq.model"}}},
        {"__metadata__": [1]},
        [],
        None,
    ],
)
def test_forged_headers(described, tmp_path):
    assert outcome(tmp_path / "file", header(b"\0" * 16, described)) == "DataError"


def test_a_header_nested_a_million_deep(tmp_path):
    text = b"[" * 10**6
    assert outcome(tmp_path / "file", struct.pack("<Q", len(text)) + text) == "DataError"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "a\ud800b", "", "."])
def test_names_that_no_file_has(name, tmp_path):
    for read in (tinyseq.load, tinyseq.describe, run_file.read):
        with pytest.raises(TinyseqError):
            read(tmp_path / name if name else name)
