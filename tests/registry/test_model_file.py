"""A model file makes the model again, bit for bit, and needs nothing else; a wrong one makes a sentence."""

import json
import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save as safetensors_bytes

import tinyseq
from tinyseq import Recurrent
from tinyseq.errors import ConfigError, DataError, PluginError
from tinyseq.files.container import MAX_HEADER, open_container, write_container
from tinyseq.nn import Embedding, Linear, Parameter, SequenceModel, Sequential
from tinyseq.registry import refresh

LSTM = tinyseq.cells["lstm"]


@pytest.fixture(autouse=True)
def _clean(install):
    """`install` also puts the registries back."""


@pytest.fixture
def model():
    tinyseq.seed(5)
    embed = Embedding(7, 4)
    return SequenceModel(embed, Recurrent(LSTM(4, 4)), tinyseq.heads["language-model"](4, 7, tied=embed))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.dtype == other[name].dtype
        np.testing.assert_array_equal(array, other[name])


def rewrite(path, record=None, arrays=None, **changes):
    """Write the file again with another record or other arrays."""
    with open_container(path) as file:
        arrays = {name: file.array(name) for name in file.shapes} if arrays is None else arrays
        record = {**file.record, **changes} if record is None else record
    path.write_bytes(safetensors_bytes(arrays, metadata={"tinyseq": json.dumps(record)}))


def refusal(path, error=DataError):
    with pytest.raises(error) as caught:
        tinyseq.load(path)
    return str(caught.value)


def test_a_model_comes_back_bit_for_bit(model, path):
    tinyseq.save(path, model, extra={"vocabulary": ["a", "b"], "unicode": "ü\n\u2028"})
    again = tinyseq.load(path)
    assert_same(again.state_dict(), model.state_dict())
    assert again.head.tied is again.embed
    ids = np.array([[1, 2, 3]])
    np.testing.assert_array_equal(again(ids).numpy(), model(ids).numpy())
    assert tinyseq.describe(path).extra == {"vocabulary": ["a", "b"], "unicode": "ü\n\u2028"}
    assert tinyseq.describe(path).packages == {"tinyseq": tinyseq.__version__}


def test_the_loaded_model_trains(model, path):
    tinyseq.save(path, model)
    again = tinyseq.load(path)
    again(np.array([[1, 2]])).sum().backward()
    assert all(p.grad is not None for p in again.encoder.parameters())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_parameter_keeps_its_dtype(dtype, path):
    model = Sequential(Linear(2, 3), Linear(3, 2))
    model.layers[0].to(dtype)
    tinyseq.save(path, model)
    assert_same(tinyseq.load(path).state_dict(), model.state_dict())


def test_loading_draws_no_random_number(model, path):
    tinyseq.save(path, model)
    tinyseq.seed(1)
    before = tinyseq.random.get_state()
    tinyseq.load(path)
    tinyseq.save(path, model)
    assert tinyseq.random.get_state() == before


def test_a_new_process_needs_nothing_but_the_file(model, path):
    tinyseq.save(path, model)
    code = f"import tinyseq; print(tinyseq.load({str(path)!r}).encoder.cell.w_x.data.sum())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(float(model.encoder.cell.w_x.data.sum()), rel=1e-5)


def test_a_model_that_was_changed_after_construction_is_not_saved(model, path):
    tinyseq.save(path, model)
    before = path.read_bytes()
    model.embed = Embedding(8, 4)
    with pytest.raises(
        ConfigError, match=r"its arguments would not make it again: 'head.tied.weight' is not in"
    ):
        tinyseq.save(path, model)
    model.more = Parameter(np.zeros(2))
    with pytest.raises(ConfigError, match="'more' is not in the model"):
        tinyseq.save(path, model)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"a": (1, 2)}, "JSON would change what is to be written: use lists, not tuples"),
        ({1: "a"}, "JSON would change"),
        ({"a": object()}, "A file holds what JSON can: .*not JSON serializable"),
        ({"a": float("nan")}, "A file holds what JSON can"),
        ({"a": "x" * MAX_HEADER}, "bytes of JSON, more than"),
    ],
)
def test_extra_must_survive_json(model, path, extra, message):
    with pytest.raises(ConfigError, match=message):
        tinyseq.save(path, model, extra=extra)
    assert not path.exists()


def test_where_nothing_can_be_written_is_told(model, tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*cannot be written: No such file or directory; choose"):
        tinyseq.save(tmp_path / "nowhere" / "model", model)
    with pytest.raises(DataError, match="cannot be written"):
        tinyseq.save(tmp_path, model)


def test_a_missing_package_is_named(install, source, path):
    info = install("tinyseq-mgu", {"tinyseq.cells": {"mgu": "fake_mgu:MGU"}}, "0.3", fake_mgu=source())
    tinyseq.save(path, Recurrent(tinyseq.cells["mgu"](3)))
    assert tinyseq.describe(path).packages == {"tinyseq": tinyseq.__version__, "tinyseq-mgu": "0.3"}
    assert type(tinyseq.load(path).cell).__name__ == "MGU"
    shutil.rmtree(info)
    refresh()
    assert refusal(path, PluginError).endswith(
        "It was saved with tinyseq-mgu 0.3, as the file says: pip install tinyseq-mgu"
    )


def test_a_component_of_another_version_is_refused(install, source, path, tmp_path):
    install("tinyseq-mgu", {"tinyseq.cells": {"mgu": "fake_mgu:MGU"}}, fake_mgu=source())
    cls = tinyseq.cells["mgu"]
    tinyseq.save(path, Recurrent(cls(3)))
    cls.version = 2
    assert "is at version 2, and version 1 was asked for" in refusal(path, PluginError)


def test_the_folder_of_a_run_stands_for_its_model(model, tmp_path):
    tinyseq.save(tmp_path / "model.safetensors", model)
    assert tinyseq.config(tinyseq.load(tmp_path)) == tinyseq.config(model)
    assert tinyseq.describe(str(tmp_path)).config == tinyseq.config(model)


def test_what_is_no_model_file_is_refused(model, path, tmp_path):
    assert refusal(tmp_path / "none") == f"There is no file {tmp_path / 'none'}."
    assert refusal(tmp_path).endswith("is a folder: name a file; it holds no .safetensors file.")
    (tmp_path / "checkpoint.safetensors").touch()
    assert refusal(tmp_path).endswith("it holds checkpoint.safetensors.")
    assert "There is no file a\0b" in refusal("a\0b")
    for content in b"", b"x", b"\0" * 8, b"\xff" * 100, struct.pack("<Q", 2**63) + b"{}", b"PK\x03\x04" * 99:
        path.write_bytes(content)
        assert refusal(path).startswith(f"{path} is no safetensors file, or was cut short")
    path.write_bytes(safetensors_bytes({"a": np.zeros(2)}))
    assert refusal(path) == f"{path} is a safetensors file, but its record is not tinyseq's."
    write_container(path, {}, {"format": "tinyseq.training"})
    assert refusal(path) == f"{path} was written by tinyseq, but holds no model."


def test_a_path_may_be_no_file_at_all(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "There is no file" in refusal(tmp_path / "pipe")


def test_every_truncation_is_refused(model, path):
    tinyseq.save(path, model)
    whole = path.read_bytes()
    for length in [*range(0, 64), *range(64, len(whole), 37)]:
        path.write_bytes(whole[:length])
        assert "is no safetensors file, or was cut short" in refusal(path)


def test_a_huge_header_is_refused_before_it_is_read(path):
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER + 1))
        file.truncate(MAX_HEADER * 2)
    assert "has a header of" in refusal(path)


def test_records_with_other_parts_are_refused(model, path):
    tinyseq.save(path, model)
    rewrite(path, more=1)
    assert "its record has other parts than a model's" in refusal(path)
    tinyseq.save(path, model)
    rewrite(path, extra=[1])
    assert "its record has other parts than a model's" in refusal(path)
    tinyseq.save(path, model)
    rewrite(path, version=2)
    assert "has the format of another tinyseq; this one reads version 1" in refusal(path)


@pytest.mark.parametrize("text", ["[" * 10**6, '{"a":' * 10**6, "9" * 10**6, '{"a": NaN}', "{", "\\ud800"])
def test_hostile_json_is_refused(path, text):
    path.write_bytes(safetensors_bytes({}, metadata={"tinyseq": text}))
    assert "its record is not tinyseq's" in refusal(path)


def test_other_arrays_than_the_configuration_says_are_refused(path):
    model = Linear(2, 3)
    right = model.state_dict()

    def said(**arrays):
        tinyseq.save(path, model)
        rewrite(path, arrays={k: v for k, v in {**right, **arrays}.items() if v is not None})
        return refusal(path).removeprefix(f"{path} holds other values than its configuration says: ")

    assert said(bias=None) == "bias is missing."
    assert said(more=np.zeros(2)) == "'more' is not in the model."
    assert said(bias=np.zeros(4)) == "bias has shape (4,), and (3,) in the model."
    assert said(bias=np.zeros(3, np.int64)) == "bias is I64."
    assert said(bias=np.zeros(3, np.bool_)) == "bias is BOOL."
    assert said(**{f"x{i}": np.zeros(1) for i in range(9)}).endswith("; and 6 more.")
    assert said(**{"../../etc/passwd": np.zeros(1)}) == "'../../etc/passwd' is not in the model."


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (
            {"class": "layer:linear", "input_size": 10**9, "output_size": 10**6},
            "asks for more values than there",
        ),
        ({"class": "layer:os.system"}, "No layer named 'os.system'"),
        ({"class": "cell:../../evil"}, "No cell named '../../evil'"),
        (
            {"class": "layer:linear", "input_size": 2, "output_size": 3, "colour": 1},
            "has no argument 'colour'",
        ),
        ({"is": ""}, "gives the path of a component further up"),
        ({}, "describes no model that can be made"),
        ({"class": "loss:cross-entropy"}, "holds other values than its configuration says"),
    ],
)
def test_hostile_configurations_are_refused(path, described, message):
    tinyseq.save(path, Linear(2, 3))
    rewrite(path, config=described)
    assert message in refusal(path, (DataError, PluginError))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count peak memory in other ways")
def test_what_a_file_asks_for_takes_no_memory(path):
    """A few hundred bytes must not be able to ask for gigabytes."""
    tinyseq.save(path, Linear(2, 3))
    rewrite(path, config={"class": "linear", "input_size": 2**16, "output_size": 2**16})
    code = f"""
import tinyseq
try:
    tinyseq.load({str(path)!r})
except tinyseq.errors.DataError:
    print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300 * 1024  # kilobytes; the model would take 17 gigabytes


def test_nothing_but_registered_names_is_imported(path):
    tinyseq.save(path, Linear(2, 3))
    before = set(sys.modules)
    for name in "layer:antigravity", "layer:this:that", "antigravity", "layer:antigravity.fly@1":
        rewrite(path, config={"class": name})
        refusal(path, PluginError)
    assert "antigravity" not in set(sys.modules) - before


def test_a_model_goes_from_any_backend_to_any(backend, path):
    model = Linear(2, 3)
    tinyseq.save(path, model)
    again = tinyseq.load(path)
    assert type(again.weight.data) is type(model.weight.data)
    assert_same(again.state_dict(), model.state_dict())
    with tinyseq.use("numpy"):
        assert_same(tinyseq.load(path).state_dict(), model.state_dict())


def test_equal_models_are_equal_files(tmp_path):
    """Byte for byte, whenever they are written: an unfortunate order would come up among so many."""
    model = tinyseq.nn.Linear(2, 3)
    for k in range(20):
        tinyseq.save(tmp_path / f"{k}", model, {"note": "é"})
    assert len({(tmp_path / f"{k}").read_bytes() for k in range(20)}) == 1
