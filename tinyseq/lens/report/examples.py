"""Examples, right and wrong, with their tags in colours."""

from collections.abc import Sequence
from html import escape
from typing import Any

from tinyseq.lens.pictures.paper import COLOURS
from tinyseq.tasks import Classification, Evaluation, Predictor, Tagging

SHOWN = 8  # of the right ones, and of the wrong ones
TRIED = 500


def examples(found: Predictor, data: Sequence[Any], judged: Evaluation) -> str:
    """HTML of the first examples that are answered rightly and of those that are not; of a task without
    labels, of the worst."""
    tried = list(data[:TRIED])
    if isinstance(found.task, Tagging):
        answered = _tagged(found, tried)
    elif isinstance(found.task, Classification):
        answered = _classified(found, tried)
    else:
        worst = [f"{escape(one.text)} {_said('; '.join(one.mistakes))}" for one in judged.wrong]
        return _shown("wrong", worst, judged.examples, "the worst")
    html = ""
    for right, title in ((False, "wrong"), (True, "right")):
        html += _shown(title, [part for is_right, part in answered if is_right is right], len(tried))
    return html


def _shown(title: str, parts: Sequence[str], of: int, which: str = "the first") -> str:
    cut = f", {which} {SHOWN}" if len(parts) > SHOWN else ""
    boxes = "".join(f'<div class="example {title}">{part}</div>' for part in parts[:SHOWN])
    return f"<h3>{title}: {len(parts):,} of {of:,}{cut}</h3>{boxes}"


def _said(text: str) -> str:
    return f'<span class="said">→ {escape(text)}</span>'


def _tagged(found: Any, data: Sequence[Any]) -> list[tuple[bool, str]]:
    colours = _colours(sorted(set(found.task.labels.symbols)))
    judged = []
    for tokens, wanted in data:
        (answer,) = found.task.answers_to_tokens(found.model, [tokens], [found.task.reader.joined(tokens)])
        spans = []
        for token, tag, right in zip(tokens, answer.tags, wanted, strict=True):
            missed = "" if tag == right else " missed"
            said = tag if tag == right else f"{tag}, right: {right}"
            plain = tag == right == "O"
            label = "" if plain else f"<small>{escape(said)}</small>"
            style = "" if tag == "O" else f' style="border-color: {colours[tag]}"'
            kind = f"tag{missed}" if style or missed else ""
            spans.append(f'<span class="{kind}"{style} title="{escape(said)}">{escape(token)}{label}</span>')
        judged.append((list(answer.tags) == list(wanted), " ".join(spans)))
    return judged


def _classified(found: Any, data: Sequence[Any]) -> list[tuple[bool, str]]:
    texts = [found.task.reader.joined(example[0]) for example in data]
    judged = []
    for answer, example in zip(found.task.predict(found.model, texts), data, strict=True):
        right = example[1]
        share = f" {answer.probabilities[answer.label]:.0%}" if answer.label in answer.probabilities else ""
        said = f"{answer.label}{share}" + ("" if answer.label == right else f", right: {right}")
        judged.append((answer.label == right, f"{escape(answer.text)} {_said(said)}"))
    return judged


def _colours(tags: Sequence[str]) -> dict[str, str]:
    """A colour for each kind of tag: B-PER and I-PER have one."""
    kinds = list(dict.fromkeys(tag.partition("-")[2] or tag for tag in tags if tag != "O"))
    return {tag: COLOURS[kinds.index(tag.partition("-")[2] or tag) % 6] for tag in tags if tag != "O"}
