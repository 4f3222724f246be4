"""Whatever a file holds: an answer or an explained error, soon, in little memory, no code run."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netspec
from netspec import SpecError, UsageError, files
from netspec.diagnostics import Findings
from netspec.load import load_found
from netspec.reader import YamlNode
from netspec.schema import validate
from netspec.zoo import Found, zoo_folder

HEAD = "netspec: 1\nname: net\ninputs: {image: [3, 8, 8]}\n"
SECONDS = 15.0  # of CPU on a slow machine; what these take is far less


def load_text(folder: Path, text: str | bytes) -> netspec.Graph | SpecError:
    path = folder / "net.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    begun = time.process_time()
    findings = Findings()
    graph = load_found(Found(path, path.name, None), findings, {}, {})
    assert time.process_time() - begun < SECONDS
    assert (graph is None) == findings.failed, "an error vanished"
    if graph is not None:
        return graph
    return SpecError(findings.diagnostics)


def doubling(levels: int, leaf: str = "relu") -> str:
    blocks = [f"  b0: {{body: [{leaf}]}}"]
    blocks += [f"  b{i}: {{body: [b{i - 1}, b{i - 1}]}}" for i in range(1, levels)]
    return HEAD + "blocks:\n" + "\n".join(blocks) + f"\nbody: [b{levels - 1}]\n"


def aliases(levels: int) -> str:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return HEAD + "let:\n  " + "\n  ".join(lines) + "\nbody: [relu]\n"


BOMBS: dict[str, tuple[str | bytes, str]] = {
    "flow depth": (HEAD + "body: " + "[" * 5000 + "relu" + "]" * 5000, "too-deep"),
    "mapping depth": (HEAD + "body: " + "{a: " * 5000 + "relu" + "}" * 5000, "too-deep"),
    "block depth": (HEAD + "body:\n" + "".join(" " * i + "-\n" for i in range(1, 400)), "too-deep"),
    "aliases": (aliases(9), "too-large"),
    "endless repeat": (HEAD + "body: [{repeat: 999999999, relu: }]", "too-large"),
    "repeat of formula": (HEAD + "body: [{repeat: =2**62, relu: }]", "too-large"),
    "nested repeats": (
        HEAD + "body: [{repeat: {times: 9999, index: a}, body: [{repeat: 9999, relu: }]}]",
        "too-large",
    ),
    "empty repeats": (
        HEAD + "body: [{repeat: {times: 9999, index: a}, body: [relu, {repeat: 9999, when: false,"
        " relu: }]}]",
        "too-large",
    ),
    "many variants": (
        HEAD
        + "params: {n: 1}\nvariants: {"
        + ", ".join(f"v{i}: {{n: {i}}}" for i in range(5000))
        + "}\nbody: [{repeat: =n, relu: }]",
        "too-large",
    ),
    "many nodes in many variants": (
        HEAD
        + "params: {n: 1}\nvariants: {"
        + ", ".join(f"v{i}: {{n: {i}}}" for i in range(999))
        + "}\nbody: [{repeat: 3000, when: =n > 0, relu: }]",
        "too-large",
    ),
    "doubling": (doubling(40), "too-large"),
    "doubling of nothing": (doubling(40, "{when: false, relu: }"), "too-large"),
    "blocks in blocks": (
        HEAD
        + "blocks:\n"
        + "".join(f"  b{i}: {{body: [b{i + 1}]}}\n" for i in range(2000))
        + "  b2000: {body: [relu]}\nbody: [b0]\n",
        "too-deep",
    ),
    "a kind that is itself": (
        HEAD + "blocks: {b: {params: {k: {type: kind, default: b}}, body: [=k]}}\nbody: [b]",
        "too-deep",
    ),
    "large size": (HEAD + "body: [{conv: {out: 999999999999, kernel: 1}}]", "wrong-type"),
    "large product": (
        HEAD + "body: [{conv: {out: 2000000000, kernel: 1}}, {conv: {out: 2000000000, kernel: 1}}]",
        "too-large",
    ),
    "large number": (HEAD + f"let: {{a: {'9' * 10000}}}\nbody: [relu]", "too-large"),
    "large exponent": (HEAD + "let: {a: 1e99999}\nbody: [relu]", "wrong-type"),
    "formula bomb": (
        HEAD + "let: {a: \"=[[[0 for i in range(9999)] for j in range(9999)] for k in range(9)]\"}"
        "\nbody: [relu]",
        "too-large",
    ),
    "many formula bombs": (
        HEAD
        + "let:\n"
        + "".join(f"  a{i}: =[range(99999) for i in range(40)]\n" for i in range(3000))
        + "body: [relu]",
        "too-large",
    ),
    "many lets in many copies": (
        HEAD
        + "params:\n"
        + "".join(f"  p{i}: 1\n" for i in range(20000))
        + "body: [{repeat: 100000, relu: }]",
        "too-large",
    ),
    "a long table in many copies": (
        HEAD
        + "blocks: {b: {let: {t: ["
        + "1, " * 50000
        + "1]}, body: [{dropout: 0.5}]}}\nbody: [{repeat: 100000, b: }]",
        "too-large",
    ),
    "lists that share their items": (
        HEAD
        + "let:\n  a0: [1]\n"
        + "".join(f"  a{i}: ['=a{i - 1}', '=a{i - 1}']\n" for i in range(1, 60))
        + "body: [{conv: {out: =a59, kernel: 1}}]",
        "wrong-type",
    ),
    "20,000 different misspelt ops": (
        HEAD + "body:\n" + "".join(f"- rellu{i}\n" for i in range(20_000)),
        "unknown-op",
    ),
    "4,000 misspelt references": (
        HEAD + "body:\n" + "".join(f"  a{i}: {{from: q{i}, relu: }}\n" for i in range(4_000)),
        "unknown-reference",
    ),
    "10 MB of list": (HEAD + "body: [" + "relu, " * 1_700_000 + "relu]", "too-large"),
    "10 MB of nested lists": (HEAD + "body: [" + "[[[[[[a]]]]]]," * 800_000 + "b]", "too-large"),
    "20 MB": (HEAD + "doc: " + "a" * 20_000_000, "too-large"),
    "10 MB of one line": (HEAD + "doc: " + "a" * 10_000_000 + "\nbody: [rellu]", "unknown-op"),
    "a long name": (HEAD + f"body: {{{'a' * 300}: relu}}", "bad-name"),
    "a long op": (HEAD + f"body: [{'a' * 100000}]", "unknown-op"),
    "a long reference": (HEAD + f"body: [{{from: {'a.' * 40}a, relu: }}]", "unknown-reference"),
    "python object": (HEAD + "body: !!python/object/apply:os.system ['touch pwned']", "yaml"),
    "tag directive": (b"%TAG ! tag:yaml.org,2002:python/\n---\n!name:os.system {}", "yaml"),
    "binary tag": (HEAD + "doc: !!binary aGk=\nbody: [relu]", "yaml"),
    "NUL": (HEAD + "body: [re\0lu]", "yaml"),
    "control character": (HEAD + "body: [re\x07lu]", "yaml"),
    "escaped control character": (HEAD + 'body: ["re\\x07lu\\0"]', "unknown-op"),
    "not UTF-8": (HEAD.encode() + b"body: [\xff\xfe]", "yaml"),
    "UTF-16": ((HEAD + "body: [relu]").encode("utf-16"), "yaml"),
    "surrogate": (HEAD.encode() + b"body: [\xed\xa0\x80]", "yaml"),
    "escaped surrogate": (HEAD + 'body: ["\\ud800"]', "yaml"),
    "tabs": (HEAD + "body:\n\t- relu", "yaml"),
    "empty": ("", "yaml"),
    "only a comment": ("# hello", "yaml"),
    "two documents": (HEAD + "body: [relu]\n---\na: 1", "yaml"),
    "a list": ("[1, 2]", "wrong-type"),
    "alias of itself": (HEAD + "body: &a [*a]", "yaml"),
    "dunder op": (HEAD + "body: [__class__]", "unknown-op"),
    "dunder reference": (HEAD + "body: [relu, {from: __class__, relu: }]", "unknown-reference"),
    "dunder attribute": (HEAD + "body: [{conv: {__init__: 3}}]", "unknown-attribute"),
    "op's own attribute": (HEAD + "body: [{relu: {infer: 3}}]", "unknown-attribute"),
    "formula code": (
        HEAD + "let: {a: \"=__import__('os').system('touch pwned')\"}\nbody: [relu]",
        "bad-formula",
    ),
    "unicode name": (HEAD + "body: {é: relu}", "bad-name"),
    "dotted name": (HEAD + "body: {a.b: relu}", "bad-name"),
    "empty name part": (HEAD + 'body: {"a{\'\'}": relu}', "bad-name"),
    "name part with a dot": (HEAD + "body: {\"a{'.b'}\": relu}", "bad-name"),
    "share of a parent": (
        HEAD + "body: {g: {body: {a: relu, b: {share: g}}}}",
        "unknown-reference",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    text, code = BOMBS[name]
    found = load_text(tmp_path, text)
    assert isinstance(found, SpecError)
    assert code in {d.code for d in found.diagnostics}
    assert len(str(found)) < 30_000  # FINDINGS_LIMIT * MESSAGE_LIMIT
    assert not (tmp_path / "pwned").exists()
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    "text",
    [
        (HEAD + "body: [relu, tanh]\n").replace("\n", "\r\n"),
        "\ufeff" + HEAD + "body: [relu, tanh]",
        HEAD + "body:\t[relu,\ttanh]\t# a comment\n",
        "%YAML 1.2\n---\n" + HEAD + "body: [relu, tanh]\n...\n",
        HEAD + "doc: \"日本語 🙂\"\nbody: [relu, tanh]",
        HEAD + "body: [&a relu, tanh]",
    ],
)  # fmt: skip
def test_is_accepted(text: str, tmp_path: Path) -> None:
    graph = load_text(tmp_path, text)
    assert isinstance(graph, netspec.Graph), graph
    assert [node.op.kind for node in graph.nodes] == ["relu", "tanh"]


@pytest.mark.parametrize("name", ["class", "lambda", "__init__", "None", "forward", "self", "0"])
def test_python_words_are_names_like_others(name: str, tmp_path: Path) -> None:
    conv = "{conv: {out: 3, kernel: 1}}"
    graph = load_text(tmp_path, HEAD + f"body: {{{name}: {conv}, b: {{add: [{name}, input]}}}}")
    assert isinstance(graph, netspec.Graph)
    assert [w.key for w in graph.weights] == [f"{name}.weight", f"{name}.bias"]


def test_undecoded_bytes_have_a_place(tmp_path: Path) -> None:
    found = load_text(tmp_path, HEAD.encode() + b"doc: caf\xe9\nbody: [relu]")
    assert isinstance(found, SpecError)
    (diagnostic,) = found.diagnostics
    assert diagnostic.span is not None
    assert (diagnostic.span.line, diagnostic.span.column) == (4, 9)


def test_no_text_of_a_spec_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    found = load_text(tmp_path, HEAD + r'body: ["rel\e[2Ju", "rel\nu", "\u202erelu"]')
    assert isinstance(found, SpecError)
    assert len(found.diagnostics) == 3
    assert all(c.isprintable() or c == "\n" for c in str(found))
    assert all(re.match(r"net|[\d ]* [|=]", line) for line in str(found).splitlines() if line)


def test_a_hundred_thousand_nodes(tmp_path: Path) -> None:
    times = {}
    for copies in (10_000, 50_000):
        begun = time.process_time()
        pair = "[relu, {conv: {out: 3, kernel: 1}}]"
        text = HEAD + f"body: [{{repeat: {copies}, body: {pair}}}]"
        graph = load_text(tmp_path, text)
        times[copies] = time.process_time() - begun
        assert isinstance(graph, netspec.Graph)
        assert len(graph.nodes) == 2 * copies
        assert graph.param_count == 12 * copies
    assert times[50_000] < 5 * 3 * times[10_000]  # linear, with room for noise


def test_written_out_nodes(tmp_path: Path) -> None:
    graph = load_text(tmp_path, HEAD + "body:\n" + "- relu\n" * 50_000)
    assert isinstance(graph, netspec.Graph)
    assert len(graph.nodes) == 50_000


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../net.yaml", "a/../../b.yaml", ".", "", "a\0b", "link.yaml", "loop.yaml",
     "pipe", "dir", "~/x.yaml"],
)  # fmt: skip
def test_include_stays_below_its_folder(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    (folder / "dir").mkdir(parents=True)
    outside = tmp_path / "outside.yaml"
    outside.write_text("netspec: 1\nblocks: {b: {body: [relu]}}\n")
    (folder / "link.yaml").symlink_to(outside)
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    os.mkfifo(folder / "pipe")
    key = json.dumps(path)
    found = load_text(folder, HEAD + f"include: {{{key}: [b]}}\nbody: [b]\n")
    assert isinstance(found, SpecError)
    assert {d.code for d in found.diagnostics} <= {"bad-include", "yaml", "unknown-op"}


def test_a_file_is_validated_once_for_its_variants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[YamlNode] = []

    def counted(root: YamlNode, findings: Findings) -> None:
        calls.append(root)
        validate(root, findings)

    monkeypatch.setattr(files, "validate", counted)
    (tmp_path / "lib.yaml").write_text("netspec: 1\nblocks: {unit: {body: [relu]}}\n")
    text = HEAD + "include: {lib.yaml: [unit]}\nparams: {n: 1}\nvariants: {v: {n: 2}, w: {n: 3}}\n"
    path = tmp_path / "net.yaml"
    path.write_text(text + "body: [{repeat: =n, unit: }]\n")
    assert [len(netspec.load(f"{path}::{v}").nodes) for v in "vw"] == [2, 3]
    assert len(calls) == 2  # the file and its library


def test_what_changes_is_read_anew(tmp_path: Path) -> None:
    """Even if neither size nor time of the file tell."""
    library = tmp_path / "lib.yaml"
    library.write_text("netspec: 1\nblocks: {unit: {body: [relu]}}\n")
    text = HEAD + "include: {lib.yaml: [unit]}\nbody: [unit]\n"
    assert isinstance(load_text(tmp_path, text), netspec.Graph)
    for new, kind in (("tanh", "tanh"), ("rulu", "")):
        library.write_text(f"netspec: 1\nblocks: {{unit: {{body: [{new}]}}}}\n")
        os.utime(library, (0, 0))
        graph = load_text(tmp_path, text)
        assert isinstance(graph, netspec.Graph) == bool(kind)
        assert not isinstance(graph, netspec.Graph) or graph.nodes[0].op.kind == kind
    library.unlink()
    found = load_text(tmp_path, text)
    assert isinstance(found, SpecError)
    assert [d.code for d in found.diagnostics] == ["bad-include"]


@pytest.mark.parametrize(
    "path",
    ["/dev/zero", "/dev/null", ".", "no.yaml", "pipe.yaml", "a\0b", "", "x" * 5000, "::", "a::b"],
)
def test_only_files_are_specs(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.yaml")
    with pytest.raises(UsageError):
        netspec.load(path)


def test_memory_stays_small(tmp_path: Path) -> None:
    """The largest inputs, each in a process that may not have more than a gigabyte."""
    names = ("aliases", "10 MB of list", "10 MB of nested lists", "many formula bombs", "doubling")
    program = (
        "import sys, netspec\n"
        "try: netspec.load(sys.argv[1])\n"
        "except netspec.SpecError as error:\n"
        "    print({d.code for d in error.diagnostics if d.severity == 'error'})\n"
    )
    limit = 2**30

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    for index, name in enumerate(names):
        text, code = BOMBS[name]
        assert isinstance(text, str)
        path = tmp_path / f"{index}.yaml"
        path.write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            capture_output=True, text=True, timeout=120, preexec_fn=confine,
        )  # fmt: skip
        assert done.stderr == ""
        assert done.stdout.strip() == str({code})


# -- fuzzing ---------------------------------------------------------------------------------

TEXTS = {path.name: path.read_text() for path in sorted(zoo_folder().glob("*.yaml"))}
ODD = ["=", "=x[", "{", "}", "[", "]", ":", ",", "-", "null", "~", "&a ", "*a", "!t ", "'", '"']
ODD += ["\n", "\t", "\x00", "0", "-1", "1e9", "99999999999", "true", "é", "#", "|", ">", "<<", "i"]
ODD += ["input", "relu", "conv", "from", "when", "repeat", "body", "share", "=input.channels"]
ODD_DATA: list[Any] = [3, -1, 0.5, True, None, [], {}, [[]], {"a": None}]
FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(st.sampled_from(sorted(TEXTS)), st.data())
@FUZZ
def test_mutated_text(tmp_path: Path, name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.sampled_from(ODD)) + text[at + cut :]
    _try(tmp_path, text)


@given(st.sampled_from(sorted(TEXTS)), st.data())
@FUZZ
def test_mutated_tree(tmp_path: Path, name: str, data: st.DataObject) -> None:
    tree = yaml.load(TEXTS[name], Loader=yaml.BaseLoader)
    for _ in range(data.draw(st.integers(1, 3))):
        tree = _mutated(tree, data)
    _try(tmp_path, json.dumps(tree))


def _mutated(tree: Any, data: st.DataObject) -> Any:
    """The tree with one part replaced, removed, renamed, doubled or moved."""
    places: list[tuple[Any, Any]] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        keys = _keys(node)
        places += [(node, key) for key in keys]
        pending += [node[key] for key in keys]
    if not places:
        return tree
    node, key = data.draw(st.sampled_from(places))
    match data.draw(st.integers(0, 5)):
        case 0:
            node[key] = data.draw(st.sampled_from([*ODD, *ODD_DATA]))
        case 1:
            del node[key]
        case 2 if isinstance(node, dict):
            node[data.draw(st.sampled_from(ODD))] = node.pop(key)
        case 3:
            node[key] = [node[key]]
        case 4:
            node[key] = {data.draw(st.sampled_from(ODD)): node[key]}
        case _:
            other, place = data.draw(st.sampled_from(places))
            if place in _keys(other):
                node[key] = json.loads(json.dumps(other[place]))
    return tree


def _keys(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node)
    return list(range(len(node))) if isinstance(node, list) else []


def _try(folder: Path, text: str) -> None:
    found = None
    for library in zoo_folder().glob("*.yaml"):
        (folder / library.name).write_text(TEXTS[library.name])
    try:
        found = load_text(folder, text.encode("utf-8", "surrogatepass"))
    except UsageError:
        return
    assert str(found)
