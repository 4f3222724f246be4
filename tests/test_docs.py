"""The documentation says what is: its examples are run, and made pages are current."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec.diagnostics import Findings
from netspec.load import load_found
from netspec.opdocs import render
from netspec.zoo import find, zoo_names

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```yaml ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
EXAMPLES = [(m[1], m[2]) for m in FENCE.finditer(PAGE)]
LIBRARIES = {info.removeprefix("file="): text for info, text in EXAMPLES if "file=" in info}
MODELS = [(info, text) for info, text in EXAMPLES if "file=" not in info]
HEAD = "netspec: 1\nname: example\ninputs: {image: [3, 32, 32]}\nbody:\n"


def test_the_page_has_examples() -> None:
    assert len(MODELS) > 20
    assert PAGE.count("```yaml") == len(EXAMPLES)


@pytest.mark.parametrize(
    ("info", "text"), MODELS, ids=[f"{n}-{info or 'file'}" for n, (info, _) in enumerate(MODELS)]
)
def test_an_example_of_the_language_page_holds(info: str, text: str, tmp_path: Path) -> None:
    for name, library in LIBRARIES.items():
        (tmp_path / name).write_text(library, encoding="utf-8")
    spec = tmp_path / "example.yaml"
    body = "".join(f"  {line}\n" for line in text.splitlines())
    spec.write_text(HEAD + body if info == "body" else text, encoding="utf-8")
    expected = re.match(r"# error: (.*)\n", text)
    codes = []
    variants = re.search(r"^variants:\n((?:  .*\n)+)", text, re.MULTILINE)
    names = re.findall(r"^  (\w+):", variants[1], re.MULTILINE) if variants else [None]
    for name in names:
        findings = Findings()
        load_found(find(f"{spec}::{name}" if name else spec), findings, {}, {})
        codes += [d.code for d in findings.diagnostics]
    assert codes == ([expected[1]] if expected else [])


def test_a_first_spec_has_the_counts_that_the_page_prints(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(MODELS[0][1], encoding="utf-8")
    graph = netspec.load(spec)
    # conv: 3*3*3*16 + 16 and 32*32 positions of 432 products; linear: 16*10 + 10 and 160 products.
    assert (graph.param_count, graph.macs) == (448 + 170, 32 * 32 * 432 + 160)
    assert f"{graph.param_count:,} parameters, {graph.macs:,} MACs" in PAGE


@pytest.mark.parametrize("page", ["README.md", "docs/language.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets
    for target in targets:
        if not target.startswith(("http://", "https://")):
            file, _, anchor = target.partition("#")
            place = path.parent / file if file else path
            assert place.exists(), target
            assert not anchor or anchor in anchors(place), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_ops_page_is_current() -> None:
    page = (ROOT / "docs" / "ops.md").read_text(encoding="utf-8")
    assert page == render(), "run: python -m netspec.opdocs > docs/ops.md"


README = ROOT / "README.md"


def test_the_readme_names_every_model_file() -> None:
    models = {found.path.name for found in zoo_names().values()}
    assert {name for name in models if f"](specs/{name})" not in readme()} == set()


def test_the_deployment_example_runs(tmp_path: Path) -> None:
    """On a file of our own, in a process that has only what the README says."""
    from netspec.cli import main

    (script,) = re.findall(r"^```python\n(import onnxruntime.*?)^```$", readme(), re.DOTALL | re.M)
    assert len(script.splitlines()) <= 10
    assert main(["build", "squeezenet1_1", "--backend", "onnx", "-o", str(tmp_path)]) == 0
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    best = [int(number) for number in re.findall(r"class (\d+)", done.stdout)]
    assert len(best) == 5
    assert all(0 <= number < 1000 for number in best)


def readme() -> str:
    return README.read_text(encoding="utf-8")
