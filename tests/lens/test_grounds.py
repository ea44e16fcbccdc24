"""Saliency beside finite differences, attention beside the heads' own weights, maps beside closed forms."""

import sys

import numpy as np
import pytest
from tinyseq_cells.gru import GRU
from tinyseq_heads.classifier import Classifier
from tinyseq_heads.decoder import Decoder
from tinyseq_heads.language_model import LanguageModelHead
from tinyseq_heads.siamese import Siamese
from tinyseq_heads.tagger import Tagger

import tinyseq
from tinyseq import Sequences, Tensor, lens
from tinyseq.data import Vocabulary
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.tasks import Classification, Predictor

XS = Sequences.from_list([[1, 2, 3], [4, 0]])


def classifier(**options):
    return SequenceModel(Embedding(5, 3), GRU(3, 4), Classifier(4, 2, **options)).to("float64")


def test_saliency_is_the_gradient_at_each_input(rng):
    model, targets = classifier(), np.array([1, 0])
    found = lens.saliency(model, XS, targets)
    product = lens.saliency(model, XS, targets, times_input=True)
    vectors = model.embed(XS)

    def loss(change):
        ys = model.encoder(vectors.with_data(vectors.data + Tensor(change)))
        return model.head.loss(ys, targets).item()

    eps, gradient = 1e-6, np.zeros(vectors.data.shape)
    for at in np.ndindex(gradient.shape):
        change = np.zeros(gradient.shape)
        change[at] = eps
        gradient[at] = (loss(change) - loss(-change)) / (2 * eps)
    np.testing.assert_allclose(found.data.numpy(), np.linalg.norm(gradient, axis=1), atol=1e-8)
    expected = (gradient * vectors.data.numpy()).sum(axis=1)
    np.testing.assert_allclose(product.data.numpy(), expected, atol=1e-8)
    assert found.lengths == (3, 2)


def test_without_targets_it_asks_about_the_models_own_answer():
    model = classifier()
    answer = model.predict(XS).numpy().argmax(axis=1)
    np.testing.assert_array_equal(
        lens.saliency(model, XS).data.numpy(), lens.saliency(model, XS, answer).data.numpy()
    )
    tagger = SequenceModel(Embedding(5, 3), GRU(3, 4), Tagger(4, 3))
    np.testing.assert_array_equal(
        lens.saliency(tagger, XS).data.numpy(), lens.saliency(tagger, XS, tagger.predict(XS)).data.numpy()
    )
    with pytest.raises(ConfigError, match="Decoder answers is no target"):
        lens.saliency(SequenceModel(Embedding(5, 4), GRU(4, 4), Decoder(4, 6, GRU(4, 4), end=0)), XS)
    with pytest.raises(ConfigError, match="has no head"):
        lens.saliency(GRU(3, 4), XS)


def test_saliency_of_one_step_looks_back_only():
    model = SequenceModel(Embedding(5, 3), GRU(3, 4), LanguageModelHead(4, 5))
    first, last = (lens.saliency(model, XS, at=at).to_list()[0].numpy() for at in (0, -1))
    assert (first > 0).tolist() == [True, False, False]
    assert (last > 0).all()


def test_raw_text_and_names_of_labels():
    words = Vocabulary(["good", "film", "."], unit="word", specials=["<unk>", "<s>"], unknown="<unk>")
    task = Classification(words, Vocabulary(["neg", "pos"], unit="word"))
    predictor = Predictor(classifier(), task)
    found = lens.saliency(predictor, ["good film.", "film"], ["pos", "neg"])
    ids = Sequences.from_list([[2, 3, 4], [3]])
    np.testing.assert_array_equal(
        found.data.numpy(), lens.saliency(predictor.model, ids, np.array([1, 0])).data.numpy()
    )
    assert all(word in words for word, _ in lens.nearest(predictor, "good", k=2))
    with pytest.raises(DataError, match="2 texts need as many targets, not 1"):
        lens.saliency(predictor, ["good", "film"], ["pos"])


def test_attention_is_what_the_heads_weigh_by():
    pooled = classifier(pooling="attention")
    rows = lens.attention(pooled, XS)
    assert [row.shape for row in rows] == [(1, 3), (1, 2)]
    expected = pooled.head.pooling.weights(pooled(XS)).to_list()
    for row, weights in zip(rows, expected, strict=True):
        np.testing.assert_allclose(row[0], weights.numpy()[:, 0])
        assert row.sum() == pytest.approx(1)
    decoder = Decoder(4, 6, GRU(4, 4), end=0, attention="general", max_length=3)
    model = SequenceModel(Embedding(5, 4), GRU(4, 4), decoder)
    targets = Sequences.from_list([[1, 2, 0], [3, 0]])
    found = lens.attention(model, XS, targets)
    assert [row.shape for row in found] == [(3, 3), (2, 2)]
    for a, b in zip(found, decoder.alignments(model(XS), targets), strict=True):
        np.testing.assert_array_equal(a, b)
    own = lens.attention(model, XS)
    written = model.predict(XS)
    assert [len(row) for row in own] == [len(ids) + 1 for ids in written]
    with pytest.raises(ConfigError, match="no attention to look at"):
        lens.attention(classifier(), XS)


def test_nearest_words_have_the_largest_cosines():
    vocabulary = Vocabulary(["north", "east", "north-east", "south"], unit="word")
    table = np.array([[0, 2.0], [3, 0], [1, 1], [0, -1]])
    found = lens.nearest(table, "north", vocabulary, k=2)
    assert [word for word, _ in found] == ["north-east", "east"]
    np.testing.assert_allclose([cosine for _, cosine in found], [0.5**0.5, 0])
    assert lens.nearest(table, 0, k=3)[-1] == (3, -1.0)
    embedding = Embedding(4, 2)
    embedding.weight.data[...] = table
    assert lens.nearest(embedding, "north", vocabulary, k=2)[0][0] == "north-east"
    with pytest.raises(DataError, match=r"'nroth' is not in the vocabulary.*north"):
        lens.nearest(table, "nroth", vocabulary)
    with pytest.raises(DataError, match="pass the vocabulary"):
        lens.nearest(table, "north")
    with pytest.raises(ConfigError, match="vocabulary of 4 does not fit a table of 3"):
        lens.nearest(table[:3], "north", vocabulary)


def test_a_map_by_principal_components_keeps_a_plane(rng):
    """Points of a plane, turned into ten dimensions, come back with their distances, the wide axis first."""
    plane = rng.normal(size=(20, 2)) * [5, 1]
    turned = plane @ np.linalg.qr(rng.normal(size=(10, 10)))[0][:2]
    found = lens.flat(turned + 7)
    distances = lambda x: np.linalg.norm(x[:, None] - x[None], axis=-1)
    np.testing.assert_allclose(distances(found), distances(plane), atol=1e-9)
    assert found[:, 0].var() > found[:, 1].var()
    line = lens.flat(np.array([[1.0], [3.0]]))
    np.testing.assert_allclose(np.abs(line), [[1, 0], [1, 0]])


def test_maps_say_what_they_lack(monkeypatch):
    for method, package in (("tsne", "sklearn.manifold"), ("umap", "umap")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ConfigError, match=f"{method}.*pip install"):
            lens.flat(np.eye(4), method=method)
    with pytest.raises(ConfigError, match="no map 'isomap'"):
        lens.flat(np.eye(4), method="isomap")
    with pytest.raises(ShapeError, match="two vectors or more"):
        lens.flat(np.eye(1))
    with pytest.raises(ShapeError, match="Vectors are an array"):
        lens.flat(GRU(3, 4))


def test_vectors_of_sequences_are_mapped_as_they_come():
    model = SequenceModel(Embedding(5, 3), GRU(3, 4), Siamese(4))
    vectors = model.predict(XS)
    assert lens.flat(vectors).shape == (2, 2)
    assert isinstance(tinyseq.Tensor(vectors), Tensor)
