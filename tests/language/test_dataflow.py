"""What each node reads: `from`, `repeat`, `when`, `share`, and what must be read."""

from __future__ import annotations

from tests.language.written import Specs, keys, wiring


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


def test_rows_of_a_parameter_bring_their_names(specs: Specs) -> None:
    text = """
        blocks:
          stages:
            params: {rows: list}
            body: [{repeat: {each: =rows}, conv: {out, kernel: =k}}]
        body: [stages: {rows: [{out: 2, k: 1}, {out: 1, k: 3}]}]
    """
    shapes = [w.shape for w in specs.graph(text).weights if w.name == "weight"]
    assert shapes == [(2, 3, 1, 1), (1, 2, 3, 3)]


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
    assert [d.code for d in found] == ["unused-value"]  # absent, `c` redirects as well
    assert [note.text for note in found[0].notes] == ["1 more with other numbers"]
