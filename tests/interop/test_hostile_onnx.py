"""Files of ONNX from strangers: damaged, endless, enormous or of wrong types, each in one sentence."""

import time
from typing import Any

import numpy as np
import pytest

import tinyseq
from tests.interop.models import ENCODERS, HEADS, WIDTH
from tinyseq.errors import DataError
from tinyseq.interop import from_onnx, to_onnx
from tinyseq.nn import Embedding, SequenceModel

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[test-onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install '.[test-onnx]'")

helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT

INPUT = helper.make_tensor_value_info("x", FLOAT, [2])
OUTPUT = helper.make_tensor_value_info("y", FLOAT, None)


def of_nodes(*nodes: Any, held: Any = (), opset: int = 18, outputs: Any = (OUTPUT,)) -> bytes:
    graph = helper.make_graph(list(nodes), "g", [INPUT], list(outputs), list(held))
    data: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString()
    return data


def weight(**changes: Any) -> Any:
    tensor = onnx.numpy_helper.from_array(np.ones(2, np.float32), "w")
    for name, value in changes.items():
        if name == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)
        elif name == "external":
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=value)
        else:
            setattr(tensor, name, value)
    return tensor


def node(op: str, inputs: list[str], *outputs: str, **attributes: Any) -> Any:
    return helper.make_node(op, inputs, list(outputs or ["y"]), **attributes)


def ints(*values: int) -> Any:
    return onnx.numpy_helper.from_array(np.array(values, np.int64), "w")


HOSTILE = {
    "nothing": (b"", "opset"),
    "noise": (b"\xff" * 100, "no ONNX file"),
    "cyclic": (of_nodes(node("Add", ["x", "y"], "a"), node("Neg", ["a"])), "in a circle"),
    "a version to come": (of_nodes(node("Neg", ["x"]), opset=10**9), "opsets up to"),
    "unknown": (of_nodes(node("Conv", ["x", "x"])), "'Conv' is not read"),
    "misspelt": (of_nodes(node("Tahn", ["x"])), "or 'Tanh'"),
    "twice": (of_nodes(node("Neg", ["x"]), node("Abs", ["x"])), "Two nodes give 'y'"),
    "no output": (of_nodes(node("Neg", ["x"], "z")), "No node gives the output 'y'"),
    "old": (of_nodes(node("Softmax", ["x"]), opset=11), "from opset 13 on"),
    "elsewhere": (of_nodes(node("Add", ["x", "w"]), held=[weight(external="/weights")]), "in another file"),
    "enormous": (of_nodes(node("Add", ["x", "w"]), held=[weight(dims=[2**40, 2**40])]), "holds 2 values"),
    "negative": (of_nodes(node("Add", ["x", "w"]), held=[weight(dims=[-1, -2])]), "holds 2 values"),
    "cut": (of_nodes(node("Add", ["x", "w"]), held=[weight(raw_data=b"123")]), "holds 0 values"),
    "text": (of_nodes(node("Add", ["x", "w"]), held=[weight(data_type=8)]), "type 8"),
    "no type": (of_nodes(node("Add", ["x", "w"]), held=[weight(data_type=99)]), "type 99"),
    "made to allocate": (of_nodes(node("ConstantOfShape", ["w"]), held=[ints(2**40, 2**20)]), "would make"),
    "made to spread": (of_nodes(node("Expand", ["x", "w"]), held=[ints(2**40, 2)]), "would make"),
    "made to multiply": (
        of_nodes(
            node("Expand", ["x", "w"], "a"), node("Unsqueeze", ["a", "v"], "b"), node("Mul", ["a", "b"]),
            held=[ints(2**20, 2), onnx.numpy_helper.from_array(np.array([1], np.int64), "v")],
        ),
        "would make",
    ),
    "made to double": (
        of_nodes(
            *[node("Concat", [f"x{i}" if i else "x"] * 2, f"x{i + 1}", axis=0) for i in range(40)],
            node("Neg", ["x40"]),
        ),
        "would make",
    ),
    "made to split": (of_nodes(node("Split", ["x"], num_outputs=2**40, axis=0)), "Node 'y'"),
    "of wrong shapes": (of_nodes(node("MatMul", ["x", "w"]), held=[ints(1, 2, 3)]), "Node 'y'"),
    "of many nodes": (
        of_nodes(*[node("Neg", [f"x{i}" if i else "x"], f"x{i + 1}") for i in range(60_000)],
            node("Neg", ["x9"]),
        ),
        "makes more nodes",
    ),
    "with two open lengths": (of_nodes(node("Reshape", ["x", "w"]), held=[ints(-1, -1)]), "more than one"),
    "without inputs": (of_nodes(node("Gemm", [])), "needs input 0"),
    "a weight of nothing": (of_nodes(node("LSTM", ["x", "x", "x"])), "Node 'y'"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_one_sentence(what: str, tmp_path: Any) -> None:
    data, said = HOSTILE[what]
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(DataError) as caught:
        from_onnx(tmp_path / "model.onnx")(x=np.ones(2, np.float32))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_loop_without_end_ends() -> None:
    body = helper.make_graph(
        [node("Identity", ["go"], "on"), node("Identity", ["a"], "b")],
        "body",
        [helper.make_tensor_value_info(n, t, []) for n, t in (("i", 7), ("go", 9), ("a", 1))],
        [helper.make_tensor_value_info(n, t, []) for n, t in (("on", 9), ("b", 1))],
    )
    data = of_nodes(node("Loop", ["", "", "x"], body=body))
    started = time.process_time()
    with pytest.raises(DataError, match="makes more nodes than"):
        from_onnx(data)(x=np.ones(2, np.float32))
    assert time.process_time() - started < 2


def test_inputs_that_do_not_fit_are_named() -> None:
    read = from_onnx(of_nodes(node("Neg", ["x"])))
    for call, said in (
        (lambda: read(), "missing: x"),
        (lambda: read(z=1), "unknown: z"),
        (lambda: read(1, 2), "takes 1 inputs"),
        (lambda: read(x=np.ones(2)), "takes float32, not float64"),
        (lambda: read(x=np.ones(3, "f")), r"takes the shape \(2\), not \(3,\): .* dynamic axes"),
        (lambda: read(x=np.ones((2, 1), "f")), r"takes the shape \(2\), not \(2, 1\)"),
    ):
        with pytest.raises(DataError, match=said):
            call()


def test_a_missing_file_is_said(tmp_path: Any) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        from_onnx(tmp_path / "nothing.onnx")


def mutated(data: bytes, rng: Any) -> bytes:
    """Bytes changed, left out, put in or doubled."""
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at, kind = int(rng.integers(len(found))), rng.integers(4)
        if kind == 0:
            found[at] = int(rng.integers(256))
        elif kind == 1:
            del found[at : at + int(rng.integers(1, 20))]
        elif kind == 2:
            found[at:at] = rng.bytes(int(rng.integers(1, 9)))
        else:
            found[at:at] = found[at : at + 30]
    return bytes(found)


@pytest.mark.parametrize("seed", range(5))
def test_ten_thousand_mutations_are_answers_or_one_sentence(seed: int, tmp_path: Any) -> None:
    """Of graphs and of weights, 1,000 each in every of five runs; what still is a file is run."""
    from tinyseq.interop import torch as of_torch
    from tinyseq.interop.arrays import write_safetensors

    rng = np.random.default_rng(seed)
    encoders = list(ENCODERS)
    model = SequenceModel(Embedding(3, WIDTH), ENCODERS[encoders[seed]](), HEADS["classifier, mean"]())
    data = to_onnx(model)
    feed = {"x": np.array([[0, 2]]), "lengths": np.array([2])}
    layer = tinyseq.nn.Linear(2, 3)
    write_safetensors(tmp_path / "w", of_torch.state_dict(layer))
    weights, target = (tmp_path / "w").read_bytes(), tmp_path / "mutated"
    survived, said, slowest = 0, list[str](), 0.0
    for _ in range(1000):
        for attempt in (
            lambda: from_onnx(mutated(data, rng))(**feed),
            lambda: of_torch.load(layer, target),
        ):
            target.write_bytes(mutated(weights, rng))
            started = time.process_time()
            try:
                attempt()
                survived += 1
            except DataError as error:
                said.append(str(error))
            slowest = max(slowest, time.process_time() - started)
    assert slowest < 2
    assert all(len(one) < 1000 and "\n" not in one for one in said)
    assert 0 < survived < 2000
