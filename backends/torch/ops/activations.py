"""Elementwise functions and softmax."""

from __future__ import annotations

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import all_known, call, unless_default
from netspec.backends.torch.layer import Layer, Lowering, lowers

PLAIN = {
    "relu": ("nn.ReLU()", "F.relu({x})"),
    "relu6": ("nn.ReLU6()", "F.relu6({x})"),
    "sigmoid": ("nn.Sigmoid()", "torch.sigmoid({x})"),
    "hard_sigmoid": ("nn.Hardsigmoid()", "F.hardsigmoid({x})"),
    "silu": ("nn.SiLU()", "F.silu({x})"),
    "hard_swish": ("nn.Hardswish()", "F.hardswish({x})"),
    "gelu": ("nn.GELU()", "F.gelu({x})"),
    "tanh": ("nn.Tanh()", "torch.tanh({x})"),
    # torch's default threshold of 20 is off by 2e-9; from 40 on the two agree in float64.
    "softplus": ("nn.Softplus(threshold=40)", "F.softplus({x}, threshold=40)"),
    "mish": ("nn.Mish()", "F.mish({x})"),
    "softmax": ("nn.Softmax(dim=1)", "torch.softmax({x}, 1)"),
    "log_softmax": ("nn.LogSoftmax(dim=1)", "torch.log_softmax({x}, 1)"),
    "identity": ("nn.Identity()", "{x}"),
}


def _plain(module: str, function: str) -> Lowering:
    return lambda site: Layer(module, function)


for _kind, _forms in PLAIN.items():
    lowers(_kind)(_plain(*_forms))


@lowers("abs")
def absolute(site: Site) -> Layer:
    return Layer("Abs()", "torch.abs({x})", ("Abs",))


@lowers("leaky_relu")
def leaky_relu(site: Site) -> Layer:
    function = f"F.leaky_relu({{x}}, {site.code('slope')})" if all_known(site, "slope") else None
    return Layer(call("nn.LeakyReLU", site.code("slope")), function)


@lowers("elu")
def elu(site: Site) -> Layer:
    alpha = unless_default(site, "alpha")
    function = call("F.elu", "{x}", alpha=alpha) if all_known(site, "alpha") else None
    return Layer(call("nn.ELU", alpha=alpha), function)


@lowers("prelu")
def prelu(site: Site) -> Layer:
    return Layer(f"nn.PReLU({site.channels})")
