"""Errors about a sequence of a shuffled batch say which example of the data that is."""

from functools import partial

import numpy as np
import pytest
from tinyseq_cells.gru import GRU
from tinyseq_heads.ctc import CTCHead

import tinyseq
from tinyseq import Sequences
from tinyseq.data import LengthBatches, StreamedBatches
from tinyseq.errors import DataError
from tinyseq.nn import SequenceModel, Sequential
from tinyseq.optim import Adam
from tinyseq.training import Trainer


@pytest.mark.parametrize("kind", [LengthBatches, StreamedBatches])
@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_recording_that_is_too_short_is_named(kind: type, validation: bool, accumulate: int) -> None:
    rng = np.random.default_rng(0)
    recordings = [(rng.normal(size=(8, 4)).astype("f"), [1, 2]) for _ in range(60)]
    recordings[37] = (recordings[37][0][:2], [1, 2, 3])
    tinyseq.seed(0)

    def batches(size: int) -> object:
        return kind(recordings, size, lambda b: (Sequences.from_list([x for x, _ in b]), [y for _, y in b]))

    model = SequenceModel(Sequential(), tinyseq.Recurrent(GRU(4, 5)), CTCHead(5, 4))
    trainer = Trainer(model, Adam(model), accumulate=accumulate)
    run = trainer.evaluate if validation else partial(trainer.fit, epochs=1)
    with pytest.raises(DataError, match="sequence") as raised:
        run(batches(7))
    named = "is example 37 of the data." in str(raised.value)
    assert named == (validation or accumulate == 1)  # batches that were drawn together cannot be told apart
