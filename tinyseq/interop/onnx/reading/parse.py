"""What an ONNX file says, as plain values, with all of it checked that can be before anything runs."""

from collections.abc import Container
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from tinyseq.errors import DataError, brief, near
from tinyseq.interop.onnx.reading.nodes import dtype_of

SINCE = {"Softmax": 13, "LogSoftmax": 13, "Scan": 9, "BatchNormalization": 9, "Not": 1}
OLDEST, NEWEST = 7, 28
"""The opsets in which a node means what is read here; for those named, SINCE another one."""

MAX_DEPTH = 16  # of graphs inside graphs


class NodeOf(NamedTuple):
    """A node of a graph."""

    name: str
    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Body(NamedTuple):
    """A graph: its inputs with their dtypes (None where it does not say), the arrays it holds, its nodes.

    shapes: of inputs that have one, the length of each axis, or the name of a length that may be any.
    """

    inputs: dict[str, Any]
    held: dict[str, Any]
    nodes: list[NodeOf]
    outputs: list[str]
    shapes: dict[str, tuple[int | str, ...]]


def parsed(proto: Any, ops: Container[str]) -> Body:
    """The graph of a file. Raises DataError unless every node is known and comes after what it needs."""
    versions = [o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")]
    if not versions:
        raise DataError("It does not say of which opset it is.")
    if max(versions) > NEWEST:
        raise DataError(
            f"It is of opset {max(versions)}, and opsets up to {NEWEST} are read: convert the file."
        )
    return _Parser(max(versions), ops).body(proto.graph, frozenset(), 0)


class _Parser:
    def __init__(self, version: int, ops: Any) -> None:
        self.version, self.ops = version, ops

    def body(self, graph: Any, around: AbstractSet[str], depth: int) -> Body:
        """A graph that sees the names `around` it. No cycle passes: every name is made before its use."""
        if depth > MAX_DEPTH:
            raise DataError(f"Graphs stand inside each other more than {MAX_DEPTH} deep.")
        if len(graph.sparse_initializer):
            raise DataError("Sparse weights are not read.")
        held = {tensor.name: _array(tensor) for tensor in graph.initializer}
        inputs = {v.name: _described(v) for v in graph.input if v.name not in held}
        known = {*around, *held, *inputs}
        made: set[str] = set()
        nodes = []
        for proto in graph.node:
            node = self.node(proto, known, depth)
            twice = [
                name for name in node.outputs if name and (name in made or name in held or name in inputs)
            ]
            if twice:
                raise DataError(f"Two nodes give {brief(twice[0])}.")
            made.update(node.outputs)
            known.update(node.outputs)
            nodes.append(node)
        outputs = [v.name for v in graph.output]
        missing = [name for name in outputs if name not in known]
        if missing or not outputs:
            raise DataError(f"No node gives the output {brief(missing[0]) if missing else 'of the graph'}.")
        shapes = {v.name: shape for v in graph.input if (shape := _shape_of(v)) is not None}
        return Body(inputs, held, nodes, outputs, shapes)

    def node(self, proto: Any, known: AbstractSet[str], depth: int) -> NodeOf:
        """A node after those that give `known`."""
        op, domain = proto.op_type, proto.domain
        if op not in self.ops or domain not in ("", "ai.onnx"):
            of = f" of {brief(domain)}" if domain else ""
            raise DataError(f"The node {brief(op)}{of} is not read.{near(op, self.ops)}")
        since = SINCE.get(op, OLDEST)
        if self.version < since:
            raise DataError(f"{op} is read from opset {since} on, not of {self.version}: convert the file.")
        for name in proto.input:
            if name and name not in known:
                raise DataError(f"{op} needs {brief(name)}, which comes later, in a circle, or from nowhere.")
        outputs = list(proto.output)
        if not outputs:
            raise DataError(f"{op} has no output.")
        attributes = {a.name: self.attribute(a, known, depth) for a in proto.attribute}
        return NodeOf(brief(proto.name or outputs[0]), op, list(proto.input), outputs, attributes)

    def attribute(self, proto: Any, known: AbstractSet[str], depth: int) -> Any:
        """The value of an attribute; a tensor as an array, a graph as a Body."""
        from onnx import AttributeProto, helper

        value = helper.get_attribute_value(proto)
        if proto.type == AttributeProto.TENSOR:
            return _array(value)
        if proto.type == AttributeProto.GRAPH:
            return self.body(value, known, depth + 1)
        return value


def _array(tensor: Any) -> Any:
    """A tensor as an array. Raises DataError for one in another file, of another size, or of text."""
    from onnx import TensorProto, numpy_helper

    name = brief(tensor.name)
    if tensor.data_location == TensorProto.EXTERNAL or len(tensor.external_data):
        raise DataError(f"Weight {name} is in another file, which is not opened: load and save it with onnx.")
    dtype = dtype_of(f"Weight {name}", tensor.data_type)
    size = 1
    for n in tensor.dims:
        size *= n
    fields = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    held = len(tensor.raw_data) // dtype.itemsize or max(map(len, fields))
    if any(n < 0 for n in tensor.dims) or size != held:
        raise DataError(f"Weight {name} of shape {list(tensor.dims)[:8]} holds {held:,} values.")
    return numpy_helper.to_array(tensor)


def _described(value: Any) -> Any:
    if value.type.WhichOneof("value") not in (None, "tensor_type"):
        raise DataError(f"Input {brief(value.name)} is a sequence, a map or optional, and Tensors are read.")
    code = value.type.tensor_type.elem_type
    return dtype_of(f"Input {brief(value.name)}", code) if code else None


def _shape_of(value: Any) -> tuple[int | str, ...] | None:
    described = value.type.tensor_type
    if not described.HasField("shape"):
        return None
    return tuple([d.dim_value if d.dim_value > 0 else d.dim_param or "any" for d in described.shape.dim])
