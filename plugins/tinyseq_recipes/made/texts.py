"""Made-up texts: names, reviews, sentences with their tags, questions and requests."""

from collections.abc import Sequence

import numpy as np

Tagged = tuple[list[str], list[str]]


class Dice:
    """Choices that are the same every time."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, options: str | Sequence[str]) -> str:
        """One of the options, or of the words of a string."""
        options = options.split() if isinstance(options, str) else options
        return options[int(self.rng.integers(len(options)))]

    def happens(self, chance: float) -> bool:
        """True with that chance."""
        return bool(self.rng.random() < chance)


def names(count: int) -> list[tuple[str, str]]:
    """Pairs (name, language) of five languages that nobody speaks.

    Steppe and Valley are built from the same syllables; but in a Steppe name all vowels are of one kind, as
    in Turkish or Finnish, so that only a memory across syllables tells them apart.
    """
    dice, made = Dice(1), dict[tuple[str, str], None]()
    while len(made) < count:
        language = dice.one("Coast Island North Steppe Valley")
        syllables = 2 + int(dice.happens(0.5))
        if language == "Coast":
            name = (
                "".join(dice.one("b d f l m n r s t") + dice.one("a e i o") for _ in range(syllables)) + "no"
            )
        elif language == "Island":
            part = dice.one("k l m n p w h") + dice.one("a e i o u ai au")
            name = part + part + dice.one(["", "la", "i", "nu"])
        elif language == "North":
            name = dice.one("br gr st tr sv hj k") + dice.one("a e o y") + dice.one("lf rn nd ck gg")
            name += dice.one("sen gard ulf rid mund")
        else:
            kinds = [dice.one(["a o u", "e i y"])] * syllables
            if language == "Valley":
                kinds = ["a o u", "e i y"] * 2 if dice.happens(0.5) else ["e i y", "a o u"] * 2
            name = "".join(
                dice.one("k t d m n l r s") + dice.one(kind) + dice.one(["", "", "n", "r"])
                for kind in kinds[:syllables]
            )
        made[name.capitalize(), language] = None
    return list(made)


def tagged_sentences(count: int) -> list[Tagged]:
    """Sentences with the parts of speech of their words, many of which can be a noun or a verb."""
    dice = Dice(2)
    both = "run walk play plan watch answer fish cook drink dream paint ship train guard"
    adjectives = "old young quick quiet red small light fast"

    def noun_phrase() -> list[str]:
        adjective = [f"{dice.one(adjectives)}/ADJ"] if dice.happens(0.4) else []
        noun = dice.one(both) if dice.happens(0.6) else dice.one("house river friend garden idea king")
        return [f"{dice.one('the a this every')}/DET", *adjective, f"{noun}/NOUN"]

    def sentence() -> list[str]:
        verb = f"{dice.one(both) if dice.happens(0.7) else dice.one('see want find keep')}/VERB"
        subject = [f"{dice.one('I you we they')}/PRON"] if dice.happens(0.5) else noun_phrase()
        will = [f"{dice.one('will can must')}/AUX"] if dice.happens(0.4) else []
        adverb = [f"{dice.one('fast often quietly well')}/ADV"] if dice.happens(0.3) else []
        where = [f"{dice.one('near with for')}/ADP", *noun_phrase()] if dice.happens(0.4) else []
        want = ["to/PART", f"{dice.one(both)}/VERB"] if dice.happens(0.2) else []
        return [*subject, *will, verb, *(want or noun_phrase()), *adverb, *where, "./PUNCT"]

    return [_tagged(sentence()) for _ in range(count)]


def named_entities(count: int) -> list[Tagged]:
    """Sentences about people, places and firms that share their names, tagged IOB2."""
    dice = Dice(3)
    shared = "Jordan Paris Chelsea Ford Austin Sydney Madison Lincoln Hilton Morgan Florence Kent Dell Wells"
    syllables = "bar ton el mar shi vor dan ke lo rin"

    def name() -> str:
        return (
            dice.one(shared)
            if dice.happens(0.6)
            else (dice.one(syllables) + dice.one(syllables)).capitalize()
        )

    def entity(kind: str) -> list[str]:
        more = kind == "PER" and dice.happens(0.4)
        return [f"{name()}/B-{kind}", *([f"{name()}/I-{kind}"] if more else [])]

    def words(text: str) -> list[str]:
        return [f"{word}/O" for word in text.split()]

    def sentence() -> list[str]:
        person, place, firm = entity("PER"), entity("LOC"), entity("ORG")
        told = [
            [*person, *words("moved to"), *place],
            [*words("yesterday"), *person, *words("met"), *entity("PER"), *words("in"), *place],
            [*words("shares of"), *firm, *words("fell after"), *person, *words("left the company")],
            [*words("it rained in"), *place, *words("all day")],
            [*firm, *words("hired"), *person, *words("as a manager")],
            [*words("the streets of"), *place, *words("were empty , said"), *person],
        ]
        return [*told[int(dice.rng.integers(len(told)))], "./O"]

    return [_tagged(sentence()) for _ in range(count)]


def reviews(count: int) -> list[tuple[list[str], int]]:
    """Words and verdict, 1 for good; "not" turns a word around, and what comes after "but" decides."""
    dice = Dice(4)
    words = {True: "good superb moving clever funny fresh", False: "bad dull awful slow flat stale"}

    def clause(good: bool) -> list[str]:
        negated = dice.happens(0.5)
        middle = ["not"] if negated else [dice.one("very rather truly")] if dice.happens(0.4) else []
        thing = dice.one("plot cast film music ending script")
        return ["the", thing, dice.one("is was"), *middle, dice.one(words[good != negated])]

    def review() -> tuple[list[str], int]:
        good = dice.happens(0.5)
        before = [*clause(not good), "but"] if dice.happens(0.4) else []
        return [*before, *clause(good)], int(good)

    return [review() for _ in range(count)]


def utterances(count: int) -> list[tuple[list[str], list[str], str]]:
    """Words, slots (IOB2) and intent of requests; Boston is a city, and a band."""
    dice = Dice(5)
    shared = "boston chicago kansas alabama europe asia"

    def slot(kind: str, text: str) -> list[str]:
        return [f"{word}/{'I' if i else 'B'}-{kind}" for i, word in enumerate(text.split())]

    def words(text: str) -> list[str]:
        return [f"{word}/O" for word in text.split()]

    def utterance() -> tuple[list[str], str]:
        city = slot("city", dice.one([*shared.split(), "new york", "lima", "oslo"]))
        artist = slot("artist", dice.one([*shared.split(), "the doors", "queen"]))
        day = slot("day", dice.one(["monday", "friday", "next week", "tomorrow"]))
        number = slot("number", dice.one("two three four five"))
        if dice.happens(1 / 3):
            song = slot("song", dice.one(["hey tomorrow", "friday", "blue train", "next year"]))
            return [*words(dice.one(["play", "i want to hear"])), *song, *words("by"), *artist], "play"
        if dice.happens(1 / 2):
            table = words(dice.one(["book a table for", "i need a table for"]))
            return [*table, *number, *words("in"), *city, *words(dice.one(["on", "for"])), *day], "book"
        return [*words(dice.one(["will it rain in", "how cold is it in"])), *city, *day], "weather"

    return [(*_tagged(found), intent) for found, intent in (utterance() for _ in range(count))]


def questions(count: int) -> list[tuple[str, str, int]]:
    """Two questions, and 1 if they ask the same: other words may, and the same words may not."""
    dice = Dice(6)
    cities = "rome oslo lima cairo delhi paris tokyo quito"
    routes = [
        "how do i get from {0} to {1}", "what is the way to {1} from {0}",
        "i am in {0} and must go to {1} , how",
        "which train leaves {0} for {1}", "coming from {0} , how does one reach {1}",
    ]  # fmt: skip
    likes = [
        "is {0} larger than {1}", "is {1} smaller than {0}", "does {0} have more people than {1}",
        "does {1} have fewer people than {0}",
    ]  # fmt: skip

    def pair() -> tuple[str, str, int]:
        forms, a, b = routes if dice.happens(0.5) else likes, dice.one(cities), dice.one(cities)
        same = dice.happens(0.5)
        first, second = dice.one(forms), dice.one(forms)
        other = (a, b) if same else (b, a) if dice.happens(0.6) else (a, dice.one(cities))
        return first.format(a, b), second.format(*other), int(other == (a, b))

    found: dict[tuple[str, str, int], None] = {}
    while len(found) < count:
        a, b, same = pair()
        if a != b:
            found[a, b, same] = None
    return list(found)


def _tagged(tokens: list[str]) -> Tagged:
    pairs = [token.rpartition("/") for token in tokens]
    return [word for word, _, _ in pairs], [tag for _, _, tag in pairs]
