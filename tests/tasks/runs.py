"""Small run files of every task, with any encoder and features, beside made data."""

import random
from pathlib import Path
from typing import Any

NAMES, PLACES = ("Ann", "Bob", "Eve"), ("Oslo", "Rome", "Lima", "New York")


def write_data(task: str, folder: Path) -> str:
    """A data file of the task; gives its name."""
    rng = random.Random(0)
    sentences = [(who, "saw", where, ".") for who in NAMES for where in PLACES] * 2
    if task == "tagging":
        name = "data.conll"
        tags = ("B-PER", "O", "B-LOC", "O")
        text = "\n".join("".join(f"{w}\t{t}\n" for w, t in zip(s, tags, strict=True)) for s in sentences)
    elif task == "classification":
        name = "data.csv"
        text = "id,text,label\n" + "".join(f'{i},"{" ".join(s)}",{s[0]}\n' for i, s in enumerate(sentences))
    elif task == "pairs":
        name = "data.tsv"
        rows = [(" ".join(a), " ".join(b), int(a[2] == b[2])) for a in sentences for b in sentences]
        chosen = [row for same in (0, 1) for row in rng.sample([r for r in rows if r[2] == same], 30)]
        text = "first\tsecond\tlabel\n" + "".join(f"{a}\t{b}\t{y}\n" for a, b, y in chosen)
    else:
        name = "data.csv"
        text = "source,target\n" + "".join(f'"{" ".join(s)}","{s[2]} sah {s[0]}!"\n' for s in sentences)
    (folder / name).write_text(text, encoding="utf-8")
    return name


ENCODERS = {
    "gru": 'class = "gru"\ninput_size = 6\nhidden_size = 8\n',
    "recurrent": 'class = "recurrent"\ncell = { class = "lstm", input_size = 6, hidden_size = 8 }\n',
    "bidirectional": 'class = "bidirectional"\nforward = { class = "rnn", input_size = 6, hidden_size = 4 }\n'
    'backward = { class = "sru", input_size = 6, hidden_size = 4 }\n',
    "deep": 'class = "deep"\nlayers = [{ class = "dropout", p = 0.2 }, '
    '{ class = "min-gru", input_size = 6, hidden_size = 8 }, { class = "layer-norm", size = 8 }]\n',
}
EMBEDS = {
    "word": 'class = "embedding"\nnum_embeddings = "data.vocabulary_size"\nembedding_size = 6\n',
    "case": 'class = "token-features"\n'
    'word = { class = "embedding", num_embeddings = "data.vocabulary_size", embedding_size = 4 }\n'
    'case = { class = "embedding", num_embeddings = 6, embedding_size = 2 }\n',
    "spelling": 'class = "sequential"\nlayers = [{ class = "word-dropout", columns = true },'
    '{ class = "token-features", '
    'word = { class = "embedding", num_embeddings = "data.vocabulary_size", embedding_size = 2 }, '
    'case = { class = "embedding", num_embeddings = 6, embedding_size = 2 }, '
    'character = { class = "embedding", num_embeddings = "data.characters", embedding_size = 2 } }]\n',
}
HEADS = {
    "tagging": [
        ('class = "tagger"\ninput_size = 8\ntags = "data.tags"\n', "accuracy"),
        (
            'class = "tagger"\ninput_size = 8\ntags = "data.tags"\nnames = "data.tag_names"\n'
            'scheme = "IOB2"\nloss = { class = "crf", tags = "data.tags" }\n',
            "span_f1",
        ),
    ],
    "classification": [
        ('class = "classifier"\ninput_size = 8\nclasses = "data.classes"\n', "macro_f1"),
        (
            'class = "classifier"\ninput_size = 8\nclasses = "data.classes"\npooling = "attention"\n'
            'loss = { class = "cross-entropy", label_smoothing = 0.1 }\n',
            "accuracy",
        ),
    ],
    "pairs": [
        ('class = "siamese"\ninput_size = 8\n', "recall_at_1"),
        ('class = "siamese"\ninput_size = 8\nembedding_size = 3\nloss = { class = "info-nce" }\n', "loss"),
    ],
    "sequence-to-sequence": [
        (
            f'class = "decoder"\ninput_size = 8\nvocabulary_size = "data.target_size"\nend = 0\n'
            f'max_length = 6\ncell = {{ class = "gru", input_size = 5, hidden_size = 8 }}\n{more}',
            "error_rate",
        )
        for more in ("", 'attention = "dot"\npooling = "mean"\n')
    ],
}  # fmt: skip


def run_text(
    task: str, name: str, *, head: int = 0, encoder: str = "gru", features: str = "word", **data: Any
) -> str:
    """The text of a run file of two small epochs."""
    described, monitor = HEADS[task][head]
    import json

    rows = "".join(f"{key} = {json.dumps(value)}\n" for key, value in data.items())
    return (
        f"[model.embed]\n{EMBEDS[features]}[model.encoder]\n{ENCODERS[encoder]}[model.head]\n{described}"
        f'[data]\ntask = "{task}"\ntrain = "{name}"\nbatch = 8\nfeatures = "{features}"\n{rows}'
        f'[training]\nepochs = 1\nmonitor = "{monitor}"\ndirectory = "run"\n'
    )
