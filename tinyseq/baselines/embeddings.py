"""A classifier that does not know in which order words came."""

from tinyseq.nn import Embedding, SequenceModel, Sequential
from tinyseq.registry import heads


def mean_of_embeddings(vocabulary_size: int, embedding_size: int, classes: int) -> SequenceModel:
    """The mean of the embeddings of a sequence's tokens, through a linear layer: a trained bag of words."""
    head = heads["classifier"](embedding_size, classes, pooling="mean")
    return SequenceModel(Embedding(vocabulary_size, embedding_size), Sequential(), head)
