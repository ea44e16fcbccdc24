"""Part-of-speech tagging: a class for each word.

A bidirectional LSTM sees what stands before and after a word. A word is its embedding, its capitalisation
and a small recurrence over its characters, from which words that were never seen get their tag.
"""

from pathlib import Path
from typing import Any

from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.tagger import Tagger

import tinyseq
from tinyseq.baselines import MostFrequentTag
from tinyseq.contracts import Metric
from tinyseq.data import CAPITALISATIONS, LengthBatches, Vocabulary, read_conll, token_ids, with_tags
from tinyseq.evaluation import Accuracy
from tinyseq.nn import Dropout, Embedding, SequenceModel, TokenFeatures
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, measure
from tinyseq_recipes.common import losses, show, show_epoch, split
from tinyseq_recipes.made.texts import Tagged, tagged_sentences


def pos_tagging(
    data: Path | None = None,
    *,
    embedding: int = 64,
    hidden: int = 64,
    dropout: float = 0.3,
    epochs: int = 5,
    batch: int = 16,
    lr: float = 3e-3,
    examples: int = 1200,
    seed: int = 0,
) -> list[Outcome]:
    """Parts of speech, beside each word's most frequent tag.

    Data: a folder of *.train, *.dev, *.test .tsv.
    """
    train, valid, test = _sentences(data) if data else split(tagged_sentences(examples), 0.8, 0.1, 0.1)
    everything = [*train, *valid, *test]  # a tag that is not in train is never right, and no reason to stop
    tags = Vocabulary(sorted({tag for _, tags in everything for tag in tags}), unit="word")
    print(f"{len(train):,} sentences, {len(tags)} tags; {len(test):,} sentences are for the test")

    tagger = MostFrequentTag(train)
    baseline = Accuracy()
    for words, wanted in test:
        baseline.update(tags.encode(tagger.predict(words)), tags.encode(wanted))
    print(f"baseline: the most frequent tag of each word, {baseline!r}")

    tinyseq.seed(seed)
    tokens = Tokens(train, embedding)
    encoder = Deep(Dropout(dropout), tokens.encoder(hidden), Dropout(dropout))
    model = SequenceModel(tokens.embed, encoder, Tagger(2 * hidden, len(tags)))
    trainer = Trainer(model, Adam(model, lr=lr), clip=5.0, after_epoch=[show_epoch])
    parts = ([(tokens.ids(words), tags.encode(y)) for words, y in part] for part in (train, valid, test))
    train_batches, valid_batches, test_batches = (LengthBatches(part, batch, with_tags) for part in parts)
    trainer.fit(train_batches, valid_batches, epochs=epochs)
    trainer.restore_best()

    accuracy: Metric = measure(model, test_batches)["accuracy"]
    return [show(Outcome("bilstm", "accuracy", accuracy.value(), baseline.value(), losses=losses(trainer)))]


class Tokens:
    """Words, capitalisation and characters: vocabularies of a training set, and the layers that read them."""

    def __init__(self, sentences: list[Any], size: int, *, characters: int = 16, spelled: int = 24) -> None:
        words = [word for sentence in sentences for word in sentence[0]]
        lower = (word.lower() for word in words)
        self.words = Vocabulary.build(lower, unit="word", min_count=2, specials=["<unk>"], unknown="<unk>")
        self.characters = Vocabulary.build("".join(words), specials=["<end>", "<unk>"], unknown="<unk>")
        self.embed = TokenFeatures(
            Embedding(len(self.words), size),
            Embedding(len(CAPITALISATIONS), 4),
            Embedding(len(self.characters), characters),
            tinyseq.Recurrent(GRU(characters, spelled)),
            pooling="last",
        )

    def ids(self, words: list[str]) -> Any:
        """What `embed` takes: (words, 2 + width)."""
        return token_ids(words, self.words, self.characters)

    def encoder(self, hidden: int) -> Bidirectional:
        """A bidirectional LSTM over the embedded words."""
        size = self.embed.embedding_size
        return Bidirectional(LSTM(size, hidden), LSTM(size, hidden))


def _sentences(folder: Path) -> list[list[Tagged]]:
    parts = ("train", "dev", "test")
    files = [next(iter(sorted(folder.glob(f"*{part}.tsv*"))), folder / f"{part}.tsv") for part in parts]
    return [[(words, tags) for words, tags in read_conll(file, (0, 1))] for file in files]
