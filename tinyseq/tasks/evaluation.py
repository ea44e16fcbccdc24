"""What a model got right and wrong on examples, as figures and as a report."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from textwrap import shorten
from typing import Any, NamedTuple

from tinyseq.evaluation.spans import Score

SHOWN = 5
MATRIX = 10
"""Classes of the largest confusion table; of more, the most frequent mistakes are listed."""
WIDTH = 80


class Wrong(NamedTuple):
    """An example, and what is wrong about its answer; the larger `badness`, the more."""

    text: str
    mistakes: list[str]
    badness: float


@dataclass
class Evaluation:
    """The figures of a model on examples; `str()` is a report of at most 80 columns.

    scores: tables by their title, such as "span", of the Score of each type, "micro" (all together), "macro"
    and "weighted" means among them. confused: how often a class (first) was taken for another (second), or
    for itself. wrong: the examples that are answered wrongly, the worst first.
    """

    task: str
    examples: int
    figures: dict[str, float]
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)
    confused: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[Wrong] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self) | {
            "scores": {
                title: {name: score._asdict() for name, score in table.items()}
                for title, table in self.scores.items()
            },
            "confused": [[a, b, n] for (a, b), n in self.confused.most_common()],
            "wrong": [wrong._asdict() for wrong in self.wrong],
        }

    def report(self, worst: int = SHOWN) -> str:
        """Figures, scores by class, what is taken for what, and the `worst` examples."""
        parts = ["\n".join(f"{name:<{_width(self.figures)}}   {v:.4f}" for name, v in self.figures.items())]
        parts += [_table(title, scores) for title, scores in self.scores.items()]
        if any(a != b for a, b in self.confused):
            parts.append(_confusions(self.confused))
        if self.wrong[:worst]:
            lines = [f"{len(self.wrong):,} of {self.examples:,} are wrong; the worst:"]
            for wrong in self.wrong[:worst]:
                lines.append("  " + _short(wrong.text, WIDTH - 2))
                lines += ["    " + _short(said, WIDTH - 4) for said in wrong.mistakes[:SHOWN]]
                if len(wrong.mistakes) > SHOWN:
                    lines.append(f"    and {len(wrong.mistakes) - SHOWN} more")
            parts.append("\n".join(lines))
        return "\n\n".join(parts)

    def __str__(self) -> str:
        return self.report()


def _width(names: Mapping[str, Any], most: int = 30) -> int:
    return min(most, max(map(len, names), default=0))


def _short(text: str, width: int) -> str:
    return shorten(text, width, placeholder=" ...") if len(text) > width else text


def _table(title: str, scores: Mapping[str, Score]) -> str:
    width = max(_width(scores), len(title))
    lines = [f"{title:<{width}}   precision   recall       F1    count"]
    means = [name for name in ("micro", "macro", "weighted") if name in scores]
    for name in [*(n for n in scores if n not in means), *means]:
        precision, recall, f1, count = scores[name]
        if name in means[:1]:
            lines.append("")
        lines.append(
            f"{_cut(name, width):<{width}}   {precision:>9.4f}   {recall:.4f}   {f1:.4f}   {count:>6,}"
        )
    return "\n".join(lines)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _confusions(confused: Counter[tuple[str, str]]) -> str:
    names = sorted({name for pair in confused for name in pair})
    if len(names) <= MATRIX:
        cell = max(4, *(len(f"{n:,}") + 1 for n in confused.values()))
        width = min(WIDTH - 6 - cell * len(names), _width(dict.fromkeys(names)))
        lines = ["rows are right, columns are answers"]
        lines.append(" " * (width + 5) + "".join(f"{i:>{cell}}" for i in range(1, len(names) + 1)))
        for i, a in enumerate(names, 1):
            counts = "".join(f"{confused[a, b] or '.':>{cell}}" for b in names)
            lines.append(f"{i:>3}  {_cut(a, width):<{width}}{counts}")
        return "\n".join(lines)
    mistakes = [((a, b), n) for (a, b), n in confused.most_common() if a != b][:MATRIX]
    width = _width(dict.fromkeys(a for (a, _), _ in mistakes))
    lines = ["most often taken for another"]
    lines += [f"  {_cut(a, width):<{width}}  for  {_cut(b, 30)}: {n:,}" for (b, a), n in mistakes]
    return "\n".join(lines)
