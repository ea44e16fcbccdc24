"""Parts behind annotations that judge nothing, and initialisers with options, are saved and built again."""

import functools
import json
from typing import Annotated, Any, Protocol, TypedDict

import numpy as np
import pytest

import tinyseq
from tinyseq.errors import ConfigError
from tinyseq.nn import init


class Callish(Protocol):
    def forward(self, xs: Any) -> Any: ...


class Named(TypedDict):
    name: str


@pytest.mark.parametrize(
    "annotation",
    [
        Any,
        Any | None,
        list[Any],
        Annotated[Any, 1],
        Callish,
        Callish | None,
        tuple[Callish, ...],
        Named,
        object,
    ],
    ids=str,
)
def test_a_part_behind_an_annotation_that_judges_nothing_is_saved_and_loaded(
    annotation, tmp_path, monkeypatch
):
    monkeypatch.setattr(tinyseq.layers, "_registered", {})

    class Holds(tinyseq.nn.Module):
        def __init__(self, part):
            self.part = part

        def forward(self, xs):
            return xs

    Holds.__init__.__annotations__["part"] = annotation
    tinyseq.register("layer", "holds")(Holds)
    listed = "list" in str(annotation) or "tuple" in str(annotation)
    made = Holds([tinyseq.nn.Linear(2, 2)] if listed else tinyseq.nn.Linear(2, 2))
    tinyseq.save(tmp_path / "m.safetensors", made)
    again = tinyseq.load(tmp_path / "m.safetensors")
    assert again.state_dict().keys() == made.state_dict().keys()


def test_an_initialiser_with_options_is_saved_and_built_again(tmp_path):
    how = functools.partial(init.uniform, low=0.25, high=0.5)
    layer = tinyseq.nn.Linear(3, 4, init=how)
    written = tinyseq.config(layer)
    assert {k: v for k, v in written["init"].items() if k != "from"} == {
        "class": "initializer:uniform@1",
        "low": 0.25,
        "high": 0.5,
    }
    again = tinyseq.build(json.loads(json.dumps(written)))
    weights = again.weight.numpy()
    assert weights.min() >= 0.25
    assert weights.max() < 0.5
    assert tinyseq.config(again) == written
    tinyseq.save(tmp_path / "layer.safetensors", layer)
    np.testing.assert_array_equal(
        tinyseq.load(tmp_path / "layer.safetensors").weight.numpy(), layer.weight.numpy()
    )


def test_mistakes_in_the_options_of_an_initialiser_are_told_with_their_place():
    with pytest.raises(ConfigError, match=r"init.lo: initializer 'uniform' has no option 'lo'. Did you mean"):
        tinyseq.build(
            {
                "class": "linear",
                "input_size": 2,
                "output_size": 3,
                "init": {"class": "initializer:uniform", "lo": 1},
            }
        )


@pytest.mark.parametrize("how", [functools.partial(init.uniform, (2, 3)), functools.partial(lambda shape: 0)])
def test_a_partial_of_anything_else_is_refused(how):
    layer = tinyseq.nn.Sequential()
    layer._init_arguments = ((how,), {})
    with pytest.raises(ConfigError, match="which a configuration cannot hold"):
        tinyseq.config(layer)
