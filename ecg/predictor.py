"""ONNX session and contract; the only importer of onnxruntime."""
