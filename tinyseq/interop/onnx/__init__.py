"""ONNX: models out, for onnxruntime and others, and graphs in."""

from tinyseq.interop.onnx.export import to_onnx as to_onnx
from tinyseq.interop.onnx.reading import OnnxModel as OnnxModel
from tinyseq.interop.onnx.reading import from_onnx as from_onnx
