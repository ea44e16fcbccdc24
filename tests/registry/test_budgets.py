"""What names may cost: nothing at import, little for a list of everything installed."""

import os
import subprocess
import sys

import pytest

LIST = """
import sys, time
import tinyseq
assert not any(name.startswith(("tinyseq_", "fake_")) for name in sys.modules), "a plugin came with tinyseq"
assert "importlib.metadata" not in sys.modules or {already}, "metadata read too early"
start = time.perf_counter()
records = [record for registry in tinyseq.registry.registries.values() for record in registry.records()]
seconds = time.perf_counter() - start
assert sum(record.name.startswith("cell") for record in records) == 50
assert not any(name.startswith(("tinyseq_", "fake_")) for name in sys.modules), "a list imports a plugin"
print(seconds)
"""


@pytest.fixture
def fifty(install):
    for i in range(50):
        info = install(f"fake-{i}", {"tinyseq.cells": {f"cell{i}": f"fake_{i}:MGU"}})
    return info.parent


def run(code, folder):
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_fifty_packages_are_listed_in_no_time_and_nothing_is_imported(fifty):
    bare = run("import sys; print('importlib.metadata' in sys.modules)", fifty)
    results = [run(LIST.format(already=bare.stdout.strip()), fifty) for _ in range(3)]
    assert [result.stderr for result in results] == [""] * 3
    assert min(float(result.stdout) for result in results) < 0.3  # the least disturbed of three
