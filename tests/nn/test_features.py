"""TokenFeatures: three embeddings side by side, and characters up to the end of each word."""

from typing import Any

import numpy as np
import pytest
from tinyseq_cells.rnn import RNN

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.nn import Convolution, Embedding, TokenFeatures
from tinyseq.scan import Recurrent

IDS = np.array([[3, 1, 2, 4, 0], [0, 0, 1, 0, 0], [5, 2, 0, 0, 0], [1, 1, 4, 4, 4]])


def layer(spelling: Any = None, **options: Any) -> TokenFeatures:
    return TokenFeatures(Embedding(6, 3), Embedding(3, 2), Embedding(5, 4), spelling, **options)


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [("max", lambda c: c.max(0)), ("mean", lambda c: c.mean(0)), ("last", lambda c: c[-1])],
)
def test_parts_stand_side_by_side(pooling: Any, pool: Any, backend: str) -> None:
    features = layer(pooling=pooling).to(backend)
    found = features(Sequences.from_list([IDS[:1], IDS[1:]]))
    word, case, character = (
        part.weight.numpy() for part in (features.word, features.case, features.character)
    )
    wanted = [
        np.concatenate([word[row[0]], case[row[1]], pool(character[row[2 : 2 + n]])])
        for row, n in zip(IDS, (2, 1, 1, 3), strict=True)
    ]
    for got, expected in zip(found.to_list(), ([wanted[0]], wanted[1:]), strict=True):
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)
    assert features.embedding_size == 9
    padded = features(Tensor(IDS.reshape(2, 2, 5)))
    np.testing.assert_allclose(padded.numpy().reshape(4, 9), wanted, rtol=1e-6)


def test_spelling_reads_each_word_by_itself_and_learns() -> None:
    features = layer(Recurrent(RNN(4, 5)), pooling="last").to("float64")  # one row rounds as many rows do not
    assert features.embedding_size == 10
    found = features(Tensor(IDS))
    for row, got in zip(IDS, found.numpy(), strict=True):
        np.testing.assert_allclose(features(Tensor(row[None])).numpy()[0], got, rtol=1e-9)
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in features.parameters())


def test_configuration_round_trip() -> None:
    features = layer(Recurrent(RNN(4, 5)), pooling="last")
    again = tinyseq.build(tinyseq.config(features))
    again.load_state_dict(features.state_dict())
    np.testing.assert_array_equal(again(Tensor(IDS)).numpy(), features(Tensor(IDS)).numpy())


def test_wrong_ids() -> None:
    with pytest.raises(ConfigError, match="no pooling 'sum'; choose from last, mean, max"):
        layer(pooling="sum")
    for wrong in (IDS[:, :2], IDS.astype(np.float32), IDS[0]):
        with pytest.raises(ShapeError, match=r"takes integers \(\.\.\., 2 \+ width\)"):
            layer()(Tensor(wrong))
    with pytest.raises(DataError, match=r"Id 6 .*outside of Embedding\(6, 3\)"):
        layer()(Tensor(IDS + np.array([3, 0, 0, 0, 0])))


def test_both_directions_over_characters_are_taken_at_their_ends():
    from tinyseq_cells.bidirectional import Bidirectional
    from tinyseq_cells.gru import GRU

    spelling = Bidirectional(GRU(2, 3), GRU(2, 4))
    word, case, character = Embedding(9, 2), Embedding(4, 1), Embedding(6, 2)
    layer = TokenFeatures(word, case, character, spelling, pooling="ends")
    assert layer.embedding_size == 2 + 1 + 7
    ids = np.array([[3, 1, 2, 5, 4, 0], [7, 0, 1, 0, 0, 0]])
    found = layer(Tensor(ids)).numpy()
    for row, letters in zip(found, ([2, 5, 4], [1]), strict=True):
        ys = spelling(character(Sequences.from_list([letters]))).data.numpy()
        np.testing.assert_allclose(row[3:], np.concatenate([ys[-1, :3], ys[0, 3:]]), rtol=1e-5)
    with pytest.raises(ConfigError, match="does not say which of its features read backward"):
        TokenFeatures(word, case, character, Convolution(2, 3), pooling="ends")
