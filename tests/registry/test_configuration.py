"""Components become plain values and return: nested, tied, with defaults; all mistakes are told at once."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Recurrent
from tinyseq.contracts import Layer
from tinyseq.errors import ConfigError, PluginError
from tinyseq.nn import (
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    Residual,
    SequenceModel,
    Sequential,
    init,
)
from tinyseq.registry import build, check, config
from tinyseq.registry.annotations import expected, fits

LSTM = tinyseq.cells["lstm"]
GRU = tinyseq.cells["gru"]


@pytest.fixture(autouse=True)
def _clean(install):
    """`install` also puts the registries back."""


def messages(described):
    return [str(mistake) for mistake in check(described)]


def through_json(component):
    return build(json.loads(json.dumps(config(component), allow_nan=False)))


def test_a_component_is_its_name_its_package_and_its_arguments():
    assert config(Linear(3, output_size=4)) == {
        "class": "layer:linear@1",
        "from": f"tinyseq {tinyseq.__version__}",
        "input_size": 3,
        "output_size": 4,
        "bias": True,
        "init": "glorot_uniform",
    }


LEAVES = st.sampled_from(
    [
        lambda: Linear(4, 4, bias=False),
        lambda: LayerNorm(4),
        lambda: Dropout(0.25),
        lambda: Recurrent(LSTM(4, 4, peepholes=True), reverse=True),
        lambda: Recurrent(GRU(4, 4, reset="before")),
    ]
).map(lambda make: make())
COMPOSED = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(lambda layers: Sequential(*layers)), parts.map(Residual)
    ),
    max_leaves=6,
)


@given(COMPOSED)
def test_composed_components_come_back_equal(component):
    again = through_json(component)
    assert config(again) == config(component)
    assert [*map(type, again.modules())] == [*map(type, component.modules())]
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in component.state_dict().items()
    }


def test_a_component_used_twice_is_one_component_again():
    shared = Linear(4, 4)
    again = through_json(Sequential(shared, Residual(shared), Linear(4, 4)))
    first, residual, last = again.layers
    assert residual.layer is first
    assert last is not first
    assert config(again)["layers"][1]["layer"] == {"is": "layers.0"}


def test_copies_keep_their_configuration():
    model = Sequential(Linear(2, 3), Recurrent(LSTM(3, 4)))
    assert config(copy.deepcopy(model)) == config(model)


def test_numpy_numbers_become_plain_ones():
    described = config(Linear(np.int64(3), np.int32(4), bias=np.bool_(False)))
    assert json.loads(json.dumps(described)) == described
    assert type(described["input_size"]) is int


@tinyseq.register("layer", "test-holder")
class Holder(Layer):
    def __init__(self, value=None):
        self.value = value

    def forward(self, xs):
        return xs


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (init.orthogonal, r"value=.*a configuration cannot hold: give its name, 'orthogonal'\."),
        (lambda x: x, "give the name of one that tinyseq knows, or make it a class"),
        (np.zeros(3), "give a list of numbers, or set the values after construction"),
        (float("nan"), "JSON has no infinity and no NaN"),
        ({1: 2}, "the keys of a dict must be strings other than class, from, is"),
        ({"class": "x"}, "the keys of a dict must be strings"),
        ([1, {"deep": object()}], r"value\.1\.deep=.*give numbers, strings, lists, dicts"),
    ],
)
def test_what_is_not_plain_is_refused_with_advice(value, advice):
    tinyseq.register("layer", "test-holder")(Holder)
    with pytest.raises(ConfigError, match=advice):
        config(Holder(value))


def test_what_contains_itself_is_refused():
    tinyseq.register("layer", "test-holder")(Holder)
    loop = []
    loop.append(loop)
    with pytest.raises(ConfigError, match="nested more than 100 deep"):
        config(Holder(loop))


def test_a_class_without_a_name_is_refused_even_below_one_with_a_name():
    class Child(Linear):
        pass

    with pytest.raises(
        PluginError, match=r"Child has no registered name.*@tinyseq\.register\(kind, \"child\"\)"
    ):
        config(Child(1, 2))
    with pytest.raises(ConfigError, match="describes a Module"):
        config(3)


def test_every_mistake_is_told_at_once_with_its_place():
    assert messages(
        {
            "class": "sequence-model",
            "embed": {"class": "embeding", "num_embeddings": 3},
            "encoder": {"class": "recurrent", "cell": {"class": "lstm", "input_size": "3", "hidden_sise": 4}},
            "head": {"class": "linear", "input_size": 3, "output_size": 0},
        }
    ) == [
        "embed.class: No plugin named 'embeding'. Did you mean 'embedding' or 'embedding-dropout'? `tinyseq "
        "plugins` lists them all.",
        "encoder.cell.input_size: cell 'lstm' takes input_size as a whole number, not '3'.",
        "encoder.cell.hidden_sise: cell 'lstm' has no argument 'hidden_sise'. Did you mean 'hidden_size'? "
        "Its arguments: input_size, hidden_size, forget_bias, peepholes, gate, candidate, cell_output, "
        "input_init, recurrent_init.",
        "encoder.cell: cell 'lstm' needs 'hidden_size'.",
        "head: layer 'linear' cannot be made: Linear(output_size=0): sizes are integers of 1 or more.",
    ]


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (
            {"class": "lstm@9", "input_size": 1, "hidden_size": 1},
            "class: cell 'lstm' of tinyseq .* at version 1",
        ),
        ({"class": "cell:os:system"}, "class: No cell named 'os:system'"),
        ({"class": "os.system"}, "No plugin named 'os.system'"),
        ({"class": 3}, "goes by a short name"),
        ({"class": "x" * 10**6}, "goes by a short name"),
        ({"class": "linear", "from": "evil; rm -rf 1.0"}, "from a package and its release, not from"),
        ({"class": "linear", "from": 3}, "from a package and its release"),
        ({"class": "linear", "from": "gone 1.0"}, "saved with gone 1.0, as the file says: pip install gone"),
        ({"class": "zeros"}, "is a function: give its name"),
        ({"class": "recurrent", "cell": {"class": "dropout"}}, "takes cell as a Cell, not a Dropout"),
        ({"class": "recurrent", "cell": 3}, "takes cell as a Cell, not 3"),
        ({"class": "deep", "layers": {"class": "dropout"}}, "takes layers as a list"),
        ({"class": "dropout", "p": True}, "takes p as a number, not True"),
        ({"class": "dropout", "p": None}, "takes p as a number, not None"),
        ({"class": "dropout", "p": 7.0}, r"cannot be made: Dropout\(p=7.0\)"),
        ({"from": "tinyseq 1"}, "has 'from', but no 'class'"),
        ({"is": "embed"}, "gives the path of a component further up, not 'embed'"),
        ({"is": ["embed"]}, "gives the path of a component further up"),
        ({"is": "a", "class": "linear"}, "'is' stands alone"),
        (b"bytes", "give numbers, strings, lists or tables"),
    ],
)
def test_each_mistake_has_a_sentence(described, message):
    with pytest.raises((ConfigError, PluginError), match=message):
        build(described)
    assert len(check(described)) == 1


def test_nesting_is_bounded():
    described = 1
    for _ in range(200):
        described = {"class": "residual", "layer": described}
    with pytest.raises(ConfigError, match="is nested more than 100 deep"):
        build(described)


def test_a_broken_plugin_is_a_plugin_error(install):
    install("broken", {"tinyseq.layers": {"broken": "fake_broken:X"}}, fake_broken="1 / 0")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        build([{"class": "broken"}, {"class": "dropout"}])
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        build([{"class": "broken"}, {"class": "dropout", "q": 1}])


def test_a_constructor_may_fail_in_any_way(install):
    text = """
import tinyseq
class X(tinyseq.Layer):
    def __init__(self, n):
        1 / n
    def forward(self, xs): ...
"""
    install("rude", {"tinyseq.layers": {"rude": "fake_rude:X"}}, fake_rude=text)
    assert messages({"class": "rude", "n": 0}) == [
        "layer 'rude' cannot be made: ZeroDivisionError: division by zero"
    ]


def test_two_packages_with_one_name_are_told_apart_by_the_origin(install, source):
    install("a", {"tinyseq.cells": {"turbo": "fake_a:A"}}, "1.0", fake_a=source("A"))
    install("b", {"tinyseq.cells": {"turbo": "fake_b:B"}}, "2.1", fake_b=source("B"))
    cell = tinyseq.cells["b:turbo"](3, scale=2.0)
    described = config(cell)
    assert described == {"class": "cell:turbo@1", "from": "b 2.1", "input_size": 3, "scale": 2.0}
    assert type(build(described)) is type(cell)
    assert type(build({"class": "a:turbo", "input_size": 3})).__name__ == "A"
    assert "say 'a:turbo' or 'b:turbo'" in messages({"class": "turbo", "input_size": 3})[0]


def test_a_name_of_two_kinds_needs_the_kind(install, source):
    install("a", {"tinyseq.cells": {"linear": "fake_a:A"}}, fake_a=source("A"))
    assert messages({"class": "linear"}) == [
        "class: 'linear' names plugins of 2 kinds; say 'cell:linear' or 'layer:linear'."
    ]


def test_checking_draws_no_random_number_and_takes_no_memory_without_bounds():
    tinyseq.seed(3)
    before = tinyseq.random.get_state()
    assert messages({"class": "embedding", "num_embeddings": 10**3, "embedding_size": 10**2}) == []
    assert tinyseq.random.get_state() == before
    too_much = {"class": "linear", "input_size": 10**12, "output_size": 1}
    assert "asks for more values than there can be" in messages(too_much)[0]


def test_variadic_parts_and_options_come_back_in_their_places(install):
    text = """
import tinyseq
class X(tinyseq.Layer):
    def __init__(self, size=2, /, mode="a", *parts: tinyseq.Layer, last: bool = False):
        self.given = size, mode, parts, last
    def forward(self, xs): ...
"""
    install("parts", {"tinyseq.layers": {"parts": "fake_parts:X"}}, fake_parts=text)
    cls = tinyseq.layers["parts"]
    recurrent = Recurrent(LSTM(1, 1))
    for component in cls(), cls(3, "b", recurrent, recurrent, last=True):
        size, mode, parts, last = component.given
        again = through_json(component).given
        assert again[:2] == (size, mode)
        assert again[3] == last
        assert len(again[2]) == len(parts)
        assert len({id(part) for part in again[2]}) == min(len(parts), 1)
    only_parts = build({"class": "parts", "parts": [config(recurrent)]}).given
    assert only_parts[:2] == (2, "a")
    assert len(only_parts[2]) == 1


@pytest.mark.parametrize(
    ("value", "wanted", "right"),
    [
        (1, float, True),
        (1.5, int, False),
        (True, int, False),
        (None, int | None, True),
        ("mean", "Literal", True),
        ([0.9, 0.99], tuple[float, float], True),
        ([0.9], tuple[float, float], False),
        ([1, 2, 3], tuple[int, ...], True),
        (["a"], list[int], False),
        ({}, dict[str, int], True),
        ("x", dict, False),
        (3, Module, False),
        (3, complex, True),
    ],
)
def test_annotations_judge_plain_values(value, wanted, right):
    if wanted == "Literal":
        wanted = tinyseq.contracts.Reduction
        assert not fits("men", wanted)
        assert expected(wanted) == "'mean' or 'sum' or 'none'"
    assert fits(value, wanted) is right
    assert isinstance(expected(wanted), str)


def test_a_whole_model_with_a_tied_embedding_comes_back():
    embed = Embedding(7, 4)
    head = tinyseq.heads["language-model"](4, 7, tied=embed)
    again = through_json(SequenceModel(embed, Recurrent(LSTM(4, 4)), head))
    assert again.head.tied is again.embed
    assert len(dict(again.named_parameters())) == len(again.state_dict())
