"""How often is what is right called wrong? Seeds of probe weights and inputs, on ten families.

`python -m tests.false_alarms [--seeds N]` from the root of the repository measures torch, Keras on
TensorFlow, ONNX Runtime and OpenVINO in float32, each alone against its predicted noise, and
prints how measured / predicted is distributed, as a table in Markdown. The exit status is 0 if
nothing was above the threshold, and 1 too if something could not run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from netspec.compiler import source_backend
from netspec.exports.bench import Bench
from netspec.exports.noise import THRESHOLD, predictor
from netspec.exports.plan import rounding_plan
from netspec.exports.probe import enough_inputs, probe_weights
from netspec.graph import Graph
from tests.families import family
from tests.mutants.laboratory import jobs_in_this_process

FAMILIES = (
    *("alexnet", "densenet", "efficientnet", "googlenet", "inception_v3"),
    *("mobilenet_v2", "resnet", "shift_resnet", "shufflenet_v2", "squeezenet1_1"),
)
PARTS = {
    "torch": (["torch"], ["torch"]),
    "keras": (["keras"], ["keras"]),
    "files": (["onnx"], ["onnxruntime", "openvino"]),
}
"""Backends and runtimes that share a process."""

Result = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many (default: 20)")
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        for result in _measured(arguments.part, arguments.families, arguments.seeds):
            print("RESULT", json.dumps(result), flush=True)
        return 0
    results: list[Result] = []
    for part in PARTS:
        command = [sys.executable, "-m", "tests.false_alarms", "--part", part]
        command += ["--seeds", str(arguments.seeds), "--families", *arguments.families]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = (line.partition(" ") for line in child.stdout)
            results += [json.loads(text) for kind, _, text in lines if kind == "RESULT"]
    print("\n".join(_table(results)))
    whole = len(results) == 4 * len(arguments.families) * arguments.seeds
    return 0 if whole and all(r["ratio_max"] is not None and _worst(r) <= 1 for r in results) else 1


def _measured(part: str, families: Iterable[str], seeds: int) -> Iterable[Result]:
    for name in families:
        graph = family(f"{name}.yaml").graph()
        for seed in range(seeds):
            for result in _rows(graph, part, seed):
                yield {"family": name, "seed": seed, **result}


def _rows(graph: Graph, part: str, seed: int) -> Iterable[Result]:
    backends, runtimes = PARTS[part]
    weights = probe_weights(graph, seed)
    inputs = enough_inputs(graph, weights, seed)
    predicted = predictor(graph, weights, inputs, seed=seed)
    with jobs_in_this_process(), tempfile.TemporaryDirectory() as folder:
        bench = Bench(
            graph,
            lambda backend: source_backend(backend).source(graph),
            weights,
            inputs,
            predicted,
            {},
            Path(folder),
            seed,
            lambda text: None,
        )
        (outcomes,) = bench.measure(rounding_plan(backends, runtimes, None))
    for outcome in outcomes:
        row = outcome.row
        found = {"ratio_rms": row.ratio_rms, "ratio_max": row.ratio_max}
        yield {"runtime": row.runtime, "status": row.status, "reason": row.reason, **found}


def _worst(result: Result) -> float:
    """The larger ratio, over the threshold."""
    return max(float(result["ratio_rms"]), float(result["ratio_max"])) / THRESHOLD


def _table(results: list[Result]) -> list[str]:
    lines = [
        "| family | runtime | runs | rms: least | median | largest | max: largest | false alarms |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    keys = list(dict.fromkeys((r["family"], r["runtime"]) for r in results))
    for name, runtime in [*sorted(keys), ("all", "all")]:
        rows = [
            r for r in results if name == "all" or (r["family"], r["runtime"]) == (name, runtime)
        ]
        ran = [r for r in rows if r["ratio_max"] is not None]
        if not ran:
            reason = rows[0]["reason"] if rows else "nothing ran"
            lines.append(f"| {name} | {runtime} | 0 | | | | | {reason} |")
            continue
        rms = np.array([r["ratio_rms"] for r in ran])
        largest = max(r["ratio_max"] for r in ran)
        alarms = sum(_worst(r) > 1 for r in ran)
        lines.append(
            f"| {name} | {runtime} | {len(ran)} | {rms.min():.2f} | {np.median(rms):.2f} "
            f"| {rms.max():.2f} | {largest:.2f} | {alarms} |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
