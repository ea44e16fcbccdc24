"""BLEU equals sacrebleu's, on tokens and on texts."""

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyseq.errors import ConfigError
from tinyseq.evaluation import BLEU, TranslationScore

sacrebleu = pytest.importorskip("sacrebleu", reason="needs sacrebleu: pip install '.[test-peers]'")

WORDS = ["the", "cat", "sat", "on", "a", "mat."]


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), sentences=st.integers(1, 5), noise=st.sampled_from([0.0, 0.2, 0.9]))
@pytest.mark.parametrize("tokenize", [None, "13a"])
def test_corpus_bleu(tokenize: str | None, seed: int, sentences: int, noise: float) -> None:
    rng = random.Random(seed)
    wanted = [rng.choices(WORDS, k=rng.randint(1, 12)) for _ in range(sentences)]
    predicted = [
        [w if rng.random() > noise else rng.choice(WORDS) for w in s[: rng.randint(1, 12)]] for s in wanted
    ]
    texts, references = ([" ".join(s) for s in side] for side in (predicted, wanted))
    theirs = sacrebleu.BLEU(tokenize=tokenize or "none", force=True).corpus_score(texts, [references]).score
    ours = BLEU(tokenize=tokenize)
    if tokenize:
        ours.update(texts, references)
    else:
        ours.update(predicted, wanted)
    assert ours.value() == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_figures_of_tokens_and_texts_do_not_mix() -> None:
    with pytest.raises(ConfigError, match="BLEU of tokenize='13a' cannot be merged into None"):
        BLEU().merge(BLEU(tokenize="13a"))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 5))
@pytest.mark.parametrize(
    ("kind", "options"), [("bleu", {}), ("chrf", {}), ("chrf", {"word_order": 2}), ("ter", {})]
)
def test_its_own_figures_of_whole_corpora(kind: Any, options: dict[str, Any], seed: int, cut: int) -> None:
    rng = random.Random(seed)
    wanted = [" ".join(rng.choices(WORDS, k=rng.randint(1, 9))) for _ in range(5)]
    predicted = [" ".join(rng.sample(text.split(), len(text.split()))) for text in wanted]
    theirs = getattr(sacrebleu.metrics, {"bleu": "BLEU", "chrf": "CHRF", "ter": "TER"}[kind])(**options)
    ours, rest = TranslationScore(kind, **options), TranslationScore(kind, **options)
    ours.update(predicted[:cut], wanted[:cut])
    rest.update(predicted[cut:], wanted[cut:])
    ours.merge(rest)
    assert ours.value() == theirs.corpus_score(predicted, [wanted]).score
    assert ours.higher_is_better == (kind != "ter")
    assert "version:" in ours.signature()


def test_scores_that_there_are_not() -> None:
    with pytest.raises(ConfigError, match="kind is 'bleu' or 'chrf' or 'ter', not 'rouge'"):
        TranslationScore("rouge")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unexpected keyword"):
        TranslationScore("chrf", order=3)
    with pytest.raises(ConfigError, match="cannot be merged"):
        TranslationScore("chrf").merge(TranslationScore("ter"))
    assert math.isnan(TranslationScore("ter").value())
