"""A file written from a model says what the model says, and needs nothing but NumPy for it."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tests.interop.models import ENCODERS, GRU, HEADS, LSTM, WIDTH, Deep, models_of, run
from tinyseq import Sequences, no_grad, recipes
from tinyseq.data import Vocabulary
from tinyseq.errors import ConfigError
from tinyseq.interop import to_python
from tinyseq.nn import Dropout, Embedding, Linear, SequenceModel, Sequential, TokenFeatures
from tinyseq.tasks.reader import Reader


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


@pytest.mark.parametrize("encoder", ["grus", "bidirectional", "reversed", "stacks both ways"])
def test_pooling_where_each_direction_has_read_everything(encoder: str, folder: Path) -> None:
    head = tinyseq.heads["classifier"](WIDTH, 4, pooling="ends")
    model = SequenceModel(Embedding(9, WIDTH), ENCODERS[encoder](), head)
    sequences = [[1, 2, 3], [4, 5, 6, 7, 8], [0]]
    assert same(written(model, folder).predict(sequences), answers(model, sequences))


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


def test_tokens_whose_words_are_dropped_in_training(folder: Path) -> None:
    dropped = tinyseq.layers["word-dropout"](0.5, columns=True)
    embed = Sequential(dropped, TokenFeatures(Embedding(9, 2), Embedding(6, 2)), Linear(4, WIDTH))
    module = written(model := SequenceModel(embed, run(LSTM(WIDTH, WIDTH)), HEADS["crf"]()), folder)
    sequences = [np.random.default_rng(0).integers(0, 6, (n, 2)) for n in (4, 1, 3)]
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


REFUSED = ("Decoder", "Generator", "SlotsAndIntent")
"""Heads that write symbol after symbol, and one of a recipe's own that answers twice."""


@pytest.mark.parametrize("name", list(recipes))
def test_the_models_of_every_recipe(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the recipe makes them: on a ragged batch, on one sequence, and step by step where it streams."""
    for model, xs in models_of(name, monkeypatch):
        if type(model.head).__name__ in REFUSED:
            with pytest.raises(ConfigError, match="cannot be written down"):
                to_python(model, folder / "refused.py")
            continue
        module = written(model, folder)
        sequences = [x.numpy() for x in xs.to_list()] if isinstance(xs, Sequences) else list(xs.numpy())
        ragged = [x[: max(1, len(x) - k % 3)] for k, x in enumerate(sequences)]
        right = answers(model, ragged)
        assert same(module.predict(ragged), right)
        assert same(module.predict(ragged[:1]), answers(model, ragged[:1]))
        if hasattr(module, "step"):
            state = module.start(1)
            for x, wanted in zip(ragged[0], right[0], strict=True):
                said, state = module.step([x], state)
                assert np.allclose(said[0], wanted, rtol=1e-6, atol=1e-6)


def test_what_sees_ahead_does_not_stream(folder: Path) -> None:
    model = SequenceModel(Embedding(9, WIDTH), ENCODERS["bidirectional"](), HEADS["tagger"]())
    assert not hasattr(written(model, folder), "step")


def test_texts_in_and_out(folder: Path) -> None:
    vocabulary = Vocabulary.build('ab"\n\\é😀\u2028', specials=["?"], unknown="?")
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


def refuses(call: Any) -> str:
    """What a file says of bad input: one sentence of its own, not NumPy's."""
    with pytest.raises(ValueError, match=r"^(give|a sequence is|ids|the state is|there is no id)") as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


IDS: list[Any] = [
    [[9]], [[-1]], [[]], [[1], []], [], None, 3, "ab", [3], [None], [[None]], [[1.5]], [[1.0]], [[np.nan]],
    [["a"]], [[True]], [[[1], [2]]], [[[1, 2], [3]]], [[10**30]], [[1j]], [[object()]], {"a": [1]},
    np.array(3), [np.array(["2020-01-01"], "M8[D]")],
]  # fmt: skip
FEATURES: list[Any] = [
    [[[1, 2.0]]], [[1, 2.0, 3]], [[[1, 2, 3], [1, 2]]], [[["a", "b", "c"]]], [[[1, 2, None]]], [[]],
    [np.ones((2, 3, 3))], [np.ones((2, 3)), np.ones((2, 2))], [np.ones((2, 3), complex)], [np.ones((0, 3))],
]  # fmt: skip


def test_what_is_no_input_is_refused_in_a_sentence(folder: Path) -> None:
    module = written(SequenceModel(Embedding(9, WIDTH), run(GRU(WIDTH, WIDTH)), HEADS["crf"]()), folder)
    for wrong in IDS:
        refuses(lambda wrong=wrong: module.predict(wrong))
    for dtype in ("int8", "uint16"):
        assert len(module.predict([np.array([1, 2], dtype)])[0]) == 2
    embed = SequenceModel(Linear(3, WIDTH), run(GRU(WIDTH, WIDTH)), HEADS["classifier, mean"]())
    module = written(embed, folder)
    for wrong in FEATURES:
        refuses(lambda wrong=wrong: module.predict(wrong))


def test_steps_and_texts_that_do_not_fit_are_refused(folder: Path) -> None:
    deep = Deep(LSTM(WIDTH, WIDTH), GRU(WIDTH, WIDTH))
    model = SequenceModel(Embedding(9, WIDTH), deep, HEADS["language-model"]())
    module = written(model, folder, vocabulary=Vocabulary.build("abcdefghi"))
    state = module.start(2)
    for x in ([1], [1, 9], [1.0, 2.0], None, 3, [[1, 2]], []):
        refuses(lambda x=x: module.step(x, state))
    for wrong in (None, (), state[:1], (state[0], module.start(1)[1]), module.start(3)):
        refuses(lambda wrong=wrong: module.step([1, 2], wrong))
    for call in (
        lambda: module.encode("az"), lambda: module.encode(3), lambda: module.decode([9]),
        lambda: module.decode([-1]), lambda: module.decode([1.5]), lambda: module.decode("ab"),
    ):  # fmt: skip
        refuses(call)


def test_words_in_and_labels_out(folder: Path) -> None:
    words = Vocabulary.build(["good", "film"], unit="word", specials=["<unk>"], unknown="<unk>")
    labels = Vocabulary(["B-X", "O", "I-X", "I-Y"], unit="word")
    model = SequenceModel(Embedding(len(words), WIDTH), run(GRU(WIDTH, WIDTH)), HEADS["tagger"]())
    module = written(model, folder, vocabulary=words, labels=labels)
    assert module.encode(["film", "bad"]).tolist() == words.encode(["film", "bad"]).tolist()
    assert module.decode(np.array([1, 0])) == ["O", "B-X"]
    assert "a list of words" in refuses(lambda: module.encode("good film"))


WORDS = ["Ann", "saw", "ROME", "McAdam", "3rd", "1950", ".", "film", "\u00e9t\u00e9", "x" * 20]


@pytest.mark.parametrize("features", ["word", "case", "spelling"])
@pytest.mark.parametrize("options", [{}, {"lowercase": True}, {"digits": True}])
def test_words_are_read_as_the_task_reads_them(features: str, options: Any, folder: Path) -> None:
    reader = Reader.of([WORDS[::2], WORDS[::2]], features=features, **options)
    sizes = reader.told()
    embed: Any = Embedding(sizes["vocabulary_size"], 4)
    if features != "word":
        spelling = (Embedding(sizes["characters"], 2), tinyseq.Recurrent(GRU(2, 2)))
        embed = TokenFeatures(embed, Embedding(6, 2), *(spelling if features == "spelling" else ()))
    model = SequenceModel(embed, run(GRU(embed.embedding_size, WIDTH)), HEADS["crf"]())
    module = written(model, folder, vocabulary=reader, labels=Vocabulary("abcd"))
    assert module.encode(WORDS).tolist() == reader.ids(WORDS).tolist()
    assert same(module.predict([module.encode(WORDS)]), answers(model, [reader.ids(WORDS)]))
    for wrong in ("a film", None, 3, ["a", 3], [""]):
        assert "a list of words" in refuses(lambda wrong=wrong: module.encode(wrong))


def test_characters_are_read_as_the_task_reads_them(folder: Path) -> None:
    reader = Reader.of(["abc", "abd"], unit="char")
    model = SequenceModel(Embedding(9, WIDTH), run(GRU(WIDTH, WIDTH)), HEADS["tagger"]())
    module = written(model, folder, vocabulary=reader)
    assert module.encode(" bad ").tolist() == reader.ids(reader.split(" bad ")).tolist()


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
