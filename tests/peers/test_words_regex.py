"""Words by Unicode's rules, against those of the package regex."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyseq.data import words

regex = pytest.importorskip("regex", reason="needs regex: pip install '.[test-peers]'")

ALPHABETS = [
    "abcéZß", "'\"\u2019.,:;·!?-_()…", "0123٣५", " ", "\u200d\u200c\u0301\u094d\u0651\u0327\u20e3\ufe0f",
    "हिन्दीविश्व", "தமிழ்", "كتابمی", "שלוםְ", "カタカナー", "ひらが", "漢字大学", "😀👍🏽👩🇩🇪❤",
    "한국어", "Ⅷ²½№",
]  # fmt: skip


@settings(max_examples=2000)
@given(st.lists(st.sampled_from(ALPHABETS), min_size=1, max_size=4).flatmap(lambda a: st.text("".join(a))))
def test_words_are_those_of_regex(text: str) -> None:
    parts = [part.strip(" ") for part in regex.split(r"(?V1)(?w)\b", text)]
    assert words(text) == [w for w in parts if not all(unicodedata.category(c) == "Cf" for c in w)]
