"""Time the commands that people wait for, as whole processes, beside Python's own start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

NETSPEC = str(Path(sys.executable).with_name("netspec"))
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import yaml, jsonschema": [sys.executable, "-c", "import yaml, jsonschema"],
    "import netspec": [sys.executable, "-c", "import netspec"],
    "netspec check resnet50": [NETSPEC, "check", "resnet50"],
}
RUNS = 20
# Who installs netspec gets bytecode; where Python is told to write none, this source would not.
ENVIRONMENT = {key: v for key, v in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str]) -> float:
    """Wall-clock time of one process.

    Raises:
        CalledProcessError: the command failed, so its time means nothing.
    """
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - start


def main() -> None:
    print(f"{'whole process, seconds':<26}{'least':>8}{'median':>8}   of {RUNS} runs")
    for name, command in COMMANDS.items():
        seconds(command)  # the first run fills the caches of the file system and of bytecode
        times = [seconds(command) for _ in range(RUNS)]
        print(f"{name:<26}{min(times):>8.3f}{median(times):>8.3f}")


if __name__ == "__main__":
    main()
