"""Named entities: spans, where a tag depends on its neighbours.

A conditional random field learns which tags may follow each other and decodes the best path as a whole. The
figure is the F1 of whole spans (conlleval): a name found in part is not found. Accuracy would flatter, as
most words are no names.
"""

from pathlib import Path

from tinyseq_cells.deep import Deep
from tinyseq_heads.tagger import Tagger
from tinyseq_losses.crf import CRF

import tinyseq
from tinyseq.baselines import MostFrequentTag
from tinyseq.data import LengthBatches, Vocabulary, read_conll, with_tags
from tinyseq.evaluation import SpanF1, convert_tags, find_scheme
from tinyseq.nn import Dropout, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, measure
from tinyseq_recipes.common import losses, show, show_epoch, split
from tinyseq_recipes.made.texts import Tagged, named_entities
from tinyseq_recipes.pos_tagging import Tokens


def ner(
    data: Path | None = None,
    *,
    embedding: int = 64,
    hidden: int = 64,
    dropout: float = 0.4,
    epochs: int = 8,
    batch: int = 16,
    lr: float = 3e-3,
    examples: int = 800,
    seed: int = 0,
) -> list[Outcome]:
    """Names of people, places and firms with a CRF.

    Data: a folder of *train*.conll and *dev*.conll, in IOB1 (as CoNLL-2003), IOB2, IOBES or BILOU.
    """
    if data:
        train, valid = split(_read(data, "train"), 0.9, 0.1)
        test = _read(data, "dev")
    else:
        train, valid, test = split(named_entities(examples), 0.8, 0.1, 0.1)
    tags = Vocabulary(
        sorted({tag for part in (train, valid, test) for _, tags in part for tag in tags}), unit="word"
    )
    print(f"{len(train):,} sentences, {len(tags)} tags; {len(test):,} sentences are for the test")

    tagger = MostFrequentTag(train)
    baseline = SpanF1(tags.symbols)
    baseline.update([tagger.predict(words) for words, _ in test], [wanted for _, wanted in test])
    print(f"baseline: the most frequent tag of each word, span F1 {baseline.value():.4f}")

    tinyseq.seed(seed)
    tokens = Tokens(train, embedding)
    encoder = Deep(Dropout(dropout), tokens.encoder(hidden), Dropout(dropout))
    head = Tagger(2 * hidden, len(tags), loss=CRF(len(tags)), names=tags.symbols, scheme="IOB2")
    model = SequenceModel(tokens.embed, encoder, head)
    trainer = Trainer(model, Adam(model, lr=lr), clip=5.0, after_epoch=[show_epoch])
    parts = ([(tokens.ids(words), tags.encode(y)) for words, y in part] for part in (train, valid, test))
    train_batches, valid_batches, test_batches = (LengthBatches(part, batch, with_tags) for part in parts)
    trainer.fit(train_batches, valid_batches, epochs=epochs)
    trainer.restore_best()

    found = measure(model, test_batches)["span_f1"]
    assert isinstance(found, SpanF1)
    for kind, score in found.report().items():
        figures = f"precision {score.precision:.3f}   recall {score.recall:.3f}   F1 {score.f1:.3f}"
        print(f"  {kind or 'all':<16} {figures}")
    print(f"  tags that cannot follow each other: {found.illegal.total()}")
    return [show(Outcome("bilstm-crf", "span F1", found.value(), baseline.value(), losses=losses(trainer)))]


def _read(folder: Path, part: str) -> list[Tagged]:
    file = next(iter(sorted(folder.glob(f"*{part}*.conll*"))), folder / f"{part}.conll")
    sentences = [(words, tags) for words, tags in read_conll(file)]
    scheme = find_scheme([tags for _, tags in sentences])
    return [(words, convert_tags(tags, scheme, "IOB2")) for words, tags in sentences]
