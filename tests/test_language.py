"""The rules of the language, one small spec each. Expected values are written out by hand."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec import Graph, SpecError, UsageError
from netspec.diagnostics import Diagnostic, Findings
from netspec.load import load_found
from netspec.zoo import Found

HEAD = "netspec: 1\nname: net\n"


class Specs:
    """Writes specs to a folder and loads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, name: str = "net.yaml") -> Path:
        text = textwrap.dedent(text)
        if name == "net.yaml":
            head = HEAD if "inputs:" in text else HEAD + "inputs: {image: [3, 8, 8]}\n"
            text = head + text
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def graph(self, text: str, **params: Any) -> Graph:
        return netspec.load(self.write(text), **params)

    def findings(self, text: str) -> list[Diagnostic]:
        findings = Findings()
        load_found(Found(self.write(text), "net.yaml", None), findings, {}, {})
        return findings.diagnostics

    def refused(self, text: str) -> tuple[str, str]:
        """The code and message of the one error."""
        (found,) = self.findings(text)
        assert found.severity == "error"
        return found.code, found.message


@pytest.fixture
def specs(tmp_path: Path) -> Specs:
    return Specs(tmp_path)


def keys(graph: Graph, name: str = "weight") -> list[str]:
    return [w.key for w in graph.weights if w.name == name]


def wiring(graph: Graph) -> list[str]:
    """Each node as `path = op(what it reads)`."""
    return [f"{n.path} = {n.op.kind}({', '.join(v.name for v in n.inputs)})" for n in graph.nodes]


# -- 1. text ----------------------------------------------------------------------------------


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


# -- 2. grammar -------------------------------------------------------------------------------


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


# -- 3. names, order, dataflow ------------------------------------------------------------------


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


def test_each_copy_reads_the_one_before(specs: Specs) -> None:
    assert wiring(specs.graph('body: {"a{i}": {repeat: 3, relu: }}')) == [
        "a0 = relu(image)",
        "a1 = relu(a0)",
        "a2 = relu(a1)",
    ]


def test_repeats_over_rows(specs: Specs) -> None:
    text = """
        let: {rows: [[4, 1], [5, 3]]}
        body:
          - repeat: {each: =rows, as: [out, kernel], index: n}
            conv: {out, kernel, groups: =1 if n < 9 else 0}
          - {repeat: {each: [6, 7], as: width}, conv: {out: =width, kernel: 1}}
          - repeat: {each: [{out: 2, k: 1}, {out: 1, k: 3}]}
            conv: {out, kernel: =k}
    """
    assert [w.shape for w in specs.graph(text).weights if w.name == "weight"] == [
        (4, 3, 1, 1), (5, 4, 3, 3), (6, 5, 1, 1), (7, 6, 1, 1), (2, 7, 1, 1), (1, 2, 3, 3),
    ]  # fmt: skip


def test_repeat_zero_times_is_the_value_before(specs: Specs) -> None:
    graph = specs.graph("body: {a: relu, b: {repeat: 0, tanh: }, c: {add: [b, input]}}")
    assert wiring(graph) == ["a = relu(image)", "c = add(a, image)"]


def test_from_and_the_value_before(specs: Specs) -> None:
    graph = specs.graph("""
        body:
          a: relu
          b: {from: input, tanh: }
          c: abs
          d: {add: [{e: silu}, {f: {from: a, elu: }}, b]}
    """)
    assert wiring(graph) == [
        "a = relu(image)", "b = tanh(image)", "c = abs(b)", "e = silu(c)", "f = elu(a)",
        "d = add(e, f, b)",
    ]  # fmt: skip


def test_an_absent_node_stands_for_what_it_would_have_read(specs: Specs) -> None:
    text = """
        params: {project: false}
        body:
          a: {conv: {out: 3, kernel: 1}}
          p: {from: input, when: =project, conv: {out: =0 if not project else 3, kernel: 1}}
          s: {add: [a, p]}
          r: {when: =project, add: [a, input]}
          t: relu
    """
    assert wiring(specs.graph(text)) == ["a = conv(image)", "s = add(a, image)", "t = relu(s)"]
    both = text.replace("add: [a, input]", "add: [s, input]")
    assert wiring(specs.graph(both, project=True)) == [
        "a = conv(image)", "p = conv(image)", "s = add(a, p)", "r = add(s, image)", "t = relu(r)",
    ]  # fmt: skip


def test_an_absent_node_with_from_redirects_the_next(specs: Specs) -> None:
    graph = specs.graph("""
        body: {a: relu, b: tanh, d: {from: a, when: false, abs: }, c: silu, s: {add: [c, b]}}
    """)
    assert "c = silu(a)" in wiring(graph)


def test_a_branch_left_out_whole_is_the_identity(specs: Specs) -> None:
    graph = specs.graph("body: {a: relu, s: {add: [{b: {when: false, tanh: }}, {c: abs}]}}")
    assert wiring(graph)[-1] == "s = add(a, c)"


def test_when_is_asked_for_each_copy(specs: Specs) -> None:
    graph = specs.graph("body: [{repeat: 4, when: =i % 2 == 1, relu: }]")
    assert [n.path for n in graph.nodes] == ["0", "1"]


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


def test_input_is_the_blocks_and_groups_do_not_rebind_it(specs: Specs) -> None:
    graph = specs.graph("""
        blocks:
          unit:
            body:
              a: {conv: {out: =input.channels * 2, kernel: 1}}
              g: [{conv: {out: =input.channels, kernel: 1}}]
              s: {add: [g, input]}
        body: [{conv: {out: 5, kernel: 1}}, unit]
    """)
    assert [w.shape[:2] for w in graph.weights if w.name == "weight"] == [(5, 3), (10, 5), (5, 10)]
    assert wiring(graph)[-1] == "1.s = add(1.g.0, 0)"


def test_shape_names(specs: Specs) -> None:
    graph = specs.graph("""
        inputs: {clip: [2, 4, 6, 8]}
        body: [{conv: {out: =input.depth + input.height * 10 + input.width * 100, kernel: 1}}]
    """)
    assert graph.weights[0].shape[0] == 864
    code, message = specs.refused("body: [{conv: {out: =input.depth, kernel: 1}}]")
    assert (code, message) == ("bad-formula", "the input is 3x8x8 and has no depth")


def test_several_inputs_and_outputs(specs: Specs) -> None:
    graph = specs.graph("""
        inputs: {left: [3, 4, 4], right: [5, 4, 4]}
        body:
          a: {from: left, relu: }
          b: {from: right, tanh: }
          c: {concat: [a, b]}
        outputs: {joined: c, left_only: {from: a, when: true}, gone: {from: a, when: false}}
    """)
    assert [(o.name, str(o.value.type)) for o in graph.outputs] == [
        ("joined", "8x4x4"),
        ("left_only", "3x4x4"),
    ]
    assert [v.name for v in graph.inputs] == ["left", "right"]


def test_several_inputs_have_no_first_value(specs: Specs) -> None:
    code, message = specs.refused("inputs: {l: [3], r: [3]}\nbody: [relu]")
    assert code == "no-input"
    assert "several inputs" in message


def test_share_applies_the_same_parameters_again(specs: Specs) -> None:
    graph = specs.graph("""
        inputs: {l: [3, 4, 4], r: [3, 4, 4]}
        blocks: {tower: {params: {n: int}, body: [{conv: {out: =n, kernel: 1}}, relu]}}
        body:
          a: {from: l, tower: 4}
          b: {from: r, share: a}
          d: {add: [a, b]}
    """)
    assert keys(graph) == ["a.0.weight"]
    assert graph.param_count == 4 * 3 + 4
    convs = [n for n in graph.nodes if n.op.kind == "conv"]
    assert convs[0].weights == convs[1].weights
    assert [n.shared for n in convs] == [False, True]


def test_a_shared_group_still_sees_the_names_around_it(specs: Specs) -> None:
    graph = specs.graph("""
        body:
          p: relu
          g: {body: {q: {add: [p, input]}, r: {conv: {out: 3, kernel: 1}}}}
          h: {from: p, share: g}
          s: {add: [g, h]}
    """)
    assert keys(graph) == ["g.r.weight"]


def test_share_refuses_another_shape(specs: Specs) -> None:
    code, message = specs.refused("body: {a: {conv: {out: 4, kernel: 1}}, b: {share: a}}")
    assert code == "shape-mismatch"
    assert message == "`a.weight` is 4x3x1x1, but on this input it would be 4x4x1x1"


def test_nothing_is_computed_in_vain(specs: Specs) -> None:
    code, message = specs.refused("body: {a: relu, b: {from: input, tanh: }, c: {from: a, abs: }}")
    assert (code, message) == ("unused-value", "the result of `tanh` at `b` reaches no output")
    code, message = specs.refused("inputs: {l: [3], r: [3]}\nbody: [{from: l, relu: }]")
    assert (code, message) == ("unused-value", "input `r` is never read")


def test_each_copy_of_a_block_is_asked(specs: Specs) -> None:
    found = specs.findings("""
        blocks: {b: {params: {k: bool}, body: {a: relu, c: {from: input, when: =k, tanh: }}}}
        body: [{b: false}, {b: true}]
    """)
    assert [d.code for d in found] == ["unused-value"] * 2  # absent, `c` redirects as well


def test_only_training(specs: Specs) -> None:
    graph = specs.graph("""
        body: {a: relu, aux: [{conv: {out: 1, kernel: 1}}], b: {from: a, tanh: }}
        outputs: {out: b, aux: {from: aux, only: training}}
    """)
    assert [n.path for n in graph.inference_nodes] == ["a", "b"]
    assert keys(graph) == ["aux.0.weight"]
    assert [o.training for o in graph.outputs] == [False, True]
    assert graph.macs == 0


def test_an_output_must_be_left(specs: Specs) -> None:
    code, _ = specs.refused("body: {a: relu}\noutputs: {o: {from: a, only: training}}")
    assert code == "no-output"


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


# -- 4. blocks, parameters, variants, defaults ----------------------------------------------------


def test_a_block_does_not_see_the_models_params(specs: Specs) -> None:
    code, message = specs.refused("""
        params: {n: 3}
        blocks: {b: {body: [{conv: {out: =n, kernel: 1}}]}}
        body: [b, {conv: {out: =n, kernel: 1}}]
    """)
    assert (code, message) == ("bad-formula", "unknown name `n`")


def test_a_group_sees_everything(specs: Specs) -> None:
    graph = specs.graph("params: {n: 4}\nbody: [[{conv: {out: =n, kernel: 1}}]]")
    assert graph.weights[0].shape[0] == 4


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


def test_mistakes_in_a_block_that_nothing_uses(specs: Specs) -> None:
    found = specs.findings("""
        blocks:
          spare:
            params: {n: int}
            body:
              - {conv: {out: =m, kernel: 1, weight_init: zero}}
              - rellu
              - {dropout: 5}
        body: [relu]
    """)
    assert sorted(d.code for d in found) == [
        "bad-formula",
        "unknown-op",
        "wrong-type",
        "wrong-type",
    ]


def test_blocks_never_contain_themselves(specs: Specs) -> None:
    code, message = specs.refused(
        """
        blocks: {a: {body: [b]}, b: {body: [{g: {body: [a]}}]}}
        body: [a]
    """.replace("{g: {body: [a]}}", "{concat: [{q: a}, input]}")
    )
    assert code == "block-cycle"
    assert "`a` > `b` > `a`" in message


def test_included_names(specs: Specs) -> None:
    specs.write("netspec: 1\nblocks: {a: {body: [relu]}, b: {body: [tanh]}}\n", "one.yaml")
    specs.write("netspec: 1\nblocks: {a: {body: [abs]}}\n", "two.yaml")
    assert wiring(specs.graph("include: {one.yaml: [a]}\nbody: [a]")) == ["0.0 = relu(image)"]
    assert specs.refused("include: {one.yaml: [a]}\nbody: [a, b]")[0] == "unknown-op"
    twice = "include: {one.yaml: [a], two.yaml: [a]}\nbody: [a]"
    assert specs.refused(twice)[0] == "duplicate-name"
    own = "include: {one.yaml: [a]}\nblocks: {a: {body: [abs]}}\nbody: [a]"
    assert specs.refused(own)[0] == "duplicate-name"
    specs.write("netspec: 1\nname: m\ninputs: {x: [3]}\nbody: [relu]\n", "model.yaml")
    assert specs.refused("include: {model.yaml: [a]}\nbody: [relu]")[0] == "bad-include"


@pytest.mark.parametrize(
    "name", ["relu", "add", "body", "inline", "share", "from", "when", "repeat", "1x", "a-b"]
)
def test_names_that_blocks_cannot_have(specs: Specs, name: str) -> None:
    found = specs.findings(f"blocks: {{{name}: {{body: [tanh]}}}}\nbody: [sigmoid]")
    assert [d.code for d in found] in (["duplicate-name"], ["bad-name"])


# -- 5 and 6. formulas and ops in place ------------------------------------------------------------


def test_an_int_refuses_a_float(specs: Specs) -> None:
    (found,) = specs.findings("body: [{conv: {out: =4 / 2, kernel: 1}}]")
    assert found.message == "`out` must be an int of at least 1, not 2.0"
    assert found.hint == "use // or round()"


def test_formulas_in_inputs(specs: Specs) -> None:
    graph = specs.graph("params: {n: 6}\ninputs: {x: [3, =n, =n * 2]}\nbody: [relu]")
    assert str(graph.inputs[0].type) == "3x6x12"


def test_input_shapes_can_be_replaced(specs: Specs) -> None:
    path = specs.write("body: [{conv: {out: 2, kernel: 3}}]")
    graph = netspec.load(path, inputs={"image": (3, 5, 7)})
    assert str(graph.outputs[0].value.type) == "2x3x5"
    for inputs in ({"imag": (3, 5, 7)}, {"image": (3, 5)}, {"image": (3, 0, 5)}):
        with pytest.raises(UsageError):
            netspec.load(path, inputs=inputs)
    with pytest.raises(UsageError, match="no parameter 'n'"):
        netspec.load(path, n=3)


def test_an_initialiser_needs_fans(specs: Specs) -> None:
    code, message = specs.refused("body: [{batch_norm: {weight_init: kaiming_normal}}]")
    assert code == "bad-shape"
    assert "no fans" in message


def test_a_suspicious_input_is_a_warning(specs: Specs) -> None:
    (found,) = specs.findings("inputs: {image: [224, 224, 3]}\nbody: [relu]")
    assert (found.severity, found.code) == ("warning", "channels-last")


def test_section_9_is_all_refused(specs: Specs) -> None:
    """What the prototype took in silence."""
    for text in (
        "body: [{dropout: 5}]",
        "body: [{dropout: '0.5'}]",
        "body: [{conv: {out: -3, kernel: 1}}]",
        "body: [{channel_shuffle: 2}]",
        "body: [{conv: {out: 3, kernel: [1, 2, 3]}}]",
        "body: [{conv: {out: 3, kernel: 1, bias_init: zero}}]",
        "body: [{conv: {out: 3, kernel: 1, weight_init: {kaiming_normal: {mode: fanout}}}}]",
        "body: [{relu: , when: residual}]",
        "body: [{relu: , when: no}]",
        "body: [{conv: {out: 3, kernel: 1, padding: SAME}}]",
        "body: [{conv: {out: 3, kernel: 1, stride: 0}}]",
        "body: [{concat: [relu, image]}]",
        "body: [{dropout}]",
        "inputs: {a: [3], b: [3]}\nbody: [relu]",
    ):
        assert len(specs.findings(text)) == 1, text
