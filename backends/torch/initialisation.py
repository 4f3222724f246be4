"""Initial values in generated source: one sweep by kind of module, and exceptions by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netspec import syntax
from netspec.backends.source.formulas import raw_expr
from netspec.backends.source.names import Names
from netspec.backends.source.plan import OpWhat, Routine, Split, Step
from netspec.backends.source.python import code
from netspec.backends.torch.children import child_names, is_plain, is_taken
from netspec.backends.torch.initialise import init_code, is_torch_default, simplest
from netspec.formula import Choice, Expr, Literal, Unary, free
from netspec.graph import Graph
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


TYPED = {
    ("conv", "weight"),
    ("conv_transpose", "weight"),
    ("linear", "weight"),
    ("linear", "bias"),
    ("batch_norm", "weight"),
    ("batch_norm", "bias"),
    ("layer_norm", "weight"),
    ("layer_norm", "bias"),
    ("prelu", "weight"),
}
"""Parameters by op kind whose attributes are tensors to type checkers, and not perhaps None."""


class Sweep:
    """The initial values that the model gives to all modules of a kind: what `defaults` ask for.

    `own` collects classes with a method `initialize` for what begins otherwise.
    """

    def __init__(self, graph: Graph) -> None:
        self.own: list[str] = []
        self.settings: dict[str, list[_Setting]] = {}  # by op kind
        self.modules: dict[str, list[str]] = {}
        for kind, module in MODULES.items():
            nodes = [node for node in graph.nodes if node.op.kind == kind]
            ranks = sorted({max(n.input_types[0].rank, 1) for n in nodes})
            self.modules[kind] = [
                *dict.fromkeys(f"nn.{module.format(rank=rank)}" for rank in ranks)
            ]
            defaults = graph.trace.defaults.get(kind, {})
            self.settings[kind] = _settings(kind, [n.op for n in nodes], defaults) if nodes else []

    def reaches(self, kind: str, parameter: str) -> bool:
        """Whether the sweep sets a parameter of an op kind."""
        return any(setting.parameter == parameter for setting in self.settings.get(kind, ()))

    def lines(self, local: Callable[[str], str]) -> list[str]:
        """Statements that end the model's constructor, often none; `local` names variables."""
        if not self.own and not any(self.settings.values()):
            return []
        module = local("module")
        classes: dict[tuple[str, ...], list[str]] = {}  # by what is done to them
        for kind, settings in self.settings.items():
            if settings:
                body = tuple(line for s in settings for line in s.lines(module, local))
                classes.setdefault(body, []).extend(self.modules[kind])
        lines = _dispatch(module, classes)
        if self.own:
            lines += _dispatch(module, {(f"{module}.initialize()",): self.own})
        return lines


@dataclass(frozen=True, slots=True)
class _Setting:
    """How a parameter of all modules of a kind begins; `always` if none of them lacks it."""

    kind: str
    parameter: str
    initialiser: str
    arguments: dict[str, Any]
    always: bool

    def lines(self, module: str, local: Callable[[str], str]) -> list[str]:
        tensor = f"{module}.{self.parameter}"
        weight = None if self.parameter == "weight" else f"{module}.weight"
        linear = self.kind == "linear"
        text = init_code(self.initialiser, self.arguments, tensor, weight, local, linear=linear)
        lines = text.split("\n")
        if self.always:
            return lines
        return [f"if {tensor} is not None:", *(f"    {line}" for line in lines)]


def _dispatch(module: str, classes: dict[tuple[str, ...], list[str]]) -> list[str]:
    """A loop over all modules that treats each as its class asks for; no loop for no classes."""
    lines = [f"for {module} in self.modules():"] if classes else []
    for at, (body, names) in enumerate(classes.items()):
        which = names[0] if len(names) == 1 else f"({', '.join(names)})"
        condition, indent = f"isinstance({module}, {which})", "    "
        if body[0].startswith("if ") and all(line.startswith(" ") for line in body[1:]):
            condition, body, indent = f"{condition} and {body[0][3:-1]}", body[1:], ""
        lines.append(f"    {'elif' if at else 'if'} {condition}:")
        lines += [f"    {indent}{line}" for line in body]
    return lines


class Exceptions:
    """Statements for the parameters whose nodes say themselves how they begin.

    What the sweep leaves alone is set in the constructor, `here`. The rest, `later`, forms a method
    `initialize`, which runs after the sweep; formulas in it read attributes that the constructor
    saves.
    """

    def __init__(self, routine: Routine, names: Names, sweep: Sweep) -> None:
        self.routine = routine
        self.children = child_names(routine)
        self.names = names
        self.sweep = sweep
        self.here: list[str] = []
        self.later: list[str] = []
        self.saved: dict[str, str] = {}
        self.locals: dict[str, str] = {}

    def local(self, wanted: str) -> str:
        """The name of a variable in the constructor that statements set before they read it."""
        if wanted not in self.locals:
            self.locals[wanted] = self.names.new(wanted)
        return self.locals[wanted]

    def mark(self) -> tuple[int, int]:
        """How far the statements are, for `rewind`."""
        return len(self.here), len(self.later)

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forget the statements since `mark`."""
        del self.here[mark[0] :], self.later[mark[1] :]

    def add(self, step: Step, path: str) -> None:
        """Note the initialisers that an op's node sets; `path` leads to it from the class."""
        what = step.what
        assert isinstance(what, OpWhat)
        kind = what.node.op.kind
        for param in what.node.op.params(*what.node.input_types):
            attribute = "init" if not param.name else f"{param.name}_init"
            if attribute in what.args and param.trainable:
                lines = self._lines(step, path, param.name, attribute)
                (self.later if self._is_later(kind, param.name) else self.here).extend(lines)

    def _is_later(self, kind: str, parameter: str) -> bool:
        """Whether the sweep would undo what fills a parameter; the model's own come after it."""
        return self.routine.block is not None and self.sweep.reaches(kind, parameter)

    def _lines(self, step: Step, path: str, parameter: str, attribute: str) -> list[str]:
        """What fills a parameter: one of two things where its constant is one of two."""
        what = step.what
        assert isinstance(what, OpWhat)
        kind = what.node.op.kind
        later, swept = self._is_later(kind, parameter), self.sweep.reaches(kind, parameter)
        tensor = _parameter(f"{path}.{parameter}" if parameter else path, kind)
        weight = None if parameter in ("", "weight") else _parameter(f"{path}.weight", kind)

        def fill(name: str, arguments: dict[str, Any]) -> list[str]:
            codes = {key: self._code(value, later) for key, value in arguments.items()}
            name, codes = simplest(name, codes)
            if not swept and is_torch_default(kind, parameter, name, codes):
                return []
            local = str if later else self.local
            text = init_code(name, codes, tensor, weight, local, linear=kind == "linear")
            return text.split("\n")

        name, arguments = self._initialiser(step, what, attribute)
        value = arguments.get("value")
        if not isinstance(value, Choice):
            return fill(name, arguments)
        condition: Expr = value.condition
        yes, no = (fill(name, {"value": end}) for end in (value.yes, value.no))
        if not yes and not no:
            return []
        if not yes:
            condition, yes, no = Unary("not", condition), no, []
        lines = [f"if {self._code(condition, later)}:", *(f"    {line}" for line in yes)]
        return lines + (["else:", *(f"    {line}" for line in no)] if no else [])

    def _initialiser(self, step: Step, what: OpWhat, attribute: str) -> tuple[str, dict[str, Any]]:
        """The initialiser's name, and its arguments: numbers, words or formulas of names."""
        values = [canonical(getattr(node.op, attribute)) for node in what.nodes]
        kinds = [name for name, _ in values]
        if not step.inner.all_equal(kinds):
            raise Split(step.inner, kinds)
        written = _written(what.args[attribute])
        arguments: dict[str, Any] = {}
        for name in values[0][1]:
            value = written.get(name)
            if value is not None and _has_names(value):
                formulas = self.routine.formulas
                scope = self.routine.visible - formulas.loop_names(step.inner)
                expr = formulas.expr(value, step.inner, scope)
                arguments[name] = expr if free(expr) else formulas.value_in(expr, step.inner, 0)
                continue
            each = [arguments_[name] for _, arguments_ in values]
            if not step.inner.all_equal(each):
                raise Split(step.inner, each)
            arguments[name] = each[0]
        return kinds[0], arguments

    def _code(self, value: Any, later: bool) -> Any:
        """A formula's code, over attributes that the constructor saves if it runs `later`."""
        if isinstance(value, Literal):
            return value.value
        if not isinstance(value, Expr):
            return value

        def saved(name: str) -> str:
            spelt = attribute = self.names.name(name)
            if not later:
                return spelt
            while attribute in self.children or is_taken(attribute):
                attribute += "_"
            self.saved[spelt] = f"self.{attribute} = {spelt}"
            return f"self.{attribute}"

        return code(value, saved, lambda axis: axis)

    def method(self) -> list[str]:
        """The method's lines, without indentation."""
        if not self.later:
            return []
        return [
            "def initialize(self) -> None:",
            '    """Fill the parameters that begin otherwise than their kind."""',
            *(f"    {line}" for line in self.later),
        ]


def _parameter(key: str, kind: str) -> str:
    """The expression of a parameter by its key; a child may have the name of a method."""
    if any(is_taken(part) for part in key.split(".")):
        return f'dict(self.named_parameters())["{key}"]'
    child, _, parameter = key.rpartition(".")
    if is_plain(child) and (kind, parameter) in TYPED:
        return f"self.{key}"
    return f'self.get_parameter("{key}")'


def _settings(kind: str, ops: list[Op], defaults: dict[str, Any]) -> list[_Setting]:
    """What `defaults` ask for, of one op kind, and torch's constructors do not do themselves."""
    found = []
    for attribute, value in defaults.items():
        parameter = attribute.removesuffix("_init")
        if parameter == attribute:
            continue
        name, arguments = canonical(value)
        has = [getattr(op, "bias" if parameter == "bias" else "scale", True) for op in ops]
        if any(has) and not is_torch_default(kind, parameter, name, arguments):
            always = all(has) and (kind, parameter) in TYPED
            found.append(_Setting(kind, parameter, name, arguments, always))
    return found


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
