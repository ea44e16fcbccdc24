"""Numbers of classes and lists, where they are given: nothing wraps, no string is taken apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_heads.ctc import CTCHead
from tinyseq_heads.decoder import Decoder
from tinyseq_heads.generator import Generator
from tinyseq_heads.tagger import Tagger
from tinyseq_losses.cross_entropy import CrossEntropy
from tinyseq_losses.ctc import CTC

from tinyseq.decoding import beam_search, prefix_search, write
from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Linear, Residual, Sequential


def advance(last: Any, state: Any) -> Any:
    return np.zeros((len(last), 4)), state


USES: dict[str, Callable[[Any], Any]] = {
    "CTC: blank": lambda i: CTC(blank=i),
    "CTCHead.3, 4.: blank": lambda i: CTCHead(3, 4, blank=i),
    "Decoder: end": lambda i: Decoder(3, 4, GRU(3, 3), end=i),
    "Generator: end": lambda i: Generator(3, 4, GRU(6, 3), end=i),
    "Prefix search: blank": lambda i: prefix_search(np.zeros((2, 4)), blank=i, width=2),
    "beam_search..: end": lambda i: beam_search(advance, (), 1, end=i, max_length=2, width=2),
    "write..: end": lambda i: write(advance, (), 1, end=i, max_length=2),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("number", [-1, 1.0, True, "1", None])
def test_what_is_no_number_of_a_class_is_refused(use: str, number: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{use} is the number of a (class|symbol), 0 .*, not {number!r}"):
        USES[use](number)
    USES[use](np.int64(1))


def test_strings_are_no_lists() -> None:
    with pytest.raises(
        ConfigError, match=r"Tagger\(3, 2\): names is a list, such as \['BI'\], not the string"
    ):
        Tagger(3, 2, names="BI")
    with pytest.raises(ConfigError, match=r"CrossEntropy: class_weights is a list"):
        CrossEntropy(class_weights="12")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"CrossEntropy: ignore_index is an integer or None, not '0'"):
        CrossEntropy(ignore_index="0")  # type: ignore[arg-type]
    for given, kind in (("gru", "str"), ([GRU(2, 2)], "list"), (GRU, "type")):
        with pytest.raises(ConfigError, match=rf"layer 0 is a (ABCMeta|{kind}): Deep\(\*layers\)"):
            Deep(given)  # type: ignore[arg-type]
    for make in (Sequential, Residual):
        with pytest.raises(ConfigError, match=r"is a list: Sequential\(\*layers\) for a list"):
            make([Linear(2, 2)])  # type: ignore[operator, arg-type]
        with pytest.raises(ConfigError, match=r"is a GRU: wrap a Cell as Recurrent\(cell\)"):
            make(GRU(2, 2))  # type: ignore[operator]


def test_class_weights_do_not_wrap() -> None:
    loss = CrossEntropy(class_weights=[1.0, 2.0, 4.0], ignore_index=-100)
    assert loss.weight(np.array([0, 2, -100])) == 5
    for wrong in (-1, 3):
        with pytest.raises(DataError, match=rf"the target {wrong} at position 1 is none of the 3 classes"):
            loss.weight(np.array([0, wrong]))
