"""The main job from end to end: `make demo`."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

SPECS = ("squeezenet1_1", "squeezenet_cifar10")
FOLDER = Path("build", "demo")


def main() -> int:
    """Check, build, export and verify both SqueezeNets; the exit status of the first failure."""
    began = time.monotonic()
    for spec in SPECS:
        print(f"\n== {spec}: one spec, two frameworks, three ONNX files", flush=True)
        for arguments in _commands(spec):
            print(f"\n$ netspec {shlex.join(arguments)}", flush=True)
            status = subprocess.run([sys.executable, "-m", "netspec", *arguments]).returncode
            if status:
                print(f"netspec {shlex.join(arguments)} failed with status {status}")
                return status
    print(f"\nDone in {time.monotonic() - began:.0f} s. The files are in {FOLDER}/:")
    for path in sorted(FOLDER.iterdir()):
        print(f"  {path.stat().st_size:>12,}  {path.name}")
    return 0


def _commands(spec: str) -> list[list[str]]:
    """The commands of one spec, as a user would type them."""
    folder = str(FOLDER)
    exports = [
        ["export", spec, "--backend", backend, "-o", str(FOLDER / f"{spec}_{backend}.onnx")]
        for backend in ("torch", "keras", "onnx")
    ]
    return [
        ["check", spec],
        ["build", spec, "--backend", "torch", "-o", folder],
        ["build", spec, "--backend", "keras", "-o", folder],
        *exports,
        ["verify", spec],
    ]


if __name__ == "__main__":
    sys.exit(main())
