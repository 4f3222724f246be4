"""Files of Debian's packages for tests, without root and without installing the packages."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path


def take(package: str, names: Sequence[str], folder: Path) -> None:
    """Put the package's files of these names into a folder.

    Raises:
        subprocess.SubprocessError: apt has no such package, or cannot fetch it in two minutes.
        FileNotFoundError: there is no apt, or the package lacks a file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["apt-get", "download", package], cwd=scratch, check=True, timeout=120)
        (found,) = Path(scratch).glob("*.deb")
        archive = Path(scratch, "files.tar")
        with archive.open("wb") as stream:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", found], stdout=stream, check=True)
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as files:
            members = {Path(member.name).name: member for member in files if member.isfile()}
            for name in names:
                if name not in members:
                    raise FileNotFoundError(f"{package} has no {name}")
                content = files.extractfile(members[name])
                assert content is not None
                (folder / name).write_bytes(content.read())


def bring(what: str, package: str, names: Sequence[str], folder: Path) -> None:
    """Put the files there and say where, or end the program with what went wrong."""
    try:
        take(package, names, folder)
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"no {what}: {error}")
    print(folder)
