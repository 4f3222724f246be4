"""Blocks: what they see, what contains them, where they come from."""

from __future__ import annotations

import pytest

from tests.language.written import Specs, wiring


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
