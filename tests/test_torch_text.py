"""The text of torch lowerings against what torchvision's and torch's authors write."""

from __future__ import annotations

from typing import Any

import pytest

from netspec.backends.torch.arguments import is_number
from netspec.backends.torch.layer import Layer, lowering
from netspec.ops import Op
from netspec.types import TensorType
from tests.torch_sites import KnownSite, NamedSite


def known_site(kind: str, *shape: int, **attributes: Any) -> KnownSite:
    inputs = (TensorType(shape),)
    return KnownSite(kind, Op.registry[kind](attributes, inputs), inputs[0])


# What torchvision's and torch's authors write.
TEXTS = [
    (
        known_site("conv", 3, 9, 9, out=64, kernel=7, stride=2, padding=3, bias=False),
        "nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)",
    ),
    (
        known_site("conv", 3, 9, 9, out=64, kernel=[1, 7], padding=[0, 3]),
        "nn.Conv2d(3, 64, (1, 7), padding=(0, 3))",
    ),
    (
        known_site("conv", 3, 9, 9, out=8, kernel=4, padding="same"),
        'nn.Conv2d(3, 8, 4, padding="same")',
    ),
    (
        known_site("conv", 3, 9, 9, out=8, kernel=3, stride=2, padding="same"),
        "SameConv2d(3, 8, 3, stride=2)",
    ),
    (
        known_site("conv", 3, 9, 9, out=8, kernel=3, stride=2, dilation=2, padding="same"),
        'PaddedConv2d(3, 8, 3, stride=2, padding="same", dilation=2)',
    ),
    (
        known_site("conv_transpose", 3, 9, out=8, kernel=2, stride=2),
        "nn.ConvTranspose1d(3, 8, 2, stride=2)",
    ),
    (known_site("linear", 512, out=10), "nn.Linear(512, 10)"),
    (
        known_site("batch_norm", 8, 4, 4),
        "nn.BatchNorm2d(8, eps=9.999999747378752e-6, momentum=0.10000000149011612)",
    ),
    (
        known_site("batch_norm", 8, eps=0.5, momentum=0.25),
        "nn.BatchNorm1d(8, eps=0.5, momentum=0.25)",
    ),
    (
        known_site("max_pool", 8, 9, 9, kernel=3, stride=2, ceil_mode=True),
        "nn.MaxPool2d(3, stride=2, ceil_mode=True)",
    ),
    (known_site("max_pool", 8, 9, 9, kernel=2), "nn.MaxPool2d(2)"),
    (
        known_site("max_pool", 8, 9, 9, kernel=3, padding=[[1, 0], [1, 0]]),
        "MaxPool(3, padding=((1, 0), (1, 0)))",
    ),
    (known_site("max_pool", 8, 9, 9, kernel=3, padding=2), "MaxPool(3, padding=2)"),
    (
        known_site("avg_pool", 8, 9, kernel=2, padding=1, count_include_pad=False),
        "nn.AvgPool1d(2, padding=1, count_include_pad=False)",
    ),
    (known_site("global_avg_pool", 8, 9, 9), "nn.AdaptiveAvgPool2d(1)"),
    (known_site("adaptive_avg_pool", 8, 9, 9, size=7), "nn.AdaptiveAvgPool2d(7)"),
    (known_site("dropout", 8, rate=0.5), "nn.Dropout(0.5)"),
    (known_site("flatten", 8, 2, 2), "nn.Flatten()"),
    (known_site("upsample", 3, 4, 5, scale=2), "nn.Upsample(scale_factor=2)"),
    (known_site("upsample", 3, 4, 5, scale=[2, 3]), "nn.Upsample(scale_factor=(2, 3))"),
    (known_site("pad", 3, 4, 5, padding=[[0, 1], [2, 3]]), "nn.ZeroPad2d((2, 3, 0, 1))"),
]


@pytest.mark.parametrize(("site", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_text_is_what_an_engineer_writes(site: KnownSite, text: str) -> None:
    layer = lowering(site.kind)(site)
    assert isinstance(layer, Layer)
    assert layer.module == text


def test_a_formula_that_must_be_a_number_keeps_the_native_module() -> None:
    class Halved(NamedSite):
        def code(self, attribute: str) -> str:
            return "kernel // 2" if attribute == "padding" else attribute

    layer = lowering("conv")(Halved("conv", 2))
    assert isinstance(layer, Layer)
    assert layer.module.startswith("nn.Conv2d(in_channels, out, kernel, stride, padding=k")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("3", True), ("k // 2", True), ("(k - 1) // 2 * d", False), ("2 * (k // 2)", True),
        ("p", False), ("p[0]", False), ("[1, 2]", False), ("'same'", False), ("2 * p", False),
        ("p + 1", True), ("max(1, p)", True), ("max(p)", False), ("len(p)", True),
        ("1 if s else k // 2", True), ("1 if s else p", False), ("-k", True), ("'a' % k", False),
    ],
)  # fmt: skip
def test_is_number(code: str, expected: bool) -> None:
    assert is_number(code) is expected
