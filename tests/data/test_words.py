"""Words of any script, against texts whose words are known and rules that hold for all."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import words

SPACED = {
    "Hindi": "हिन्दी विश्व की भाषा है",
    "Tamil": "தமிழ் மொழி அழகு",
    "Bengali": "বাংলা ভাষা",
    "Thai": "สวัสดี ครับ",
    "Lao": "ສະບາຍດີ ເດີ້",
    "Khmer": "សួស្តី បង",
    "Burmese": "မင်္ဂလာပါ ခင်ဗျာ",
    "Persian": "می\u200cخواهم کتاب",
    "Sinhala": "ශ්\u200dරී ලංකා",
    "vocalised Arabic": "كِتَابٌ جَدِيدٌ",
    "pointed Hebrew": "שָׁלוֹם עוֹלָם צה\"ל ג'ירפה",
    "decomposed French": unicodedata.normalize("NFD", "café crème été"),
    "decomposed Vietnamese": unicodedata.normalize("NFD", "tiếng Việt"),
    "Korean": "한국어 문장",
    "decomposed Korean": unicodedata.normalize("NFD", "한국어 문장"),
    "Amharic": "ሰላም ዓለም",
    "Georgian": "გამარჯობა მსოფლიო",
    "Greek": "καλημέρα κόσμε",
    "Katakana": "テスト コーヒー",
    "Catalan": "col·legi paral·lel",
    "numbers": "3.14 1,000 ٣٫١٤ 1,2.3",
    "names of programs": "snake_case _private B2B __init__",
    "English": "don't o\u2019clock e.g U.S",
    "pictures": "👩\u200d👩\u200d👧 👍🏽 🇩🇪 ❤\ufe0f 1\ufe0f\u20e3",
}


@pytest.mark.parametrize("language", SPACED)
def test_words_between_spaces_stay_whole(language: str) -> None:
    assert words(SPACED[language]) == SPACED[language].split(" ")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Well, is it?", ["Well", ",", "is", "it", "?"]),
        ("(two-fold)...", ["(", "two", "-", "fold", ")", ".", ".", "."]),
        ("'quoted' dogs' 5%", ["'", "quoted", "'", "dogs", "'", "5", "%"]),
        ("大学はテスト", ["大", "学", "は", "テスト"]),
        ("iPhoneを3台", ["iPhone", "を", "3", "台"]),
        ("नमस्ते।", ["नमस्ते", "।"]),
        ("ما هذا؟", ["ما", "هذا", "؟"]),
        ("กข\u200bคง123", ["กข", "คง", "123"]),  # U+200B divides words
        ("🇩🇪🇫🇷🇮", ["🇩🇪", "🇫🇷", "🇮"]),
        ("\ufeffa\u00adb\x00c\u202f!", ["a\u00adb", "c", "!"]),
        ("1.a a.1 1,a 1'2", ["1", ".", "a", "a", ".", "1", "1", ",", "a", "1'2"]),
        ("x\u0301\u0302y", ["x\u0301\u0302y"]),
        ("", []),
        (" \t\r\n\u3000", []),
    ],
)
def test_where_words_end(text: str, right: list[str]) -> None:
    assert words(text) == right


def test_elided_words_are_words() -> None:
    assert words("l'été d\u2019or qu'il", elided=True) == ["l'", "été", "d\u2019", "or", "qu'", "il"]
    assert words("'a' b", elided=True) == ["'", "a", "'", "b"]


@given(st.text())
def test_nothing_that_is_seen_is_lost(text: str) -> None:
    def seen(text: str) -> str:
        return "".join(c for c in text if unicodedata.category(c) not in {"Zs", "Zl", "Zp", "Cc", "Cf"})

    for elided in (False, True):
        found = words(text, elided=elided)
        assert seen("".join(found)) == seen(text)
        assert all(found)


@given(st.text(st.sampled_from("aé\u0301\u094dक.,'’ 1_ก大\u200d"), max_size=12), st.text(max_size=3))
def test_a_word_is_one_word_and_spaces_divide(text: str, rest: str) -> None:
    found = words(text)
    assert [words(word) for word in found] == [[word] for word in found]
    assert words(f"{text} {rest}") == found + words(f" {rest}")


@given(
    st.text(st.characters(categories=["Mn", "Mc", "Me"]), min_size=1, max_size=3),
    st.sampled_from("aкक漢ナא5"),
)
def test_marks_never_leave_their_letter(marks: str, letter: str) -> None:
    assert words(f"{letter}{marks} b") == [letter + marks, "b"]
