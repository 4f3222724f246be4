"""What a measurement ran on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import netspec

PACKAGES = (
    *("numpy", "torch", "keras", "tensorflow", "tensorflow-cpu", "jax", "tf2onnx"),
    *("onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "openvino"),
)


def versions() -> dict[str, str]:
    """netspec, Python, the kind of processor, and those of the packages that are installed."""
    found = {
        "netspec": netspec.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
