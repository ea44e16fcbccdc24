"""A model at a glance: counts that add up, shapes that are those, and nothing changed by looking."""

import re

import numpy as np
import pytest

import tinyseq
from tinyseq.nn import Embedding, SequenceModel, Sequential, summary

XS = tinyseq.Sequences.from_list([[1, 2, 3], [4, 5]])


def tagger(**options):
    encoder = tinyseq.layers["deep"](tinyseq.cells["lstm"](4, 6), tinyseq.cells["gru"](6, 5))
    return SequenceModel(Embedding(9, 4), encoder, tinyseq.heads["tagger"](5, 3, **options))


def test_outputs_have_the_shapes_of_the_example():
    lines = {line.split(":")[0].strip(): line for line in repr(summary(tagger(), XS)).splitlines()}
    assert "2 x 2 to 3 x 4" in lines["embed"]
    assert "2 x 2 to 3 x 5" in lines["encoder"]
    assert "2 x 2 to 3" in lines["head"]
    assert "2 x 2 to 3 x 3" in lines["head.projection"]


def test_trainable_and_frozen_are_counted_apart_and_shared_values_once():
    model = tagger()
    model.embed.freeze()
    model.again = model.embed
    found = summary(model)
    assert (found.trainable, found.frozen) == (model.parameter_count() - 36, 36)
    assert repr(found).splitlines()[-1].split() == [f"{found.trainable:,}", "36"]


def test_looking_changes_neither_the_model_nor_its_answers():
    model = tagger()
    before, names = model.predict(XS), [sorted(vars(m)) for m in model.modules()]
    model.train()
    summary(model, XS)
    assert [sorted(vars(m)) for m in model.modules()] == names
    assert model.training
    np.testing.assert_array_equal(model.predict(XS).data.numpy(), before.data.numpy())


def test_after_an_error_nothing_stays_watched():
    model = tagger()
    with pytest.raises(tinyseq.errors.DataError):
        summary(model, tinyseq.Sequences.from_list([[99]]))
    assert not any("forward" in vars(m) or "predict" in vars(m) for m in model.modules())


@pytest.mark.parametrize("name", list(tinyseq.cells))
def test_every_cell_is_summed_up(name):
    model = Sequential(tinyseq.Recurrent(tinyseq.cells[name](4, 4)))
    example = tinyseq.Sequences.from_list([np.zeros((3, 4), np.float32)])
    found = summary(model, example)
    assert found.trainable == model.parameter_count()
    assert "1 x 3 x 4" in repr(found).splitlines()[1]


def test_the_tree_of_a_notebook_names_every_parameter_with_its_shape():
    model = tagger()
    page = model._repr_html_()
    for path, parameter in model.named_parameters():
        assert f"{path.rpartition('.')[2]} {parameter.shape} float32" in page
    assert page.count("<details") == page.count("</details>")
    assert f"{model.parameter_count():,} parameters" in page


def test_names_are_escaped():
    page = tagger(names=["O", "B-<b>", "I-<b>"])._repr_html_()
    assert "<b>" not in page


def test_a_tensor_tells_shape_dtype_and_values_and_not_thousands_of_them():
    page = tinyseq.Tensor([[1.5, 2.0]], requires_grad=True)._repr_html_()
    assert "(1, 2)" in page
    assert "requires_grad" in page
    assert "[[1.5 2. ]]" in page
    assert len(tinyseq.Tensor(np.zeros((500, 500)))._repr_html_()) < 3000
    assert re.search("float64", tinyseq.Tensor(np.zeros(3))._repr_html_())
