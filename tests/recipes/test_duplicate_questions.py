"""From which similarity on two questions are duplicates is learned from validation pairs alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_recipes import duplicate_questions
from tinyseq_recipes.duplicate_questions import Pair

from tinyseq.evaluation import best_threshold

scored = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=12)


def pairs(labels: list[int]) -> list[Pair]:
    return [("a", "b", same) for same in labels]


@given(valid=scored, test=scored)
def test_the_threshold_is_that_of_the_validation_pairs(
    valid: list[tuple[int, int]], test: list[tuple[int, int]]
) -> None:
    (valid_scores, valid_labels), (test_scores, test_labels) = (
        ([float(s) for s, _ in part], [y for _, y in part]) for part in (valid, test)
    )
    found = duplicate_questions._figures(valid_scores, pairs(valid_labels), test_scores, pairs(test_labels))
    threshold = best_threshold(valid_scores, valid_labels)
    right = sum(
        (score > threshold) == bool(same) for score, same in zip(test_scores, test_labels, strict=True)
    )
    assert found["accuracy"] == round(right / len(test), 4)


def test_a_threshold_that_would_suit_the_test_is_not_taken() -> None:
    found = duplicate_questions._figures([0.1, 0.9], pairs([0, 1]), [0.2, 0.3, 0.4], pairs([0, 1, 1]))
    assert found == {"accuracy": 0.3333, "AUC": 1.0}


@pytest.mark.parametrize("loss", ["mean-closest-triplet", "info-nce"])
def test_it_says_how_many_triplets_are_active(loss: str, capsys: pytest.CaptureFixture[str]) -> None:
    duplicate_questions.duplicate_questions(
        None, loss=loss, examples=100, epochs=1, embedding=4, hidden=4, batch=8
    )
    printed = capsys.readouterr().out
    assert "its partner is the nearest of about 8 sentences: " in printed
    assert ("triplets that still cost something: " in printed) == (loss != "info-nce")
