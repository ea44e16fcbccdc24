"""What was moved can still be imported from where it was, with a warning, for one release."""

from importlib import import_module

import pytest

import tinyseq.decoding
from tinyseq.contracts import pairing

MOVED = {
    "tinyseq.sampling": tinyseq.decoding,
    "tinyseq.pairing": pairing,
    "tinyseq_heads.search": tinyseq.decoding,
    "tinyseq_heads.prefixes": tinyseq.decoding,
}


@pytest.mark.parametrize("old", MOVED)
def test_an_old_place_hands_out_what_moved(old):
    with pytest.warns(DeprecationWarning, match=f"{old} is .* now"):
        module = import_module(old)
    moved = [name for name in vars(module) if not name.startswith("_") and name != "warnings"]
    assert moved
    assert all(getattr(module, name) is getattr(MOVED[old], name) for name in moved)
