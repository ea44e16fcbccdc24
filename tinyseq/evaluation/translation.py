"""Figures of texts as they are published, by sacrebleu."""

import importlib
import math
from typing import Any, Literal

from tinyseq.contracts import Metric
from tinyseq.errors import ConfigError
from tinyseq.evaluation.edits import pairs

KINDS = {"bleu": "BLEU", "chrf": "CHRF", "ter": "TER"}


class TranslationScore(Metric):
    """sacrebleu's own BLEU, chrF or TER of a corpus (the extra `bleu`), from 0 to 100 (TER may exceed it).

    `update(predictions, targets)` takes a text for each target. `options` are those of sacrebleu's class, as
    word_order=2, which makes chrF++. NaN before any text; `signature()` is what papers quote. Sources:
    Post (2018); Popović (2015) for chrF; Snover et al. (2006) for TER, of which less is better.
    """

    def __init__(self, kind: Literal["bleu", "chrf", "ter"] = "bleu", **options: Any) -> None:
        if kind not in KINDS:
            raise ConfigError(f"TranslationScore: kind is {' or '.join(map(repr, KINDS))}, not {kind!r}.")
        try:
            metrics = importlib.import_module("sacrebleu.metrics")
        except ImportError:
            raise ConfigError(
                "TranslationScore needs sacrebleu: pip install 'tinyseq[bleu]'; BLEU, of tokens, does not."
            ) from None
        try:
            self._metric = getattr(metrics, KINDS[kind])(**options)
        except TypeError as error:
            raise ConfigError(f"TranslationScore({kind!r}): {error}.") from None
        self.kind = kind
        self.options = options
        self.higher_is_better = kind != "ter"
        self.texts: list[tuple[str, str]] = []  # predicted, wanted: sacrebleu adds up whole corpora

    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch."""
        self.texts += pairs("TranslationScore", predictions, targets)

    def merge(self, other: "TranslationScore") -> None:
        """Take in all that `other` has seen. Raises ConfigError if it measures something else."""
        if (other.kind, other.options) != (self.kind, self.options):
            raise ConfigError(
                f"TranslationScore({other.kind!r}, {other.options}) cannot be merged into ({self.kind!r}, "
                f"{self.options})."
            )
        self.texts += other.texts

    def value(self) -> float:
        """The figure over everything seen so far."""
        if not self.texts:
            return math.nan
        predicted, wanted = zip(*self.texts, strict=True)
        return float(self._metric.corpus_score(list(predicted), [list(wanted)]).score)

    def signature(self) -> str:
        """Version and options, as sacrebleu writes them, once there is a figure."""
        return str(self._metric.get_signature())
