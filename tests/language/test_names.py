"""Paths of nodes, which are keys of checkpoints, and where a name leads."""

from __future__ import annotations

import pytest

from tests.language.written import Specs, keys, wiring


def test_paths_are_the_names_around(specs: Specs) -> None:
    graph = specs.graph("""
        blocks: {unit: {body: {conv1: {conv: {out: 3, kernel: 1}}}}}
        body:
          stem: {body: [unit, {conv: {out: 3, kernel: 1}}]}
          flat: {inline: {a: {conv: {out: 3, kernel: 1}}}}
          both: {add: [{l: {conv: {out: 3, kernel: 1}}}, {r: [{conv: {out: 3, kernel: 1}}]}]}
          layer{i + 1}: {repeat: 2, unit: }
          layers: [{repeat: 2, unit: }]
    """)
    assert keys(graph) == [
        "stem.0.conv1.weight", "stem.1.weight", "a.weight", "l.weight", "r.0.weight",
        "layer1.conv1.weight", "layer2.conv1.weight",
        "layers.0.conv1.weight", "layers.1.conv1.weight",
    ]  # fmt: skip


def test_numbers_in_lists(specs: Specs) -> None:
    """What `when` leaves out takes no number; an inline list goes on counting; so does a repeat."""
    graph = specs.graph("""
        body:
          - relu
          - {when: false, relu: }
          - {repeat: 2, tanh: }
          - {repeat: 2, inline: [abs, {when: "=i == 1", sigmoid: }]}
          - [silu]
          - {concat: [{x: elu}, {y: mish}]}
          - relu6
    """)
    paths = [n.path for n in graph.nodes]
    assert paths == ["0", "1", "2", "3", "4", "5", "6.0", "x", "y", "7", "8"]
    assert [n.op.kind for n in graph.nodes][:6] == ["relu", "tanh", "tanh", "abs", "abs", "sigmoid"]


def test_keys_may_leave_gaps_and_begin_with_digits(specs: Specs) -> None:
    graph = specs.graph("""
        body: {0: {conv: {out: 3, kernel: 1}}, 2: gelu, 1x1: {conv: {out: 3, kernel: 1}},
               block1-0: {conv: {out: 3, kernel: 1}}, s: {add: [0, 1x1, block1-0]}}
    """)
    assert keys(graph) == ["0.weight", "1x1.weight", "block1-0.weight"]


@pytest.mark.parametrize("key", ["input", "a b", "-a", "a.b", "é", '"a{"'])
def test_other_keys_are_refused(specs: Specs, key: str) -> None:
    assert specs.refused(f"body: {{{key}: relu}}")[0] == "bad-name"


@pytest.mark.parametrize(
    "call", ["conv: {out: 3, kernel: 1}", "relu: ", "body: [relu]"], ids=["op", "plain", "group"]
)
def test_copies_in_a_mapping_need_a_template(specs: Specs, call: str) -> None:
    code, message = specs.refused(f"body: {{a: {{repeat: 2, {call}}}}}")
    assert (code, message) == ("duplicate-name", "copies of this node are all named `a`")


def test_names_are_looked_up_outwards_to_the_blocks_edge(specs: Specs) -> None:
    graph = specs.graph("body: {a: relu, g: {body: {b: tanh, c: {add: [a, b]}}}}")
    assert wiring(graph)[-1] == "g.c = add(a, g.b)"
    code, message = specs.refused("""
        blocks: {unit: {body: {c: {add: [a, input]}}}}
        body: {a: relu, u: unit}
    """)
    assert (code, message) == ("unknown-reference", "no value named `a` before this")


def test_dots_reach_into_groups_but_not_into_blocks(specs: Specs) -> None:
    graph = specs.graph("""
        body:
          g: {body: [relu, {body: {deep: tanh}}]}
          s: {add: [g.0, g.1.deep, g]}
          t: {add: ["g.{1 - 1}", s]}
    """)
    assert wiring(graph)[-2:] == ["s = add(g.0, g.1.deep, g.1.deep)", "t = add(g.0, s)"]
    code, message = specs.refused("""
        blocks: {unit: {body: {c: relu}}}
        body: {u: unit, s: {add: [u.c, u]}}
    """)
    assert (code, message) == ("unknown-reference", "`u` is not a group, so it has no `c`")
    code, message = specs.refused("body: {g: [relu], s: {add: [g.1, g]}}")
    assert (code, message) == ("unknown-reference", "group `g` has no `1` before this")


def test_names_inside_joins_and_inline_are_seen_outside(specs: Specs) -> None:
    graph = specs.graph("""
        body:
          j: {add: [{a: relu}, {b: tanh}]}
          k: {repeat: 2, inline: {"c{i}": abs}}
          s: {add: [a, b, c0, k]}
    """)
    assert wiring(graph)[-1] == "s = add(a, b, c0, c1)"


def test_a_forward_reference(specs: Specs) -> None:
    code, message = specs.refused("body: {a: relu, b: {add: [a, c]}, c: tanh}")
    assert code == "unknown-reference"
    assert "`c` comes after this" in message


def test_no_formula_name_shadows_another(specs: Specs) -> None:
    nested = "body: [{repeat: 2, body: [{repeat: 2, relu: }]}]"
    assert specs.refused(nested)[0] == "bad-name"
    twice = "params: {a: 1}\nlet: {a: 0}\nbody: [{dropout: =a}]"
    assert specs.refused(twice)[0] == "duplicate-name"
    assert specs.refused("params: {min: 1}\nbody: [relu]")[0] == "bad-name"
    inner = 'params: {v: 1}\nbody: [{conv: {out: "=sum([v for v in [v, 2]])", kernel: 1}}]'
    assert specs.refused(inner)[0] == "bad-name"


def test_names_of_values_and_of_formulas_are_separate(specs: Specs) -> None:
    graph = specs.graph("""
        blocks:
          fire: {params: {squeeze: int}, body: {squeeze: {conv: {out: =squeeze, kernel: 1}}}}
        body: {squeeze: {fire: 4}}
    """)
    assert keys(graph) == ["squeeze.squeeze.weight"]
