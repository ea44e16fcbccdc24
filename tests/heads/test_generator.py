"""The generator: a sequence for each vector, or for each class."""

import numpy as np
import pytest
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.decoder import Decoder
from tinyseq_heads.generator import Generator

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.errors import ShapeError
from tinyseq.nn import Embedding, SequenceModel, Sequential
from tinyseq.optim import Adam


def test_a_class_and_a_vector_can_be_written_out() -> None:
    tinyseq.seed(0)
    names = [[1, 2, 3], [4], [2, 2, 1, 1], []]
    targets = Sequences.from_list([np.array([*name, 0]) for name in names])
    head = Generator(4, 5, LSTM(4 + 6, 16), end=0, max_length=6)
    model = SequenceModel(Embedding(4, 4), Sequential(), head)
    optimizer = Adam(model, lr=0.03)
    classes = np.arange(4)
    for _ in range(80):
        optimizer.zero_grad()
        model.loss(classes, targets).backward()
        optimizer.step()
    assert [ids.tolist() for ids in model.predict(classes)] == names
    vectors = model(classes)
    found = head.sample(vectors, temperature=0.1, seed=0)
    assert [ids.tolist() for ids in found] == names
    for name, hypotheses in zip(names, head.beam(vectors, 4), strict=True):
        assert hypotheses[0].ids.tolist() == name


@pytest.mark.parametrize("condition", ["state", "input", "both"])
def test_it_is_a_decoder_of_sequences_of_one_step(condition: str, rng: np.random.Generator) -> None:
    width = 2 if condition == "state" else 5
    tinyseq.seed(0)
    head = Generator(3, 4, GRU(width, 3), end=0, condition=condition)  # type: ignore[arg-type]
    tinyseq.seed(0)
    decoder = Decoder(3, 4, GRU(width, 3), end=0, condition=condition)  # type: ignore[arg-type]
    vectors = rng.normal(size=(2, 3)).astype("f4")
    targets = Sequences.from_list([np.array([1, 2, 0]), np.array([0])])
    assert head.loss(Tensor(vectors), targets).item() == decoder.loss(
        Sequences.from_padded(vectors[:, None]), targets
    ).item()  # fmt: skip


def test_what_is_no_vector_is_refused(rng: np.random.Generator) -> None:
    head = Generator(3, 5, GRU(8, 3), end=0)
    with pytest.raises(ShapeError, match=r"Generator takes a Tensor \(batch, 3\).*not Sequences"):
        head.predict(Sequences.from_list([rng.normal(size=(2, 3))]))
    with pytest.raises(ShapeError, match=r"one vector for each sequence, not \(2, 4\)"):
        head.predict(Tensor(rng.normal(size=(2, 4))))


def test_it_is_found_by_name() -> None:
    assert tinyseq.heads["generator"] is Generator
