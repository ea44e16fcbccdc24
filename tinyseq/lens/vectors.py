"""Vectors of words and of sequences: which are near each other, and all of them on a plane."""

from typing import Any

import numpy as np

from tinyseq.data import Vocabulary
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError, near
from tinyseq.tasks import Predictor

Array = np.ndarray[Any, np.dtype[np.float64]]
METHODS = ("pca", "tsne", "umap")


def nearest(
    embedding: Any, word: str | int, vocabulary: Vocabulary | None = None, *, k: int = 10
) -> list[tuple[str | int, float]]:
    """The `k` words whose vectors point most nearly where that of `word` points, with the cosines.

    embedding: an Embedding, a model that has one as `embed`, a Predictor, which knows its vocabulary, or an
    array (words, width). Without a vocabulary, words are their ids. Raises DataError for a word that is none.
    """
    if isinstance(embedding, Predictor):
        vocabulary = embedding.task.vocabulary if vocabulary is None else vocabulary
    table = table_of(embedding)
    at = _row(word, vocabulary, len(table))
    lengths = np.linalg.norm(table, axis=1)
    cosines = table @ table[at] / np.maximum(lengths * lengths[at], 1e-300)
    order = [int(i) for i in np.argsort(-cosines, kind="stable") if i != at][:k]
    return [(i if vocabulary is None else vocabulary.symbols[i], float(cosines[i])) for i in order]


def flat(vectors: Any, *, method: str = "pca", seed: int = 0) -> Array:
    """Vectors (n, width) on a plane, (n, 2): near each other if they are.

    vectors: an array, a Tensor such as what a Siamese head predicts, or what has a table, as for `nearest`.
    method: "pca", the two directions in which they differ most, by NumPy; "tsne" (needs scikit-learn) or
    "umap" (needs umap-learn), which keep neighbours together but no distances, and draw from `seed`.

    Raises ConfigError for a method that is unknown or not installed, ShapeError for fewer than two vectors.
    """
    table = table_of(vectors)
    if len(table) < 2:
        raise ShapeError(f"A map needs two vectors or more, (n, width), not {table.shape}.")
    if method not in METHODS:
        raise ConfigError(f"There is no map {method!r}; choose from {', '.join(METHODS)}.")
    if method == "pca":
        centred = table - table.mean(axis=0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        plane = centred @ directions[:2].T
        signs = np.where(plane[np.abs(plane).argmax(axis=0), range(plane.shape[1])] < 0, -1.0, 1.0)
        return np.pad(plane * signs, ((0, 0), (0, 2 - plane.shape[1])))
    found: Array = np.asarray(_learner(method, len(table), seed).fit_transform(table), np.float64)
    return found


def table_of(source: Any) -> Array:
    """The vectors, (n, width), of an embedding, of what has one, or as they are."""
    if isinstance(source, Predictor):
        source = source.model
    source = getattr(source, "embed", source)
    source = getattr(source, "weight", source)
    array = source.numpy() if isinstance(source, Tensor) else np.asarray(source)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise ShapeError(
            f"Vectors are an array (n, width), an Embedding, or a model whose `embed` is one; not "
            f"{type(source).__name__} of shape {array.shape}."
        )
    return array.astype(np.float64)


def _row(word: str | int, vocabulary: Vocabulary | None, rows: int) -> int:
    if vocabulary is None:
        if not isinstance(word, int) or not 0 <= word < rows:
            raise DataError(f"{word!r} is no id of {rows} words: pass the vocabulary to ask for a word.")
        return word
    if len(vocabulary) != rows:
        raise ConfigError(f"A vocabulary of {len(vocabulary)} does not fit a table of {rows} vectors.")
    if not isinstance(word, str) or word not in vocabulary:
        hint = near(str(word), vocabulary.symbols)
        raise DataError(f"{word!r} is not in the vocabulary, so it has no vector.{hint}")
    return vocabulary.id(word)


def _learner(method: str, n: int, seed: int) -> Any:
    """t-SNE or UMAP. Raises ConfigError where the package is missing."""
    try:
        if method == "tsne":
            from sklearn.manifold import TSNE

            return TSNE(2, perplexity=min(30.0, (n - 1) / 3), random_state=seed)
        from umap import UMAP

        return UMAP(n_components=2, n_neighbors=min(15, n - 1), random_state=seed, n_jobs=1)
    except ImportError:
        package = "scikit-learn" if method == "tsne" else "umap-learn"
        raise ConfigError(
            f"method={method!r} needs {package}: pip install {package}, or choose 'pca'."
        ) from None
