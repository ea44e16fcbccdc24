"""ONNX: models out, for onnxruntime and others, and graphs in."""

from tinyseq.interop.onnx.export import to_onnx as to_onnx
