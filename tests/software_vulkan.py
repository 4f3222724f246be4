"""A Vulkan driver that computes on the processor, so that GPU code runs where there is no GPU.

`python tests/software_vulkan.py` puts SwiftShader, as Debian's chromium-common ships it, with its
Vulkan loader into the virtual environment, without root and without installing the package.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

PACKAGE = "chromium-common"
ICD = "vk_swiftshader_icd.json"
FILES = ("libvk_swiftshader.so", "libvulkan.so.1", ICD)
FOLDERS = (Path(sys.prefix, "share", "vulkan", "swiftshader"), Path("/usr/lib/chromium"))


def environment() -> dict[str, str]:
    """What lets a process find the driver: nothing where Vulkan is set up, or there is none."""
    if {"VK_ICD_FILENAMES", "VK_DRIVER_FILES"} & os.environ.keys():
        return {}
    for folder in FOLDERS:
        if all((folder / name).is_file() for name in FILES):
            paths = [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]
            libraries = os.pathsep.join(path for path in paths if path)
            return {"VK_ICD_FILENAMES": str(folder / ICD), "LD_LIBRARY_PATH": libraries}
    return {}


if __name__ == "__main__":
    debian = runpy.run_path(str(Path(__file__).with_name("debian.py")))
    debian["bring"]("software Vulkan driver", PACKAGE, FILES, FOLDERS[0])
