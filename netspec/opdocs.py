"""The reference of the ops, made from their classes: `python -m netspec.opdocs > docs/ops.md`."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from netspec.initialisers import INITIALISERS, Argument, Initialiser
from netspec.ops import Op
from netspec.ops.base import REQUIRED, Attribute
from netspec.schema import expected
from netspec.types import TensorType

HEAD = """\
# The ops

Made from the registry by `python -m netspec.opdocs > docs/ops.md`; a test says when it is old.

Shapes are without the batch and channels first: `(channels,)`, `(channels, length)`,
`(channels, height, width)`, `(channels, depth, height, width)`. An attribute without a default is
required. The shapes of stored tensors are torch's; their last name follows the node's path in the
checkpoint. What an op means is its `reference` in `netspec/ops/`, in NumPy float64; the backends
are held to it.
"""


def render() -> str:
    """The page as Markdown: every op in alphabetical order, then the initialisers."""
    ops = [op for _, op in sorted(Op.registry.items())]
    index = ", ".join(f"[{op.kind}](#{op.kind})" for op in ops)
    pages = [HEAD, index, *map(_op, ops), _initialisers()]
    return "\n\n".join(page.strip() for page in pages) + "\n"


def _op(op: type[Op]) -> str:
    parts = [f"## {op.kind}", inspect.getdoc(op) or ""]
    if op.join:
        few, many = op.arity
        branches = f"exactly {few}" if few == many else f"{few} or more"
        parts.append(f"A join of {branches} branches: `{op.kind}: [a, b]`.")
    if op.training_only:
        parts.append("Acts in training only; at inference it is the identity.")
    if stored := _stored(op):
        parts.append(f"Stores {stored}.")
    if op.attributes:
        rows = ["| attribute | default | takes | |", "|---|---|---|---|"]
        parts.append("\n".join(rows + [_attribute(a) for a in op.attributes.values()]))
    return "\n\n".join(parts)


def _stored(op: type[Op]) -> str:
    """The names of the tensors that an op can own, in order, as its cases show them."""
    found: dict[str, str] = {}
    for case in op.cases:
        inputs = tuple(map(TensorType, case.shapes))
        for param in op(case.attributes, inputs).params(*inputs):
            name = f"`{param.name}`" if param.name else "one tensor, under the node's own path"
            found[param.name] = name if param.trainable else f"{name} (not trained)"
    return ", ".join(found.values())


def _attribute(attribute: Attribute) -> str:
    default = attribute.default
    if attribute.required:
        shown = "**required**"
    elif isinstance(default, str) and default.startswith("="):
        shown = f"that of `{default[1:]}`"
    else:
        shown = f"`{_yaml(default)}`"
    return f"| `{attribute.name}` | {shown} | {expected(attribute)} | {attribute.doc} |"


def _initialisers() -> str:
    rows = ["| initialiser | arguments | |", "|---|---|---|"]
    return "\n\n".join(
        [
            "## Initialisers",
            "Values of the attributes whose names end in `_init`. A name alone where it needs no "
            "arguments (`zeros`), else `{name: {argument: value}}`, or `{name: value}` where "
            "exactly one argument is required (`{normal: 0.01}`). fan_in is `weight.shape[1]` and "
            "fan_out `weight.shape[0]`, each times the kernel's elements.",
            "\n".join(rows + [_initialiser(i) for i in INITIALISERS.values()]),
        ]
    )


def _initialiser(initialiser: Initialiser) -> str:
    arguments = ", ".join(map(_argument, initialiser.arguments))
    return f"| `{initialiser.name}` | {arguments} | {initialiser.doc} |"


def _argument(argument: Argument) -> str:
    choices = f" ({', '.join(argument.choices)})" if argument.choices else ""
    default = "" if argument.default is REQUIRED else f" = {argument.default}"
    return f"`{argument.name}{default}`{choices}: {argument.doc}"


def _yaml(value: Any) -> str:
    """A default as a spec writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        ((name, arguments),) = value.items()
        if not arguments:
            return str(name)
        return f"{{{name}: {_yaml(arguments) if isinstance(arguments, dict) else arguments}}}"
    return str(value)


if __name__ == "__main__":
    sys.stdout.write(render())
