"""BLEU equals sacrebleu's, on tokens and on texts."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyseq.errors import ConfigError
from tinyseq.evaluation import BLEU

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
