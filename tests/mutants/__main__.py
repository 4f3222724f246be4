"""`make mutants`: every mistake of the tables, in a process for each framework, as one table.

`python -m tests.mutants [PART ...]` from the root of the repository runs them all, or those of
some parts; with `--quick` some of each. The exit status is 0 if all were found and blamed on the
right node.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict

from tests.mutants.files import FileMutant, file_mutants
from tests.mutants.run import Verdict, verdicts
from tests.mutants.sources import SourceMutant, source_mutants

PARTS = {"torch": 5, "keras": 6, "files": 4}  # which of each part `--quick` runs: one in so many


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only some of each kind")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    if arguments.here:  # one framework a process
        (part,) = parts
        for verdict in verdicts(_part(part)[:: PARTS[part] if arguments.quick else 1]):
            print("RESULT", json.dumps(asdict(verdict)), flush=True)
        return 0
    found: list[Verdict] = []
    for part in parts:
        command = [sys.executable, "-m", "tests.mutants", "--here", part]
        command += ["--quick"] if arguments.quick else []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                kind, _, text = line.partition(" ")
                if kind == "RESULT":
                    found.append(Verdict(**json.loads(text)))
                    print(_line(found[-1]), flush=True)
        if child.returncode:
            print(f"the {part} mutants ended with exit status {child.returncode}")
            return 1
    seen, right = (sum(map(test, found)) for test in (lambda v: bool(v.found), lambda v: v.right))
    print(f"{len(found)} mutants: {seen} found, {right} blamed on the right node")
    return 0 if right == len(found) else 1


def _part(name: str) -> list[SourceMutant | FileMutant]:
    if name == "files":
        return list(file_mutants())
    return [mutant for mutant in source_mutants() if mutant.backend == name]


def _line(verdict: Verdict) -> str:
    blamed = " or ".join([verdict.blamed or "-", *verdict.folded])
    right = "right" if verdict.right else f"WRONG: it is {verdict.node}"
    cells = (verdict.where.ljust(24), verdict.name.ljust(36), (verdict.found or "MISSED").ljust(8))
    return "  ".join([*cells, blamed.ljust(24), right])


if __name__ == "__main__":
    sys.exit(main())
