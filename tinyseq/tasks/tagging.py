"""A tag for each word, and the spans that tags stand for."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyseq.data import read_conll, read_slots
from tinyseq.data.columns import JSON_LINES, read_columns
from tinyseq.engine import no_grad
from tinyseq.errors import ConfigError
from tinyseq.evaluation import SpanF1, class_scores, confusions, means
from tinyseq.evaluation.schemes import Scheme, find_scheme, lenient_spans, parse
from tinyseq.registry.run_options import TaggingData
from tinyseq.sequences import Sequences
from tinyseq.tasks.base import Example, LabelledTask, in_cuts
from tinyseq.tasks.evaluation import Evaluation, Wrong


class TextSpan(NamedTuple):
    """The characters start..stop - 1 of a text."""

    type: str
    start: int
    stop: int
    text: str


class Tagged(NamedTuple):
    """A text, its tokens and their tags; spans, where the tags are of a scheme.

    probabilities: of each token, how likely its tag is; none where the head does not tell.
    """

    text: str
    tokens: list[str]
    tags: list[str]
    spans: list[TextSpan]
    probabilities: list[float] = []  # noqa: RUF012


class Tagging(LabelledTask):
    """Examples are tokens and as many tags."""

    name = "tagging"
    column = "words"
    told_by_head = "tags"

    @classmethod
    def read(cls, data: TaggingData, path: Path) -> list[Any]:
        """Sentences of a CoNLL file, of JSON lines with two lists, or of a folder with seq.in and seq.out."""
        if path.is_dir():
            return [(slots.words, slots.tags) for slots in read_slots(path)]
        if Path(path.name.removesuffix(".gz")).suffix in JSON_LINES:
            return list(read_columns(path, (data.words, data.tags), encoding=data.encoding, parse=_listed))
        named = [column for column in (data.words, data.tags) if not isinstance(column, int)]
        if named:
            raise ConfigError(f"{path} has columns without names: say the number of {named[0]!r}, from 0.")
        skip = ("-DOCSTART-", "#") if ".conllu" in path.name else ("-DOCSTART-",)
        rows = read_conll(path, (data.words, data.tags), skip=skip, encoding=data.encoding)  # type: ignore[arg-type]
        return [(list(found), list(tags)) for found, tags in rows]

    @staticmethod
    def labels_of(examples: Sequence[Example]) -> Iterable[str]:
        """Every tag."""
        return chain.from_iterable(tags for _, tags in examples)

    def told(self) -> dict[str, Any]:
        """Sizes, and the names of the tags."""
        names = list(self.labels.symbols)
        return {**self.reader.told(), "tags": len(names), "tag_names": names}

    def collate(self, examples: list[Example]) -> tuple[Sequences, Sequences]:
        """Ids of tokens, and ids of their tags."""
        tags = [self.labels.encode(tags) for _, tags in examples]
        return self.inputs([tokens for tokens, _ in examples]), Sequences.from_list(tags)

    def answers(self, model: Any, texts: Sequence[str]) -> list[Tagged]:
        """Tokens, tags and spans of each text."""
        return self.answers_to_tokens(model, [self.reader.split(text) for text in texts], texts)

    def answers_to_tokens(
        self, model: Any, sentences: Sequence[Sequence[str]], texts: Sequence[str] | None = None
    ) -> list[Tagged]:
        """Tags and spans of texts that are tokens already, by default with a space between them."""
        texts = [" ".join(tokens) for tokens in sentences] if texts is None else texts
        made: Any = getattr(getattr(model, "head", None), "probabilities", None)
        with no_grad(), model.evaluating():
            features = model(self.inputs(sentences))
            found = [ids.numpy() for ids in model.head.predict(features).to_list()]
            shares = [rows.numpy() for rows in made(features).to_list()] if made else [None] * len(found)
        answers = []
        for text, tokens, ids, rows in zip(texts, sentences, found, shares, strict=True):
            tags = [self.labels.symbols[i] for i in ids.tolist()]
            chosen = [] if rows is None else rows[np.arange(len(ids)), ids].astype(float).tolist()
            answers.append(Tagged(text, list(tokens), tags, self._spans(text, tokens, tags), chosen))
        return answers

    def nothing(self, text: str) -> Tagged:
        """No tokens, no tags."""
        return Tagged(text, [], [], [])

    def judge(self, model: Any, examples: Sequence[Example]) -> Evaluation:
        """Accuracy, spans or tags one by one, and the sentences with most wrong tags."""
        lengths = [len(tokens) for tokens, _ in examples]
        found: list[list[str]] = [[]] * len(examples)
        for cut in in_cuts(range(len(examples)), lengths, 64):
            for i, tags in zip(cut, self._tags(model, [examples[i][0] for i in cut]), strict=True):
                found[i] = tags
        wanted = [tags for _, tags in examples]
        flat, answers = list(chain.from_iterable(wanted)), list(chain.from_iterable(found))
        figures = {"accuracy": sum(a == b for a, b in zip(flat, answers, strict=True)) / len(flat)}
        scheme = self.scheme(flat)
        if scheme is None:
            by_tag = class_scores(flat, answers)
            scores = {"tag": by_tag | means(by_tag)}
            figures["macro_f1"] = scores["tag"]["macro"].f1
        else:
            metric = SpanF1(self.labels.symbols, scheme=scheme)
            metric.update(found, wanted)
            by_type = metric.report()
            micro = by_type.pop("")
            scores = {"span": by_type | {"micro": micro} | means(by_type)}
            figures["span_f1"] = micro.f1
        wrong = [
            Wrong(
                self.reader.joined(tokens),
                [
                    f"{token}: {b}, not {a}"
                    for token, a, b in zip(tokens, tags, answer, strict=True)
                    if a != b
                ],
                float(sum(a != b for a, b in zip(tags, answer, strict=True))),
            )
            for (tokens, tags), answer in zip(examples, found, strict=True)
            if tags != answer
        ]
        wrong.sort(key=lambda one: -one.badness)
        figures["unknown_words"] = self.reader.unknown_share(tokens for tokens, _ in examples)
        return Evaluation(self.name, len(examples), figures, scores, confusions(flat, answers), wrong)

    def scheme(self, more: Iterable[str] = ()) -> Scheme | None:
        """A scheme that has the letters of the tags, and of `more`; None for parts of speech and the like."""
        try:
            return find_scheme([[tag] for tag in sorted({*self.labels.symbols, *more})])
        except ConfigError:
            return None

    def _tags(self, model: Any, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        found = model.predict(self.inputs(sentences)).to_list()
        return [[self.labels.symbols[i] for i in row.numpy().tolist()] for row in found]

    def _spans(self, text: str, sentence: Sequence[str], tags: list[str]) -> list[TextSpan]:
        scheme = self.scheme()
        if scheme is None:
            return []
        spans = lenient_spans([parse(tag, scheme) for tag in tags])
        places, at = list[tuple[int, int]](), 0
        for word in sentence:
            start = text.index(word, at)
            at = start + len(word)
            places.append((start, at))
        edges = [(span.type, places[span.start][0], places[span.stop - 1][1]) for span in spans]
        return [TextSpan(kind, start, stop, text[start:stop]) for kind, start, stop in edges]


def _listed(tokens: Any, tags: Any) -> tuple[list[str], list[str]]:
    """Two lists of strings of one length."""
    for what, part in (("tokens", tokens), ("tags", tags)):
        if not (isinstance(part, list) and part and all(isinstance(x, str) and x.strip() for x in part)):
            raise ValueError(f"has {what} that are no list of words.")
    if len(tokens) != len(tags):
        raise ValueError(f"has {len(tags)} tags for {len(tokens)} words.")
    return tokens, tags
