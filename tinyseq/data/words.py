"""Words of any script: where one ends and the next begins."""

import re
import unicodedata

ALONE, SPACE, LETTER, HEBREW, KATAKANA, COMPLEX, DIGIT, JOIN, EXTEND, ZWJ, FLAG, PICTURE = "o LHKTN_xzRP"

MARKS = {
    **dict.fromkeys(":\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a", ":"),  # between letters
    **dict.fromkeys(".\u2018\u2019\u2024\ufe52\uff07\uff0e", "."),  # between letters, or between digits
    **dict.fromkeys(",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b", ","),
    "'": "'",
    '"': '"',
    "\u066b": DIGIT,  # the decimal separator of Arabic
    "\u200d": ZWJ,
    "\u200b": SPACE,  # of no width: it divides the words of scripts that show no spaces
}

RANGES = (
    (HEBREW, 0x05D0, 0x05F2), (HEBREW, 0xFB1D, 0xFB4F),
    (KATAKANA, 0x3031, 0x3035), (KATAKANA, 0x309B, 0x309C), (KATAKANA, 0x30A0, 0x30FA),
    (KATAKANA, 0x30FC, 0x30FF), (KATAKANA, 0x31F0, 0x31FF), (KATAKANA, 0xFF66, 0xFF9D),
    # Thai and Lao, Myanmar, Khmer, Tai, Ahom: where their words end is known to dictionaries only
    (COMPLEX, 0x0E01, 0x0EDF), (COMPLEX, 0x1000, 0x109F), (COMPLEX, 0x1780, 0x17DD),
    (COMPLEX, 0x1950, 0x19DF), (COMPLEX, 0x1A20, 0x1AAD), (COMPLEX, 0xA9E0, 0xA9FE),
    (COMPLEX, 0xAA60, 0xAADF), (COMPLEX, 0x11700, 0x1174F),
    # Han, Hiragana, Tangut and Nushu
    (ALONE, 0x3006, 0x3007), (ALONE, 0x3021, 0x3029), (ALONE, 0x3038, 0x303A), (ALONE, 0x3041, 0x309F),
    (ALONE, 0x3400, 0x4DBF), (ALONE, 0x4E00, 0x9FFF), (ALONE, 0xF900, 0xFAFF), (ALONE, 0x17000, 0x18D08),
    (ALONE, 0x1B001, 0x1B11F), (ALONE, 0x1B150, 0x1B152), (ALONE, 0x1B170, 0x1B2FF),
    (ALONE, 0x20000, 0x3FFFF),
)  # fmt: skip
"""Letters that do not join as those of alphabets do."""


def words(text: str, *, elided: bool = False) -> list[str]:
    """The words, numbers and punctuation marks of a text in any script, without the spaces between them.

    Words end where Unicode's default rules have it (UAX 29, WB1 to WB16): combining marks and joiners belong
    to the letter before them, so do an apostrophe and a stop within a word (don't, 3.14, e.g); ideographs and
    Hiragana stand alone, as do marks and symbols. Three things differ: Thai, Lao, Khmer and Myanmar, whose
    words only a dictionary tells, stay together up to the next space or U+200B; a narrow no-break space is a
    space; and what is never seen (a byte order mark by itself) is no word. With `elided`, an apostrophe ends
    a word, as in French and Italian (l', été).

    Letters keep their case, and composed and decomposed letters (NFC, NFD) differ, as they do in `text`.
    """
    kinds = text.translate(_KINDS)
    found = [text[match.start() : match.end()] for match in _WORD.finditer(kinds)]
    if EXTEND in kinds or ZWJ in kinds:
        found = [word for word in found if not all(map(_is_unseen, word))]
    return [part for word in found for part in _ELIDED.findall(word)] if elided else found


_PIECES = {
    "x": r"[xz]*+",
    "joins": r"(?:_[xz]*+)",
    "katakana": r"(?:K[xz]*+)++",
    # a letter or a digit, and a mark after it if a word goes on behind that
    "unit": r"""(?: L[xz]*+ (?: [:.'] [xz]*+ (?=[LH]) )?+
                  | H[xz]*+ (?! ' [xz]*+ (?![LHxz]) ) (?: [:.'] [xz]*+ (?=[LH]) | " [xz]*+ (?=H) )?+
                  | N[xz]*+ (?: [,.'] [xz]*+ (?=N) )?+ )""",
}
_WORD = re.compile(
    r"""(?: (?=[LHNK_]) {joins}*+ (?: (?: {unit}++ | {katakana} ) {joins}++ )*+
            (?: {katakana} | {unit}*+ (?: H{x}'{x} )?+ )
          | (?: T{x} )++
          | R{x} (?: R{x} )?+
          | [^ ]{x}
        ) (?: (?<=z) P{x} )*+""".format(**_PIECES),
    re.VERBOSE,
)
"""One word in a text of classes, one for each character. In brackets: x and z go with what is before them."""


_ELIDED = re.compile("[^'\u2019]*['\u2019]|[^'\u2019]+")


class _Kinds(dict[int, str]):
    """The class of each character that was asked for so far."""

    def __missing__(self, code: int) -> str:
        return self.setdefault(code, _kind(chr(code)))


_KINDS = _Kinds()


def _kind(character: str) -> str:
    if character in MARKS:
        return MARKS[character]
    code, category = ord(character), unicodedata.category(character)
    if category[0] == "M" or code in (0xFF9E, 0xFF9F) or 0x1F3FB <= code <= 0x1F3FF:
        return EXTEND  # with the voiced sound marks and the colours of skin
    if 0x1F1E6 <= code <= 0x1F1FF:
        return FLAG
    for kind, first, last in RANGES:
        if first <= code <= last and (kind == KATAKANA or category[0] == "L" or category == "Nl"):
            return kind
    if category == "So" and code >= 0x2190:
        return PICTURE
    by_category = {"Nd": DIGIT, "Nl": LETTER, "Pc": JOIN, "Cf": EXTEND, "Cc": SPACE}
    by_kind = {"L": LETTER, "Z": SPACE}
    return by_category.get(category) or by_kind.get(category[0], ALONE)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) == "Cf"
