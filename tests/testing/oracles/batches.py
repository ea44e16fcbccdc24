"""Models and batches that components are tried on: small, and of whatever lengths."""

from collections.abc import Callable
from typing import Any

import numpy as np
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM

from tinyseq import nn
from tinyseq.registry import registries
from tinyseq.scan import Recurrent
from tinyseq.sequences import Layout, Sequences

Array = np.ndarray[Any, Any]
Lengths = tuple[int, ...]


def ids(layer: Any, rng: np.random.Generator, rows: int) -> Array:
    return rng.integers(0, layer.num_embeddings, rows)


def spelled(layer: Any, rng: np.random.Generator, rows: int) -> Array:
    """A word, its capitalisation, and up to three characters, which 0 ends."""
    return rng.integers(0, (6, 4, 5, 5, 5), (rows, 5))


def token_ids(model: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    layout, total = Layout(lengths), sum(lengths)
    return Sequences(rng.integers(0, 6, total), layout), Sequences(rng.integers(0, 6, total), layout)


def head_for(vocabulary: int, **options: Any) -> Any:
    return registries["head"]["language-model"](3, vocabulary, **options)


def tied_model() -> nn.SequenceModel:
    embed = nn.Embedding(6, 3)
    return nn.SequenceModel(embed, Recurrent(LSTM(3, 3)), head_for(6, tied=embed))


def nn_head(width: int) -> Any:
    return registries["head"]["language-model"](width, 6)


def classified(head: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Array]:
    """A class for each sequence."""
    return Sequences(rng.normal(size=(sum(lengths), 3)), Layout(lengths)), rng.integers(0, 4, len(lengths))


def numbers(head: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    """Two numbers for each step."""
    layout, total = Layout(lengths), sum(lengths)
    return Sequences(rng.normal(size=(total, 3)), layout), Sequences(rng.normal(size=(total, 2)), layout)


def number(head: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Array]:
    """Two numbers for each sequence."""
    features = Sequences(rng.normal(size=(sum(lengths), 3)), Layout(lengths))
    return features, rng.normal(size=(len(lengths), 2))


def paired(head: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Array]:
    """Anchors, and then their partners in the same order."""
    groups = np.arange(len(lengths))
    features = Sequences(rng.normal(size=(2 * sum(lengths), 3)), Layout((*lengths, *lengths)))
    return features, np.concatenate([groups, groups])


def heard(head: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    """Labels for half of the steps, which leaves room for blanks."""
    features = Sequences(rng.normal(size=(sum(lengths), 3)), Layout(lengths))
    return features, Sequences.from_list([rng.integers(1, 3, (n + 1) // 2) for n in lengths])


def labelled(head: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    """Four labels for each step, each on or off."""
    layout, total = Layout(lengths), sum(lengths)
    return Sequences(rng.normal(size=(total, 3)), layout), Sequences(rng.integers(0, 2, (total, 4)), layout)


def translated(head: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    """A sequence to write for each that is read: up to two symbols, and the end."""
    features = Sequences(rng.normal(size=(sum(lengths), 3)), Layout(lengths))
    written = [np.append(rng.integers(1, 4, rng.integers(0, 3)), 0) for _ in lengths]
    return features, Sequences.from_list(written)


def described(head: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Array, Sequences]:
    """A sequence to write for each vector."""
    _, written = translated(head, rng, lengths)
    return rng.normal(size=(len(lengths), 3)), written


def writing(cell_input: int, **options: Any) -> Callable[[], Any]:
    return lambda: registries["head"]["decoder"](3, 4, GRU(cell_input, 3), end=0, max_length=3, **options)
