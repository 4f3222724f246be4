"""A Vulkan driver that computes on the processor, so that GPU code runs where there is no GPU.

`python tests/software_vulkan.py` puts SwiftShader, as Debian's chromium-common ships it, with its
Vulkan loader into the virtual environment, without root and without installing the package.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
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


def install(folder: Path) -> None:
    """Take the driver's files from the package.

    Raises:
        subprocess.SubprocessError: apt has no such package, or cannot fetch it in two minutes.
        FileNotFoundError: there is no apt, or the package lacks a file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["apt-get", "download", PACKAGE], cwd=scratch, check=True, timeout=120)
        (package,) = Path(scratch).glob("*.deb")
        archive = Path(scratch, "files.tar")
        with archive.open("wb") as stream:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", package], stdout=stream, check=True)
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as files:
            members = {Path(member.name).name: member for member in files if member.isfile()}
            for name in FILES:
                if name not in members:
                    raise FileNotFoundError(f"{PACKAGE} has no {name}")
                content = files.extractfile(members[name])
                assert content is not None
                (folder / name).write_bytes(content.read())


if __name__ == "__main__":
    try:
        install(FOLDERS[0])
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"no software Vulkan driver: {error}")
    print(FOLDERS[0])
