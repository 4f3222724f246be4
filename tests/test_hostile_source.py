"""Whatever a spec calls things: an error at the name, or source that compiles, runs and agrees.

A row of the table is a place where names stand, with a spec that has all hostile names there at
once. What netspec refuses, it refuses at that name; what is left must be two programs.
"""

from __future__ import annotations

import ast
import builtins
import json
import keyword
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

import netspec
from netspec.backends.lowering import NotLowered
from netspec.compiler import execute
from netspec.diagnostics import Findings
from netspec.initial import initial_weights
from netspec.load import load_found
from netspec.reference import run
from netspec.zoo import Found

# In generated source, in Keras's models and layers, or beside another word once it is spelt.
OWN = """
    torch nn F Any Sequence OrderedDict Iterator NamedTuple keras layers ops np numpy math load_file
    itertools initializers build_model load_weights assign_weights stored_variables initialize
    network model self x y out in_channels channels channels_2 input_ inputs image weights path
    params aux name names training Net Model Layer Functional summary fit save export call compute
    built losses metrics variables weight bias running_mean running_var num_batches_tracked kernel
    class_ class_2 Class CLASS lambda_ forward_ forward-2 a-b a_b a-b- a--b 1 2x _ __ ___ i i_ stage
    s depth level number count append extend insert evil None_ True_ match case type _ soft kwargs
    args super_ value key index pool0 x_2 x-2 X conv2d dense relu conv batch_norm T_destination
""".split()
WORDS = list(
    dict.fromkeys(
        [
            *keyword.kwlist,
            *keyword.softkwlist,
            *dir(builtins),
            *dir(nn.Module()),
            *dir(nn.Sequential()),
            *OWN,
        ]
    )
)
# No letter of these is what it looks like, or what Python would make of it.
ALIENS = [
    *(
        "f\u043erward",
        "ﬁre",
        "\uff52elu",
        "\U0001d42celf",
        "a\u200bb",
        "a\u202eb",
        "x²",
        "naïve",
        "é",
        "",
        " ",
        "-a",
    ),
    *("a b", "a.b", "a/b", "a:b", "a$b", "a'b", 'a"b', 'a"""b', "a\\b", "a\nb", "a#b", "a;b", "%s"),
    *("a\n__import__('os')", "a)\nevil(", "a(b", "a\u2028b", "a\rb", "a\x0cb", "{", "}"),
]

CONV = {"conv": {"out": 2, "kernel": 1}}


def head(**more: Any) -> dict[str, Any]:
    return {"netspec": 1, "name": "net", "inputs": {"image": [2, 3, 4]}, **more}


def children(words: list[str]) -> dict[str, Any]:
    """Children of the model, each with weights and read twice."""
    body: dict[str, Any] = {}
    for word in words:
        body[word] = CONV
    return head(body={**body, "every": {"add": [*words, "input"]}})


def grandchildren(words: list[str]) -> dict[str, Any]:
    return head(body={"group": {"body": dict.fromkeys(words, CONV)}, "end": "relu"})


def children_of_a_block(words: list[str]) -> dict[str, Any]:
    body = {word: {"conv": {"out": "=width", "kernel": 1}} for word in words}
    return head(blocks={"unit": {"params": {"width": 2}, "body": body}}, body=["unit", "unit"])


def blocks(words: list[str]) -> dict[str, Any]:
    unit = {"params": {"out": 2}, "body": [{"conv": {"out": "=out", "kernel": 1}}, "relu"]}
    used = [{word: {"out": 2 + index % 3}} for index, word in enumerate(words)]
    return head(blocks=dict.fromkeys(words, unit), body=used)


def parameters(words: list[str]) -> dict[str, Any]:
    outs = [{"conv": {"out": f"={word}", "kernel": 1}} for word in words]
    return head(params={w: 1 + i % 4 for i, w in enumerate(words)}, body=[*outs, "relu"])


def parameters_of_a_block(words: list[str]) -> dict[str, Any]:
    outs = [{"conv": {"out": f"={word}", "kernel": 1}} for word in words]
    unit = {"params": {word: 1 + i % 4 for i, word in enumerate(words)}, "body": outs}
    return head(blocks={"unit": unit}, body=[{"unit": {words[0]: 3}}, {"unit": {words[-1]: 2}}])


def lets(words: list[str]) -> dict[str, Any]:
    outs = [{"conv": {"out": f"={word}", "kernel": 1}} for word in words]
    return head(params={"n_": 2}, let={w: f"=n_ + {i % 4}" for i, w in enumerate(words)}, body=outs)


def columns(words: list[str]) -> dict[str, Any]:
    """Names of a table's columns."""
    loops = [
        {
            "repeat": {"each": [[1, 2], [3, 1]], "as": [word, "k_"], "index": "n_"},
            "conv": {"out": f"={word} + k_", "kernel": 1},
        }
        for word in words
    ]
    return head(body=loops)


def counters(words: list[str]) -> dict[str, Any]:
    """Names of the counters of loops."""
    loops = [
        {"repeat": {"times": 2, "index": word}, "conv": {"out": f"={word} + 1", "kernel": 1}}
        for word in words
    ]
    return head(body=loops)


def outputs(words: list[str]) -> dict[str, Any]:
    body = {f"n{index}": {**CONV, "from": "input"} for index in range(len(words))}
    return head(body=body, outputs={word: f"n{index}" for index, word in enumerate(words)})


def inputs(words: list[str]) -> dict[str, Any]:
    body = {f"n{index}": {**CONV, "from": word} for index, word in enumerate(words)}
    spec = head(body={**body, "every": {"add": [f"n{i}" for i in range(len(words))] + ["n0"]}})
    return {**spec, "inputs": {word: [2, 3, 4] for word in words}}


def weights(words: list[str]) -> dict[str, Any]:
    """Parameters of the model, which are modules nowhere."""
    body: dict[str, Any] = {
        word: {"parameter": {"shape": [2, 1, 1], "init": "ones"}} for word in words
    }
    return head(body={**body, "every": {"add": [*words, "input"]}})


PLACES: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    place.__name__: place
    for place in (
        *(children, grandchildren, children_of_a_block, blocks, parameters, parameters_of_a_block),
        *(lets, columns, counters, outputs, inputs, weights),
    )
}


def refused(path: Path, words: list[str]) -> set[str]:
    """The words at which an error points."""
    findings = Findings()
    load_found(Found(path, path.name, None), findings, {}, {})
    lines = path.read_text(encoding="utf-8").split("\n")
    found = set()
    for diagnostic in findings.diagnostics:
        if diagnostic.severity == "error":
            assert diagnostic.span is not None, diagnostic
            line = lines[diagnostic.span.line - 1]
            found |= {w for w in words if json.dumps(w) in line}
            found |= {w for w in words if f'"={w}"' in line or f'"={w} ' in line}
            assert found, f"{diagnostic.code} points at no hostile name: {line}"
    return found


def accepted(place: str, words: list[str], path: Path) -> list[str]:
    """The words that may stand in a place; the rest was refused where it stands."""
    left = list(words)
    while left:
        text = json.dumps(PLACES[place](left), indent=1)
        path.write_text(text, encoding="utf-8")
        wrong = refused(path, left)
        if not wrong:
            return left
        left = [word for word in left if word not in wrong]
    return []


def sources(place: str, words: list[str], path: Path) -> tuple[netspec.Graph, dict[str, str]]:
    """A graph of the words that both backends have an answer for, and their sources."""
    left = list(words)
    for _ in range(8):
        path.write_text(json.dumps(PLACES[place](left), indent=1), encoding="utf-8")
        try:
            made = {b: netspec.source(path, backend=b) for b in ("torch", "keras")}
        except NotLowered as refusal:
            kept = [word for word in left if word not in re.findall(r"[\w-]+", str(refusal))]
            if len(kept) == len(left):
                raise
            left = kept
        else:
            return netspec.load(path), made
    raise AssertionError("more than a few names have no lowering")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def truth(graph: netspec.Graph) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    generator = np.random.default_rng(0)
    drawn = {k: generator.normal(size=w.shape) for k, w in initial_weights(graph, 0).items()}
    given = {v.name: generator.normal(size=(2, *v.type.shape)) for v in graph.inputs}
    return drawn, given, run(graph, drawn, given)


@pytest.mark.parametrize("place", PLACES)
def test_names_are_refused_or_harmless(place: str, folder: Path) -> None:
    path = folder / f"{place}.yaml"
    words = accepted(place, WORDS, path)
    assert len(words) > 100, "a table of refusals says nothing of the source"
    graph, made = sources(place, words, path)
    drawn, given, expected = truth(graph)

    model = execute(made["torch"], place).build_model().double().eval()
    assert list(model.state_dict()) == [weight.key for weight in graph.weights]
    model.load_state_dict({key: torch.from_numpy(w) for key, w in drawn.items()}, strict=True)
    with torch.no_grad():
        results = model(*map(torch.from_numpy, given.values()))
    results = results if isinstance(results, tuple) else (results,)
    for result, y in zip(results, expected.values(), strict=True):
        assert np.abs(result.numpy() - y).max() <= 1e-10 * np.abs(y).max()

    (folder / f"{place}.py").write_text(made["keras"], encoding="utf-8")
    save_file(drawn, folder / f"{place}.safetensors")
    arrays: dict[str, Any] = {f"input{i}": x for i, x in enumerate(given.values())}
    arrays |= {f"output{i}": y for i, y in enumerate(expected.values())}
    np.savez(folder / f"{place}.npz", **arrays)


KERAS = """
import pathlib, runpy, sys, traceback
import keras, numpy as np

keras.config.set_floatx("float64")
for source in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    try:
        keras.backend.clear_session()
        scope = runpy.run_path(str(source))
        model = scope["build_model"]()
        scope["load_weights"](model, str(source.with_suffix(".safetensors")))
        arrays = np.load(source.with_suffix(".npz"))
        xs = [np.moveaxis(arrays[f"input{i}"], 1, -1) for i in range(len(model.inputs))]
        ys = model(xs if len(xs) > 1 else xs[0], training=False)
        for i, y in enumerate(ys if isinstance(ys, list) else [ys]):
            expected = np.moveaxis(arrays[f"output{i}"], 1, -1)
            assert np.abs(y - expected).max() <= 1e-10 * np.abs(expected).max(), i
        print(source.stem)
    except Exception:  # the test that reads the line fails with it
        print(source.stem, "failed:", traceback.format_exc(limit=-3).replace("\\n", " "))
"""


def test_keras_source_of_the_same_names_runs(folder: Path) -> None:
    """After the tests above, whose files it runs, on TensorFlow in a process of its own."""
    places = {path.stem for path in folder.glob("*.npz")}
    if not places:
        pytest.skip("the tests of names did not run")
    command = [sys.executable, "-c", KERAS, str(folder)]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(done.stdout.splitlines()) == places


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("word", ALIENS, ids=ascii)
def test_what_only_looks_like_a_name_is_refused(place: str, word: str, tmp_path: Path) -> None:
    assert accepted(place, ["good", word, "fine"], tmp_path / "net.yaml") == ["good", "fine"]


# -- text that would be code -----------------------------------------------------------------

EVIL = [
    '"""\nevil()\n"""',
    "'''\nevil()\n'''",
    '"', '""', '"""', '""""', "'", "\\", '\\"', '\\"""', '\\\\"""', 'a"', "a\\",
    '" + evil() + "', "' + evil() + '", "{evil()}", "{{evil()}}", "{", "}", "%(evil)s", "%s",
    "${evil()}", "\\N{BULLET}", "\\x41", "\\u0041", "\\", "\nevil()", "\revil()", "\r\nevil()",
    "\u2028evil()", "\x85evil()", "\x0bevil()", "# \nevil()", ")\nevil(", "]\nevil()\n[",
    "a\u202e)(live\u2066", "\u200b", "é日本語🙂", "a" * 300, "a " * 150 + '"""', "type: ignore",
    "noqa", " ", "", "=", "<script>", "\t", '"' * 99, "\\" * 99, "'\"" * 40,
]  # fmt: skip


def texts(evil: str) -> dict[str, Any]:
    """The text wherever a spec takes text."""
    same = f"'{evil}'" if "'" not in evil else f'"{evil}"'
    formula = f"=1 if word == {same} else 2"
    return head(
        source=evil,
        doc=evil,
        params={
            "word": {"type": "text", "default": evil, "doc": evil},
            "words": [evil, [evil]],
            "n_": {"type": "int", "default": 2, "doc": evil},
        },
        let={"said": evil, "width": formula},
        blocks={
            "unit": {
                "doc": evil,
                "params": {"said": evil, "out": 2},
                "let": {"k_": "=1 if said == said else 3"},
                "body": [{"conv": {"out": "=out", "kernel": "=k_"}}, "relu"],
            }
        },
        body={
            "first": {"unit": {"said": "=word"}},
            "second": {"unit": {"said": "=said", "out": "=width"}},
            "{'a' if word == words[0] else 'b'}": {"unit": {"said": evil, "out": "=n_"}},
            "rows": {
                "repeat": {"each": [[evil, 1], ["x", 2]], "as": ["text_", "out"]},
                "inline": {"r{out}": {"unit": {"said": "=text_", "out": ""}}},
            },
        },
    )


EXPLAINED = {"bad-formula", "wrong-type", "yaml"}


@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.parametrize("evil", EVIL, ids=lambda text: ascii(text)[:40])
def test_text_stays_text(evil: str, backend: str, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(json.dumps(texts(evil)), encoding="utf-8")
    try:
        graph = netspec.load(path)
    except netspec.SpecError as refusal:
        if {d.code for d in refusal.diagnostics if d.severity == "error"} <= EXPLAINED:
            return
        raise
    text = netspec.source(path, backend=backend)
    tree = ast.parse(text)
    assert not {n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in ("evil", "live")}
    assert all(c.isprintable() for line in text.split("\n") for c in line)
    if backend == "torch":
        model = execute(text, "net").build_model()
        assert list(model.state_dict()) == [weight.key for weight in graph.weights]
