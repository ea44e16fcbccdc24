"""One generator: seeds repeat, states go through JSON, what is no state is refused."""

import json
from collections.abc import Iterator

import numpy as np
import pytest

import tinyseq
from tinyseq import random
from tinyseq.errors import ConfigError


@pytest.fixture(autouse=True)
def _same_state_after() -> Iterator[None]:
    before = random.get_state()
    yield
    random.set_state(before)


def test_a_seed_gives_the_same_numbers_again() -> None:
    tinyseq.seed(7)
    first = random.generator().normal(size=5)
    other = random.generator().normal(size=5)
    tinyseq.seed(7)
    assert np.array_equal(random.generator().normal(size=5), first)
    assert not np.array_equal(first, other)


def test_a_state_goes_through_json() -> None:
    tinyseq.seed(3)
    random.generator().integers(0, 9, dtype=np.int32)  # leaves half a word in the generator
    saved = json.loads(json.dumps(random.get_state()))
    ahead = random.generator().integers(0, 2**31, 7, dtype=np.int32)
    tinyseq.seed(4)
    random.set_state(saved)
    assert np.array_equal(random.generator().integers(0, 2**31, 7, dtype=np.int32), ahead)


def test_a_state_is_a_copy_of_where_the_generator_stood() -> None:
    saved = random.get_state()
    random.generator().normal(size=100)
    assert saved != random.get_state()


@pytest.mark.parametrize(
    "state",
    [{}, {"bit_generator": "PCG64"}, {"bit_generator": "MT19937", "state": {}}, {"state": -1}, "PCG64"],
    ids=str,
)
def test_what_is_no_state_is_refused_and_changes_nothing(state: dict[str, object]) -> None:
    before = random.get_state()
    with pytest.raises(ConfigError, match=r"no state of the random generator .* from get_state\(\)"):
        random.set_state(state)
    assert random.get_state() == before
