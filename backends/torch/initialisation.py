"""Initial values in generated source: one sweep by kind of module, and exceptions by name."""

from __future__ import annotations

import re
from typing import Any

from netspec import syntax
from netspec.backends.source.builder import raw_expr
from netspec.backends.source.names import Names
from netspec.backends.source.plan import OpWhat, Routine, Split, Step
from netspec.backends.source.program import Program
from netspec.backends.source.python import code
from netspec.backends.torch.children import child_names, is_taken
from netspec.backends.torch.initialise import init_code, is_torch_default
from netspec.formula import free
from netspec.initialisers import INITIALISERS, canonical
from netspec.ops.base import Op

MODULES = {
    "conv": "Conv{rank}d",
    "conv_transpose": "ConvTranspose{rank}d",
    "linear": "Linear",
    "batch_norm": "BatchNorm{rank}d",
    "layer_norm": "LayerNorm",
    "prelu": "PReLU",
}


class Exceptions:
    """Statements for the parameters whose nodes say themselves how they begin.

    They form a method `initialize`, which runs after the sweep; formulas in them read attributes
    that the constructor saves.
    """

    def __init__(self, routine: Routine, names: Names) -> None:
        self.routine = routine
        self.children = child_names(routine)
        self.names = names
        self.lines: list[str] = []
        self.saved: dict[str, str] = {}

    def add(self, step: Step, path: str) -> None:
        """Note the initialisers that an op's node sets; `path` leads to it from the class."""
        what = step.what
        assert isinstance(what, OpWhat)
        weight = _parameter(f"{path}.weight")
        for param in what.node.op.params(*what.node.input_types):
            attribute = "init" if not param.name else f"{param.name}_init"
            if attribute in what.args and param.trainable:
                name, arguments = self._initialiser(step, what, attribute)
                tensor = _parameter(f"{path}.{param.name}" if param.name else path)
                of = weight if param.name not in ("", "weight") else None
                self.lines += init_code(name, arguments, tensor, of).split("\n")

    def _initialiser(self, step: Step, what: OpWhat, attribute: str) -> tuple[str, dict[str, Any]]:
        """The initialiser's name, and its arguments as numbers or, with names in them, as code."""
        values = [canonical(getattr(node.op, attribute)) for node in what.nodes]
        kinds = [name for name, _ in values]
        if not step.inner.all_equal(kinds):
            raise Split(step.inner, kinds)
        written = _written(what.args[attribute])
        arguments: dict[str, Any] = {}
        for name in values[0][1]:
            value = written.get(name)
            if value is not None and _has_names(value):
                arguments[name] = self._code(step, value)
                continue
            each = [arguments_[name] for _, arguments_ in values]
            if not step.inner.all_equal(each):
                raise Split(step.inner, each)
            arguments[name] = each[0]
        return kinds[0], arguments

    def _code(self, step: Step, value: syntax.Value) -> Any:
        builder = self.routine.builder
        scope = self.routine.visible - builder.loop_names(step.inner)
        expr = builder.expr(value, step.inner, scope)
        if not free(expr):
            return builder.value_in(expr, step.inner, 0)

        def saved(name: str) -> str:
            spelt = attribute = self.names.name(name)
            while attribute in self.children or is_taken(attribute):
                attribute += "_"
            self.saved[spelt] = f"self.{attribute} = {spelt}"
            return f"self.{attribute}"

        return code(expr, saved, lambda axis: axis)

    def direct(self) -> list[str]:
        """The statements as they stand in the constructor, where names need no attribute."""
        lines = self.lines
        for spelt, statement in self.saved.items():
            attribute = statement.partition(" = ")[0]
            lines = [re.sub(rf"{re.escape(attribute)}\b", spelt, line) for line in lines]
        return lines

    def method(self) -> list[str]:
        """The method's lines, without indentation."""
        if not self.lines:
            return []
        return [
            "def initialize(self) -> None:",
            '    """Fill the parameters that begin otherwise than their kind."""',
            *(f"    {line}" for line in self.lines),
        ]


def _parameter(key: str) -> str:
    """The expression of a parameter by its key; a child may have the name of a method."""
    if any(is_taken(part) for part in key.split(".")):
        return f'dict(self.named_parameters())["{key}"]'
    return f'self.get_parameter("{key}")'


def sweep(program: Program, own: list[str]) -> list[str]:
    """`initialize(module)`, which gives modules their first values; `own` have a method for it.

    Empty if torch's constructors do all by themselves.
    """
    classes: dict[tuple[str, ...], list[str]] = {}  # by what is done to them
    defaults = program.graph.trace.defaults
    for kind, modules in MODULES.items():
        nodes = [n for n in program.graph.nodes if n.op.kind == kind]
        body = _sweep_body(kind, [n.op for n in nodes], defaults.get(kind, {}))
        if body:
            ranks = sorted({max(n.input_types[0].rank, 1) for n in nodes})
            names = dict.fromkeys(f"nn.{modules.format(rank=rank)}" for rank in ranks)
            classes.setdefault(tuple(body), []).extend(names)
    if own:
        classes[("module.initialize()",)] = own
    if not classes:
        return []
    lines = [
        "def initialize(module: nn.Module) -> None:",
        '    """Give a module the initial values that the architecture asks for."""',
    ]
    for at, (body_, names_) in enumerate(classes.items()):
        which = names_[0] if len(names_) == 1 else f"({', '.join(names_)})"
        lines.append(f"    {'elif' if at else 'if'} isinstance(module, {which}):")
        lines += [f"        {line}" for line in body_]
    return lines


def _sweep_body(kind: str, ops: list[Op], defaults: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for attribute, value in defaults.items():
        if not attribute.endswith("_init"):
            continue
        parameter = attribute.removesuffix("_init")
        name, arguments = canonical(value)
        if not ops or is_torch_default(kind, parameter, name, arguments):
            continue
        tensor = f"module.{parameter}"
        made = init_code(
            name, arguments, tensor, None if parameter == "weight" else "module.weight"
        )
        has = [getattr(op, "bias" if parameter == "bias" else "scale", True) for op in ops]
        if not any(has):
            continue
        if all(has):
            lines += made.split("\n")
        else:
            lines += [f"if {tensor} is not None:", *(f"    {line}" for line in made.split("\n"))]
    return lines


def _written(value: syntax.Value) -> dict[str, syntax.Value]:
    """The arguments as the spec writes them: `{normal: {std: =x}}`, or `{normal: =x}` for one."""
    if not isinstance(value, syntax.MapValue):
        return {}
    name, inner = value.entries[0]
    if isinstance(inner, syntax.MapValue):
        return dict(inner.entries)
    return {a.name: inner for a in INITIALISERS[name].arguments if a.required}


def _has_names(value: syntax.Value) -> bool:
    return isinstance(value, syntax.Formula) and bool(free(raw_expr(value)))
