"""Parameters, variants and defaults: their types, which one wins, and those that nothing reads."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec import SpecError, UsageError
from tests.language.written import Specs


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        ("int", [3, -1], [3.0, True, "3", [3]]),
        ("float", [3, 0.5], [True, "0.5", [1.0], float("nan"), float("inf"), 10**400]),
        ("bool", [True, False], [1, "true"]),
        ("text", ["a", ""], [3, True]),
        ("list", [[], [1, [2]]], [3, "a"]),
        ("axes", [3, [1, 2], (1, 2)], [[], [1.0], 1.0, "a"]),
        ("kind", ["relu", "own"], ["rellu", 3]),
        ("{type: int, min: 1, max: 4}", [1, 4], [0, 5]),
        ("{type: list, min: 1}", [[1, 2]], [[0]]),
        ("{type: text, choices: [a, b]}", ["a"], ["c"]),
        ("{type: float, choices: [0.5, 1]}", [0.5, 1], [0.7]),
    ],
)
def test_types_of_params(specs: Specs, declared: str, good: list[Any], bad: list[Any]) -> None:
    path = specs.write(f"""
        params: {{p: {declared}}}
        let: {{q: "=[p]"}}
        blocks: {{own: {{body: [relu]}}}}
        body: [{{repeat: =len(q), own: }}]
    """)
    for value in good:
        netspec.load(path, p=value)
    for value in bad:
        with pytest.raises(UsageError, match=r"`p`|unknown op or block"):
            netspec.load(path, p=value)


def test_floats_take_ints(specs: Specs) -> None:
    graph = specs.graph("params: {p: {type: float, default: 1}}\nbody: [{dropout: =p / 2}]")
    assert graph.params == {"p": 1.0}
    assert isinstance(graph.params["p"], float)


def test_a_required_param(specs: Specs) -> None:
    path = specs.write("params: {n: int}\nbody: [{conv: {out: =n, kernel: 1}}]")
    with pytest.raises(SpecError, match="`net` needs `n`"):
        netspec.load(path)
    assert netspec.load(path, n=5).weights[0].shape[0] == 5


def test_default_then_variant_then_set(specs: Specs) -> None:
    path = specs.write("""
        params: {n: 1, m: 1}
        variants: {small: {}, large: {n: 3}}
        let: {k: =n * 10 + m}
        body: [{conv: {out: =k, kernel: 1}}]
    """)
    sizes = {
        name: netspec.load(f"{path}{name}").weights[0].shape[0]
        for name in ("", "::small", "::large")
    }
    assert sizes == {"": 11, "::small": 11, "::large": 31}
    assert netspec.load(f"{path}::large", m=5).weights[0].shape[0] == 35
    assert netspec.load(f"{path}::large", n=2).weights[0].shape[0] == 21
    assert netspec.load(f"{path}::large").name == "large"
    with pytest.raises(UsageError, match="no variant 'huge'"):
        netspec.load(f"{path}::huge")


@pytest.mark.parametrize("sets", ["{m: 3}", "{n: 2.0}", "{n: =1 + 1}", "{n: 0}", "{act: rellu}"])
def test_variants_are_checked_even_where_they_are_not_used(specs: Specs, sets: str) -> None:
    found = specs.findings(f"""
        params: {{n: {{type: int, default: 1, min: 1}}, act: {{type: kind, default: relu}}}}
        variants: {{bad: {sets}}}
        body: [{{conv: {{out: =n, kernel: 1}}}}, =act]
    """)
    assert [d.severity for d in found] == ["error"]


def test_defaults_hold_in_included_blocks_and_the_node_wins(specs: Specs) -> None:
    specs.write(
        "netspec: 1\nblocks: {unit: {body: [{conv: {out: 4, kernel: 1}}, batch_norm]}}\n",
        "lib/library.yaml",
    )
    graph = specs.graph("""
        params: {eps: 0.001}
        include: {lib/library.yaml: [unit]}
        defaults: {conv: {bias: false}, batch_norm: {eps}}
        body: [unit, {conv: {out: 4, kernel: 1, bias: true}}]
    """)
    assert [w.key for w in graph.weights if w.trainable] == [
        "0.0.weight", "0.1.weight", "0.1.bias", "1.weight", "1.bias",
    ]  # fmt: skip
    assert graph.nodes[1].op.values["eps"] == 0.001


@pytest.mark.parametrize(
    "defaults",
    ["{covn: {bias: false}}", "{conv: {bais: false}}", "{conv: {bias: 3}}",
     "{linear: {weight_init: zero}}", "{linear: {bias_init: {normal: {sdt: 1}}}}",
     "{dropout: {rate: 5}}", "{add: {a: 1}}"],
)  # fmt: skip
def test_defaults_are_checked_even_where_no_node_uses_them(specs: Specs, defaults: str) -> None:
    found = specs.findings(f"defaults: {defaults}\nbody: [relu]")
    assert [d.severity for d in found] == ["error"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params: {n: 3}\nbody: [relu]", "nothing in this model reads `n`"),
        ("let: {n: 3}\nbody: [relu]", "nothing in this model reads `n`"),
        ("blocks: {b: {body: [relu]}}\nbody: [relu]", "nothing uses block `b`"),
        (
            "blocks: {b: {params: {n: 3}, body: [relu]}}\nbody: [b]",
            "nothing in block `b` reads `n`",
        ),
    ],
)
def test_what_nothing_reads_is_a_warning(specs: Specs, text: str, message: str) -> None:
    (found,) = specs.findings(text)
    assert (found.severity, found.code, found.message) == ("warning", "unused-name", message)
    assert found.span is not None


def test_a_param_with_one_choice_is_there_to_be_interchangeable(specs: Specs) -> None:
    text = "blocks: {b: {params: {n: {type: int, choices: [1]}}, body: [relu]}}\nbody: [{b: 1}]"
    assert specs.findings(text) == []
    assert specs.refused(text.replace("{b: 1}", "{b: 2}")) == (
        "wrong-type",
        "`n` must be one of `1`, not 2",
    )
