"""Run files that `check` accepts train and answer; mutated ones are refused in sentences."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyseq
from tests.tasks.fuzz import attempt, outcome
from tests.tasks.runs import EMBEDS, ENCODERS, HEADS, run_text, write_data
from tinyseq.tasks import Predictor

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "valid_fraction": st.sampled_from([0.0, 0.05, 0.3, 0.9]),
        "unit": st.sampled_from(["word", "char"]),
        "lowercase": st.booleans(),
        "digits": st.booleans(),
        "min_count": st.sampled_from([1, 3, 50]),
        "valid": st.sampled_from(["data.csv", "data.tsv", "data.conll"]),
    },
)
ASKED: dict[str, Any] = {"pairs": ("Ann saw Oslo.", "Who?"), "sequence-to-sequence": "Ann saw Oslo ."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@settings(max_examples=20)
@given(
    task=st.sampled_from(list(HEADS)),
    head=st.integers(0, 1),
    encoder=st.sampled_from(list(ENCODERS)),
    features=st.sampled_from(list(EMBEDS)),
    options=OPTIONS,
)
def test_what_check_accepts_trains_and_answers(
    folder: Path, task: str, head: int, encoder: str, features: str, options: dict[str, Any]
) -> None:
    text = run_text(task, write_data(task, folder), head=head, encoder=encoder, features=features, **options)
    (folder / "run.toml").write_text(text)
    if outcome(folder) == "refused":
        return
    for left in (folder / "run").glob("*"):
        left.unlink()
    assert outcome(folder, "train") == "accepted"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a head may warn of its encoder
        predictor = tinyseq.load(folder / "run" / "model.safetensors")
    assert isinstance(predictor, Predictor)
    [found] = predictor.predict([ASKED.get(task, "Ann saw Oslo.")])
    assert [found] == predictor.predict(iter([ASKED.get(task, "Ann saw Oslo.")]))  # type: ignore[arg-type]


def test_the_plain_run_files_are_accepted(folder: Path) -> None:
    for task in HEADS:
        for head in (0, 1):
            (folder / "run.toml").write_text(run_text(task, write_data(task, folder), head=head))
            assert outcome(folder) == "accepted", task


@pytest.mark.parametrize("part", range(3))
def test_mutated_run_files_and_data_are_refused_in_sentences(folder: Path, part: int) -> None:
    seen = {attempt(folder, number, seed=1) for number in range(60 * part, 60 * part + 60)}
    assert seen == {"accepted", "refused"}


def test_pretrained_vectors_stand_in_the_model_and_keep_their_words(folder: Path) -> None:
    (folder / "v.txt").write_text("ann 1 2 3 4 5 6\nRome 6 5 4 3 2 1\nnobody 0 0 0 0 0 1\n")
    text = run_text("tagging", write_data("tagging", folder), vectors="v.txt", min_count=50)
    (folder / "run.toml").write_text(f'{text}optimizer = {{ class = "sgd", lr = 0.0 }}\n')
    for left in (folder / "run").glob("*"):
        left.unlink()
    assert outcome(folder) == outcome(folder, "train") == "accepted"
    predictor = tinyseq.load(folder / "run" / "model.safetensors")
    assert isinstance(predictor, Predictor)
    vocabulary = predictor.task.reader.vocabulary
    assert set(vocabulary.symbols) == {"<unk>", "Ann", "Rome"}  # all others are rare, and have no vector
    table = predictor.model.embed.weight.numpy()
    assert table[vocabulary.id("Ann")].tolist() == [1, 2, 3, 4, 5, 6]
    assert table[vocabulary.id("Rome")].tolist() == [6, 5, 4, 3, 2, 1]
    (folder / "v.txt").write_text("Ann 1 2\n")
    assert outcome(folder) == "refused"
