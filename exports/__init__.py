"""ONNX export, the runtimes that run a network, and the measure of their agreement."""
