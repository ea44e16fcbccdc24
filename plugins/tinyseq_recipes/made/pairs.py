"""Made-up pairs of sequences: a language with another order of words, a spelling, and small talk."""

from collections.abc import Callable

from tinyseq_recipes.made.texts import Dice

Pair = tuple[list[str], list[str]]

NOUNS = {
    "man": "tiru", "woman": "sela", "dog": "kapo", "cat": "miun", "king": "oreth", "child": "pip",
    "teacher": "dovan", "bird": "luli", "farmer": "gast", "sister": "nemi",
}  # fmt: skip
ADJECTIVES = {"big": "gro", "small": "tik", "old": "vet", "red": "ruf", "happy": "jol", "poor": "mez"}
VERBS = {
    "see": "vid", "like": "amu", "follow": "sek", "hear": "ode", "help": "jud", "find": "trov", "know": "kon",
}  # fmt: skip
ADVERBS = {"today": "hoda", "often": "ofta", "never": "nenka"}


def translations(count: int) -> list[Pair]:
    """English, and a language with adjectives after nouns, verbs last, and marks of number, case, tense."""
    dice = Dice(11)

    def phrase(is_object: bool) -> tuple[list[str], list[str]]:
        noun, many = dice.one(list(NOUNS)), dice.happens(0.4)
        adjective = [dice.one(list(ADJECTIVES))] if dice.happens(0.5) else []
        plural = {"man": "men", "woman": "women", "child": "children"}.get(noun, noun + "s")
        ours = ["the", *adjective, plural if many else noun]
        theirs = [NOUNS[noun] + ("i" * many) + ("n" * is_object)]
        return ours, [*theirs, *(ADJECTIVES[word] + "o" + "i" * many for word in adjective)]

    def sentence() -> Pair:
        (who, kiu), (whom, kiun), verb = phrase(False), phrase(True), dice.one(list(VERBS))
        time = dice.one(["will", "did", "can"])
        ending = {"will": "os", "did": "is", "can": "ebla"}[time]
        adverb = [dice.one(list(ADVERBS))] if dice.happens(0.4) else []
        asks = dice.happens(0.3)
        ours = [time, *who, verb, *whom, *adverb, "?"] if asks else [*who, time, verb, *whom, *adverb, "."]
        theirs = [*(ADVERBS[word] for word in adverb), *kiu, *kiun, VERBS[verb] + ending]
        return ours, [*(["cu"] if asks else []), *theirs, "?" if asks else "."]

    return _different(sentence, count)


def spellings(count: int) -> list[Pair]:
    """Words letter by letter, and how they sound, by rules that look at the letters around.

    c is S before e and i, else K, and CH before h; g alike; a vowel is long before one consonant and a
    last e, which is silent; a double consonant sounds once.
    """
    dice = Dice(12)
    short = {"a": "AE", "e": "EH", "i": "IH", "o": "AA", "u": "AH"}
    long = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW"}

    def word() -> Pair:
        parts = [dice.one("b c d f g l m n p r s t ch sh th ph") + dice.one("a e i o u") for _ in range(2)]
        ending = dice.one("n t l m r") + "e" if dice.happens(0.5) else dice.one("nt ck ll st ss n")
        letters = "".join(parts[: 1 + int(dice.happens(0.6))]) + ending
        return list(letters), sounds(letters)

    def sounds(letters: str) -> list[str]:
        found, i = list[str](), 0
        while i < len(letters):
            two, letter, after = letters[i : i + 2], letters[i], letters[i + 1 : i + 2]
            if two in ("ch", "sh", "th", "ph", "ck"):
                found.append({"ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "ck": "K"}[two])
                i += 2
                continue
            if letter in "cg":
                soft = after in ("e", "i")
                found.append(("S" if soft else "K") if letter == "c" else "JH" if soft else "G")
            elif letter in short:
                silent = letter == "e" and i == len(letters) - 1
                is_long = i + 3 == len(letters) and letters[-1] == "e"
                found += [] if silent else [long[letter] if is_long else short[letter]]
            elif letter != after:
                found.append(letter.upper())
            i += 1
        return found

    return _different(word, count)


def small_talk(count: int) -> list[Pair]:
    """Remarks and replies; a reply takes up a word of the remark, counts, or turns it round."""
    dice = Dice(13)
    numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    names = [
        "anna",
        "ben",
        "carla",
        "dan",
        "eva",
        "finn",
        "gina",
        "hugo",
        "ida",
        "jonas",
        "karla",
        "leo",
        "mia",
        "nils",
        "olga",
        "paul",
    ]
    cities = ["rome", "oslo", "lima", "cairo", "delhi", "paris", "tokyo", "quito", "berlin", "dakar"]
    moods = {"sad": "i am sorry to hear that", "happy": "that is good to hear", "tired": "you should sleep"}

    def remark() -> Pair:
        name, other, city, mood = dice.one(names), dice.one(names), dice.one(cities), dice.one(list(moods))
        a, b = int(dice.rng.integers(5)), int(dice.rng.integers(5))
        told = [
            (f"{dice.one(['hello', 'hi'])} my name is {name}", f"hello {name} nice to meet you"),
            (f"i {dice.one(['live in', 'come from'])} {city}", f"how is the weather in {city} ?"),
            (f"how much is {numbers[a]} plus {numbers[b]} ?", f"it is {numbers[a + b + 1]}"),
            (f"i am {dice.one(['so', 'very', 'a bit'])} {mood} today", moods[mood]),
            (f"{name} is {mood}", f"why is {name} {mood} ?"),
            (f"do you know {name} from {city} ?", f"no , i do not know {name}"),
            (f"{name} and {other} live in {city}", f"do {name} and {other} like {city} ?"),
            (f"is {city} far from {dice.one(cities)} ?", f"i have never been to {city}"),
        ]
        question, answer = told[int(dice.rng.integers(len(told)))]
        return question.split(), answer.split()

    return _different(remark, count)


def _different(make: Callable[[], Pair], count: int) -> list[Pair]:
    found: dict[tuple[str, ...], Pair] = {}
    while len(found) < count:
        pair = make()
        found[tuple(pair[0])] = pair
    return list(found.values())
