"""`make zoo`: measure every model of the zoo on every backend and export, and write docs/zoo.md.

`python tests/zoo_matrix.py [NAME ...]` does so for all models, or for those that are named. Each is
measured by a process of its own, some at a time. Results lie in build/zoo/, one file a model, with
the digest of what they depend on, so that an interrupted run goes on where it stopped and a changed
spec is measured again. The table's rows are kept in docs/zoo.json with the commit at which each was
measured: one that is not measured again keeps its row. The exit status is 0 only if every model was
measured as it is now, and agreed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from netspec.zoo import zoo_folder, zoo_names

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "build" / "zoo"
SUMMARY = ROOT / "build" / "zoo.json"
TABLE = ROOT / "docs" / "zoo.json"
PAGE = ROOT / "docs" / "zoo.md"
MARK = "<!-- What follows is written by `make zoo`. -->\n"
ROOMS = ("netspec", "backends", "exports")
PACKAGES = (
    *("numpy", "torch", "tensorflow-cpu", "keras"),
    *("onnx", "onnxscript", "tf2onnx", "onnxruntime"),
)
SUBJECTS = ("torch source", "keras source", "torch export", "keras export", "onnx export")
BAR = 30

HEAD = ("model", "input", "parameters", "MACs", "float64", *SUBJECTS, "verdict", "at")

Result = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="models (default: all)")
    jobs = max(1, (os.cpu_count() or 1) // 2)  # each uses two workers for most of its time
    parser.add_argument("--jobs", type=int, default=jobs, help=f"at a time (default: {jobs})")
    parser.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(args.one)
        return 0
    known = list(zoo_names())
    if unknown := set(args.names) - set(known):
        parser.error(f"not in the zoo: {', '.join(sorted(unknown))}")
    measure_all([n for n in args.names or known if result(n) is None], args.jobs)
    results = {name: result(name) for name in known}
    write(results)
    good = all(found and found["agreed"] for found in results.values())
    print(f"{PAGE.relative_to(ROOT)}: {'all agreed' if good else 'NOT all of them agreed'}")
    return 0 if good else 1


def measure_all(names: list[str], jobs: int) -> None:
    """Measure models, `jobs` at a time, and say how far it is."""
    begun = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        pending = {pool.submit(in_a_process, name): name for name in names}
        for done, future in enumerate(as_completed(pending), start=1):
            left = (time.monotonic() - begun) / done * (len(names) - done)
            bar = "#" * (BAR * done // len(names))
            print(
                f"[{bar:.<{BAR}}] {done}/{len(names)}, {left / 60:.0f} min left; {future.result()}",
                flush=True,
            )


def in_a_process(name: str) -> str:
    """Measure one model; the last line of what its process says."""
    command = [sys.executable, __file__, "--one", name]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    lines = done.stdout.splitlines()
    if done.returncode:
        return f"{name}: no result, exit status {done.returncode}: {' '.join(lines[-1:])}"
    return lines[-1]


def measure(name: str) -> None:
    """Verify a model as `netspec verify` does, and keep the report."""
    import netspec

    begun, wanted = time.monotonic(), digest(name)
    graph = netspec.load(name)
    report = netspec.verify(name)
    found: Result = {
        "digest": wanted,
        "commit": commit(),
        "name": name,
        "inputs": {value.name: value.type.shape for value in graph.inputs},
        "parameters": graph.param_count,
        "macs": graph.macs,
        "seconds": round(time.monotonic() - begun, 1),
        **report.to_dict(),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    draft = RESULTS / f"{name}.tmp"
    draft.write_text(json.dumps(found, indent=1), encoding="utf-8")
    draft.replace(RESULTS / f"{name}.json")
    print(report.render().splitlines()[-1] + f", {found['seconds']:.0f} s")


def result(name: str) -> Result | None:
    """What was measured, if nothing that it depends on has changed since."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return None
    found: Result = json.loads(path.read_text(encoding="utf-8"))
    return found if found["digest"] == digest(name) else None


def digest(name: str) -> str:
    """Of the model's file and the zoo's libraries, of netspec's source, and of the versions."""
    own = zoo_names()[name].path
    hashed = hashlib.sha256(sources())
    for path in (own, *libraries()):
        hashed.update(path.name.encode() + path.read_bytes())
    return hashed.hexdigest()


@cache
def libraries() -> tuple[Path, ...]:
    models = {found.path for found in zoo_names().values()}
    return tuple(sorted(set(zoo_folder().glob("*.yaml")) - models))


@cache
def sources() -> bytes:
    hashed = hashlib.sha256(json.dumps(versions()).encode())
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            hashed.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return hashed.digest()


def commit() -> str:
    """The commit that is measured, with a plus sign if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=7", "--dirty=+"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


@cache
def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def write(results: dict[str, Result | None]) -> None:
    """The table as Markdown, after the page's own text, and everything as JSON."""
    kept = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.is_file() else {}
    fresh = {name: cells(name, found) for name, found in results.items() if found}
    table = {name: (kept | fresh).get(name, unmeasured(name)) for name in results}
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in table.items())
    TABLE.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")
    lines = [
        " ".join(f"{package} {number}," for package, number in versions().items())
        + f" on {platform.machine()}.",
        "",
        f"| {' | '.join(HEAD)} |",
        f"|{'---|' * 2}{'---:|' * 8}{'---|' * 2}",
        *(f"| {' | '.join(row)} |" for row in table.values()),
    ]
    text = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(text + MARK + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    data = {"versions": versions(), "machine": platform.machine(), "models": results}
    SUMMARY.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def unmeasured(name: str) -> list[str]:
    return [name, *("",) * (len(HEAD) - 3), "not run", ""]


def cells(name: str, found: Result) -> list[str]:
    """A row: what each subject's worst output is off, in units of the predicted noise."""
    rows = {row["subject"]: row for row in found["rows"]}
    sizes = ", ".join("x".join(map(str, shape)) for shape in found["inputs"].values())
    return [
        name,
        sizes,
        f"{found['parameters']:,}",
        f"{found['macs']:,}",
        exact(found["same"]),
        *(figure(rows[subject]) if subject in rows else "not run" for subject in SUBJECTS),
        "agreed" if found["agreed"] else "**NOT agreed**",
        found["commit"],
    ]


def exact(rows: list[Result]) -> str:
    """The worst float64 difference of all subjects over the largest output.

    One whose stored numbers are float32 is named with its own.
    """
    worst = {"agreed": 0.0, "rounded": 0.0}
    for row in rows:
        found = [output["relative"] for output in row["outputs"].values()]
        if row["status"] not in worst or not found or None in found:
            return "**not the same**"
        worst[row["status"]] = max(worst[row["status"]], *found)
    rounded = ", ".join(row["subject"] for row in rows if row["status"] == "rounded")
    text = f"{worst['agreed']:.0e}"
    return f"{text}; {rounded} {worst['rounded']:.0e}" if rounded else text


def figure(row: Result) -> str:
    ratios = [output["ratio_rms"] for output in row["outputs"].values()]
    if not ratios or None in ratios:
        return f"**{row['status']}**"
    worst = f"{max(ratios):.2f}"
    return worst if row["status"] == "agreed" else f"**{worst}**"


if __name__ == "__main__":
    sys.exit(main())
