"""Values of ops' attributes that are refused."""

from __future__ import annotations

from tests.language.written import Specs


def test_an_int_refuses_a_float(specs: Specs) -> None:
    (found,) = specs.findings("body: [{conv: {out: =4 / 2, kernel: 1}}]")
    assert found.message == "`out` must be an int of at least 1, not 2.0"
    assert found.hint == "use // or round()"


def test_an_initialiser_needs_fans(specs: Specs) -> None:
    code, message = specs.refused("body: [{batch_norm: {weight_init: kaiming_normal}}]")
    assert code == "bad-shape"
    assert "no fans" in message


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
