"""How a spec is written: scalars, and what stands where a node is expected."""

from __future__ import annotations

import pytest

from tests.language.written import Specs, keys, wiring


def test_scalars_of_yaml_1_2(specs: Specs) -> None:
    graph = specs.graph("""
        params: {a: 1e-3, b: 010, c: 0x10, d: 0o17, e: .5, f: on, g: -3, h: True, i: 1_000, j: 1:30}
        body: [relu]
    """)
    assert graph.params == {
        "a": 0.001, "b": 10, "c": 16, "d": 15, "e": 0.5, "f": "on", "g": -3, "h": True,
        "i": "1_000", "j": "1:30",
    }  # fmt: skip
    assert [type(graph.params[k]) for k in "abh"] == [float, int, bool]


def test_anchors_are_shared_text(specs: Specs) -> None:
    graph = specs.graph("""
        let: {kernels: &k [1, 3], same: *k}
        body: [{conv: {out: 2, kernel: "=kernels[1]"}}, {conv: {out: 2, kernel: "=same[0]"}}]
    """)
    assert [n.op.values["kernel"] for n in graph.nodes] == [(3, 3), (1, 1)]


def test_an_empty_argument_passes_on_its_own_name(specs: Specs) -> None:
    graph = specs.graph("""
        params: {out: 4, kernel: 3, std: 0.5}
        body: [{conv: {out, kernel, padding: =kernel // 2, weight_init: {normal: {std}}}}]
    """)
    (node,) = graph.nodes
    assert node.op.values["kernel"] == (3, 3)
    assert node.weights[0].shape == (4, 3, 3, 3)
    assert node.weights[0].init == {"normal": {"std": 0.5}}


def test_passing_on_what_is_not_there(specs: Specs) -> None:
    code, message = specs.refused("body: [{conv: {out, kernel: 3}}]")
    assert (code, message) == ("bad-formula", "there is no `out` here to pass on")


def test_a_mapping_is_children_where_a_body_is_expected_and_a_call_where_a_node_is(
    specs: Specs,
) -> None:
    assert wiring(specs.graph("body: {relu: tanh, conv: relu}")) == [
        "relu = tanh(image)",
        "conv = relu(relu)",
    ]
    code, message = specs.refused("body: {unit: {conv: {out: 3, kernel: 1}, bn: batch_norm}}")
    assert code == "two-calls"
    assert "`conv`" in message
    assert "`bn`" in message


def test_nothing_is_the_op_of_the_keys_name(specs: Specs) -> None:
    assert wiring(specs.graph("body: {flatten: , linear: {linear: 4}}")) == [
        "flatten = flatten(image)",
        "linear = linear(flatten)",
    ]


@pytest.mark.parametrize("argument", ["[3, 2]", "[3]"])
def test_there_are_no_positional_lists(specs: Specs, argument: str) -> None:
    assert specs.refused(f"body: [{{max_pool: {argument}}}]")[0] == "wrong-type"
    blocks = "blocks: {b: {params: {n: list}, body: [{conv: {out: =n[0], kernel: 1}}]}}"
    blocks = blocks.replace("=n[0]", '"=n[0]"')
    assert specs.refused(f"{blocks}\nbody: [{{b: {argument}}}]")[0] == "wrong-type"


def test_one_scalar_is_the_one_required_parameter(specs: Specs) -> None:
    graph = specs.graph("""
        blocks: {b: {params: {k: 3, out: int}, body: [{conv: {out, kernel: =k}}]}}
        body: [{b: 5}, {max_pool: 2}]
    """)
    assert str(graph.outputs[0].value.type) == "5x3x3"
    code, message = specs.refused("""
        blocks: {b: {params: {k: int, out: int}, body: [{conv: {out, kernel: =k}}]}}
        body: [{b: 5}]
    """)
    assert code == "wrong-type"
    assert "takes arguments by name" in message


@pytest.mark.parametrize("kind", ["=act", "{=act: {}}", "{=act: }", "=acts[0]", "=name"])
def test_a_kind_may_be_a_formula(specs: Specs, kind: str) -> None:
    kind = f'"{kind}"' if "[" in kind else kind
    graph = specs.graph(f"""
        params: {{act: {{type: kind, default: tanh}}}}
        let: {{acts: [tanh, relu], name: "='tanh'"}}
        body: {{a: {kind}}}
    """)
    assert wiring(graph) == ["a = tanh(image)"]


def test_a_kind_may_be_a_block_of_the_callers_file(specs: Specs) -> None:
    specs.write(
        """
        netspec: 1
        blocks:
          twice: {params: {unit: kind, n: int}, body: [{=unit: =n}, {=unit: =n}]}
        """,
        "library.yaml",
    )
    graph = specs.graph("""
        include: {library.yaml: [twice]}
        blocks: {own: {params: {n: int}, body: {c: {conv: {out: =n, kernel: 1}}}}}
        body: {t: {twice: {unit: own, n: 4}}}
    """)
    assert keys(graph) == ["t.0.c.weight", "t.1.c.weight"]


@pytest.mark.parametrize(
    "text", ["[relu, []]", "[]", "{}", "{a: []}", "[{concat: []}]", "[{from: input}]"]
)
def test_a_body_is_never_empty(specs: Specs, text: str) -> None:
    assert specs.refused(f"body: {text}")[0] == "empty-node"
