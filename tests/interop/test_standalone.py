"""A file written from a model says what the model says, and needs nothing but NumPy for it."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Sequences, no_grad
from tinyseq.data import Vocabulary
from tinyseq.errors import ConfigError
from tinyseq.interop import to_python
from tinyseq.nn import (
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Residual,
    SequenceModel,
    Sequential,
    TokenFeatures,
)
from tinyseq.ops import concatenate, sigmoid, softmax, tanh

WIDTH = 6
Deep, Bidirectional = tinyseq.layers["deep"], tinyseq.layers["bidirectional"]
LSTM, GRU, RNN = (tinyseq.cells[name] for name in ("lstm", "gru", "rnn"))
run = tinyseq.Recurrent


class TwoStates(NamedTuple):
    h: tinyseq.Tensor
    x: tinyseq.Tensor  # a name that a step's input has too


class Attentive(tinyseq.Cell):
    """A cell with a learned first state, a softmax, a reduction, a transposed weight and a comparison."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        self.mix = Linear(hidden_size + input_size, hidden_size)
        self.first = tinyseq.nn.Parameter(np.linspace(-1, 1, hidden_size))

    def initial_state(self, batch_size: int) -> TwoStates:
        h = tinyseq.ops.broadcast_to(self.first, (batch_size, self.output_size))
        return TwoStates(h, self.zeros(batch_size, self.output_size))

    def step(self, x: Any, state: Any) -> Any:
        z = self.mix(concatenate([state.h, x], axis=-1))
        weights = softmax(z) * tinyseq.ops.where(state.x > 0, state.x, 1.0)
        h = tanh(z + z @ self.mix.weight[: self.output_size].T) - weights.sum(axis=-1, keepdims=True)
        return h * sigmoid(state.x), TwoStates(h, weights)


ENCODERS = {
    "lstm": lambda: run(LSTM(WIDTH, WIDTH)),
    "peepholes": lambda: run(LSTM(WIDTH, WIDTH, peepholes=True, gate="hard_sigmoid", cell_output="linear")),
    "gru": lambda: run(GRU(WIDTH, WIDTH)),
    "gru, reset after": lambda: run(GRU(WIDTH, WIDTH, reset="after")),
    "rnn": lambda: run(RNN(WIDTH, WIDTH, activation="relu")),
    "of one's own": lambda: run(Attentive(WIDTH, WIDTH)),
    "reversed": lambda: run(LSTM(WIDTH, WIDTH), reverse=True),
    "bidirectional": lambda: Bidirectional(LSTM(WIDTH, 2), GRU(WIDTH, 4)),
    "deep": lambda: Deep(Dropout(0.5), LSTM(WIDTH, WIDTH), Bidirectional(RNN(WIDTH, 3), RNN(WIDTH, 3))),
    "residual": lambda: Deep(GRU(WIDTH, WIDTH), GRU(WIDTH, WIDTH), LayerNorm(WIDTH), residual=True),
    "rows": lambda: Sequential(Residual(Linear(WIDTH, WIDTH)), LayerNorm(WIDTH)),
    "nothing": lambda: Sequential(),
}
HEADS = {
    "tagger": lambda: tinyseq.heads["tagger"](WIDTH, 4),
    "crf": lambda: tinyseq.heads["tagger"](WIDTH, 4, loss=tinyseq.losses["crf"](4)),
    "language-model": lambda: tinyseq.heads["language-model"](WIDTH, 9),
    "multi-label": lambda: tinyseq.heads["multi-label"](WIDTH, 5),
    "ctc": lambda: tinyseq.heads["ctc"](WIDTH, 5),
    **{
        f"classifier, {pooling}": lambda pooling=pooling: tinyseq.heads["classifier"](
            WIDTH, 3, pooling=pooling
        )
        for pooling in ("last", "mean", "max", "attention")
    },
    "regressor": lambda: tinyseq.heads["regressor"](WIDTH, 2),
    "regressor, pooled": lambda: tinyseq.heads["regressor"](WIDTH, 2, pooling="mean"),
    "siamese": lambda: tinyseq.heads["siamese"](WIDTH),
    "siamese, projected": lambda: tinyseq.heads["siamese"](WIDTH, 3, pooling="last"),
}


def written(model: SequenceModel, folder: Path, **options: Any) -> ModuleType:
    """The module that the model was written to."""
    file = folder / "exported.py"
    to_python(model, file, **options)
    spec = importlib.util.spec_from_file_location("exported", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(model: SequenceModel, sequences: list[Any]) -> list[Any]:
    """What the model says of each sequence."""
    with no_grad(), model.evaluating():
        said = model.predict(Sequences.from_list(sequences))
    listed = said.to_list() if isinstance(said, Sequences) else list(said)
    return [np.asarray(a.numpy() if isinstance(a, tinyseq.Tensor) else a) for a in listed]


def same(got: Any, right: list[Any]) -> bool:
    return len(got) == len(right) and all(
        np.shape(a) == b.shape and np.allclose(a, b, rtol=1e-6, atol=1e-6)
        for a, b in zip(got, right, strict=True)
    )


ids = st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=7), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder(name: str, folder: Path) -> None:
    model = SequenceModel(Embedding(9, WIDTH), ENCODERS[name](), HEADS["tagger"]())
    model.head.projection.bias.data[...] = np.linspace(-1, 1, 4)
    module = written(model, folder)

    @given(ids)
    def holds(sequences: list[list[int]]) -> None:
        assert same(module.predict(sequences), answers(model, sequences))

    holds()


@pytest.mark.parametrize("name", HEADS)
def test_a_head(name: str, folder: Path) -> None:
    model = SequenceModel(Embedding(9, WIDTH), run(LSTM(WIDTH, WIDTH)), HEADS[name]())
    module = written(model, folder)

    @given(ids)
    def holds(sequences: list[list[int]]) -> None:
        assert same(module.predict(sequences), answers(model, sequences))

    holds()


def test_every_registered_head_is_written_or_refused(folder: Path) -> None:
    tried = {name.split(",")[0] for name in HEADS}
    for name in tinyseq.heads:
        if name in tried:
            continue
        with pytest.raises(ConfigError, match="cannot be written down"):
            to_python(
                SequenceModel(Embedding(9, 4), run(LSTM(4, 4)), other_head(name)), folder / "refused.py"
            )
    assert not (folder / "refused.py").exists()


def other_head(name: str) -> Any:
    return tinyseq.heads[name](4, 5, GRU(4, 4), end=0, condition="state", max_length=5)


def test_features_in_float64(folder: Path) -> None:
    model = SequenceModel(Linear(3, WIDTH), run(GRU(WIDTH, WIDTH)), HEADS["multi-label"]())
    model.load_state_dict({k: v.astype(np.float64) for k, v in model.state_dict().items()})
    module = written(model, folder)
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, 3)).astype(np.float32) for n in (2, 5, 1)]
    assert same(module.predict(sequences), answers(model, sequences))


def test_tokens_with_their_spelling(folder: Path) -> None:
    for pooling in ("last", "mean", "max"):
        embed = TokenFeatures(
            Embedding(9, 2), Embedding(6, 2), Embedding(7, 2), tinyseq.Recurrent(GRU(2, 2)), pooling=pooling
        )
        model = SequenceModel(embed, run(LSTM(WIDTH, WIDTH)), HEADS["crf"]())
        module = written(model, folder)
        rng = np.random.default_rng(0)
        sequences = [rng.integers(0, 6, (n, 6)) for n in (4, 1, 3)]
        sequences[0][1, 2:] = 0  # a word without characters
        assert same(module.predict(sequences), answers(model, sequences))


def test_step_by_step_is_all_at_once(folder: Path) -> None:
    model = SequenceModel(
        Embedding(9, WIDTH),
        Deep(LSTM(WIDTH, WIDTH), Dropout(0.5), GRU(WIDTH, WIDTH)),
        HEADS["language-model"](),
    )
    module = written(model, folder)
    sequences = [[1, 2, 3, 4], [5, 6, 7, 8]]
    whole = module.predict(sequences)
    state = module.start(2)
    for t in range(4):
        said, state = module.step([row[t] for row in sequences], state)
        assert np.allclose(said, [answer[t] for answer in whole], atol=1e-6)


def test_what_sees_ahead_does_not_stream(folder: Path) -> None:
    model = SequenceModel(Embedding(9, WIDTH), ENCODERS["bidirectional"](), HEADS["tagger"]())
    assert not hasattr(written(model, folder), "step")


def test_texts_in_and_out(folder: Path) -> None:
    vocabulary = Vocabulary.build('ab"\n\\é', specials=["?"], unknown="?")
    model = SequenceModel(
        Embedding(len(vocabulary), WIDTH), run(GRU(WIDTH, WIDTH)), HEADS["language-model"]()
    )
    module = written(model, folder, vocabulary=vocabulary)
    for text in ('ba"', "\n\\", "éz"):
        assert module.encode(text).tolist() == vocabulary.encode(text).tolist()
        assert module.decode(module.encode(text)) == vocabulary.decode(vocabulary.encode(text))


def test_numpy_is_enough(folder: Path) -> None:
    model = SequenceModel(Embedding(9, WIDTH), ENCODERS["deep"](), HEADS["crf"]())
    written(model, folder)
    code = (
        "import sys; sys.modules['tinyseq'] = None\n"
        "import exported; print([a.tolist() for a in exported.predict([[1, 2, 3], [4]])])\n"
        "loaded = {m.split('.')[0] for m in sys.modules}\n"
        "assert not loaded & {'safetensors', 'numba', 'tqdm', 'tinyseq_cells'}, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.stdout.strip() == str([a.tolist() for a in answers(model, [[1, 2, 3], [4]])]), done.stderr


@pytest.mark.parametrize("wrong", [[[9]], [[-1]], [[]], []])
def test_ids_from_outside_are_refused(wrong: Any, folder: Path) -> None:
    module = written(SequenceModel(Embedding(9, WIDTH), run(GRU(WIDTH, WIDTH)), HEADS["tagger"]()), folder)
    with pytest.raises(ValueError, match=r"ids run from 0 to 8|at least one step"):
        module.predict(wrong)


@pytest.mark.parametrize("name", ["model.txt", "a-b.py", "1.py"])
def test_a_name_that_cannot_be_imported_is_refused(name: str, tmp_path: Path) -> None:
    model = SequenceModel(Embedding(9, WIDTH), run(GRU(WIDTH, WIDTH)), HEADS["tagger"]())
    with pytest.raises(ConfigError, match="Python module"):
        to_python(model, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_pooling_of_ones_own_is_refused_by_name(tmp_path: Path) -> None:
    head = tinyseq.heads["classifier"](WIDTH, 3, pooling=Sequences.first)
    with pytest.raises(ConfigError, match="pooling"):
        to_python(SequenceModel(Embedding(9, WIDTH), run(GRU(WIDTH, WIDTH)), head), tmp_path / "m.py")
    assert not list(tmp_path.iterdir())
