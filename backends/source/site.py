"""An op's place in a plan, as lowerings see it."""

from __future__ import annotations

from typing import Any

from netspec import syntax
from netspec.backends.source.formulas import Formulas
from netspec.backends.source.names import Names
from netspec.backends.source.plan import Context, JoinWhat, OpWhat, Split, Val
from netspec.backends.source.python import literal
from netspec.backends.source.symbols import names_of
from netspec.formula import Binary, Choice, Expr, InputShape, Literal, Name, Unary, free
from netspec.graph import Node
from netspec.ops.base import Attribute
from netspec.types import TensorType


class OpSite:
    """Answers a lowering's questions about an op in all lanes of its context."""

    def __init__(
        self,
        what: OpWhat | JoinWhat,
        context: Context,
        read: Val | None,
        names: Names,
    ) -> None:
        self.nodes: list[Node] = what.nodes
        self.args: dict[str, syntax.Value] = what.args if isinstance(what, OpWhat) else {}
        self.context = context
        self.value = read
        self.names = names
        self.formulas: Formulas = names.routine.formulas
        self.kind = what.node.op.kind
        self.scope = names.routine.visible | self.formulas.loop_names(context)

    @property
    def rank(self) -> int:
        ranks = [n.input_types[0].rank if n.inputs else 0 for n in self.nodes]
        if not self.context.all_equal(ranks):
            raise Split(self.context, ranks)
        return ranks[0]

    @property
    def input(self) -> TensorType | None:
        types = [n.input_types[0] for n in self.nodes if n.inputs]
        return types[0] if types and self.context.all_equal(types) else None

    @property
    def operands(self) -> list[tuple[TensorType, ...]]:
        return [node.input_types for node in self.nodes]

    @property
    def channels(self) -> str:
        assert self.value is not None
        return self.names.code(self.formulas.channels(self.value, self.context))

    def code(self, attribute: str) -> str:
        initialiser = self._open_initialiser(attribute)
        if initialiser is not None:
            return initialiser
        expr = self._open(attribute)
        if expr is not None:
            return self.names.code(expr)
        return literal(self._shrunk(attribute, self._agreed(attribute)))

    def known(self, attribute: str) -> Any:
        if self._declared(attribute).type == "Init":
            is_open = self._open_initialiser(attribute) is not None
            return None if is_open else self._agreed(attribute)
        return None if self._open(attribute) is not None else self._agreed(attribute)

    def values(self, attribute: str) -> list[Any]:
        """The attribute's value in every lane."""
        return [getattr(node.op, attribute) for node in self.nodes]

    def one_number(self, attribute: str) -> bool:
        expr = self._open(attribute)
        if expr is None:
            return isinstance(self._shrunk(attribute, self._agreed(attribute)), int | float)
        return self._is_number(expr)

    def _is_number(self, expr: Expr) -> bool:
        match expr:
            case Literal(value):
                return isinstance(value, int | float)
            case Binary("+" | "*", left, right) | Choice(_, left, right):
                return self._is_number(left) and self._is_number(right)
            case Binary() | Unary() | InputShape() | Name("$in"):
                return True
            case Name(name):
                routine = self.names.routine
                types = {param.name: param.type for param in routine.params}
                lets = {let.name: let.value for let in routine.lets}
                let = lets.get(name)
                if isinstance(let, syntax.Formula):
                    return self._is_number(let.expr)
                return name in routine.visible and types.get(name) in ("int", "float")
        return False

    def is_default(self, attribute: str) -> bool:
        declared = self._declared(attribute)
        default = declared.default
        if declared.required:
            return False
        if isinstance(default, str) and default.startswith("="):
            return attribute not in self.args and all(
                getattr(n.op, attribute) == getattr(n.op, default[1:]) for n in self.nodes
            )
        if self._open(attribute) is not None or self._open_initialiser(attribute) is not None:
            return False
        return all(_with_default(n, attribute) == getattr(n.op, attribute) for n in self.nodes)

    def _declared(self, attribute: str) -> Attribute:
        return self.nodes[0].op.attributes[attribute]

    def _open(self, attribute: str) -> Expr | None:
        """The attribute as an expression, if it mentions a name in scope."""
        value = self.args.get(attribute)
        default = self._declared(attribute).default
        if value is None and isinstance(default, str) and default.startswith("="):
            same = all(getattr(n.op, attribute) == getattr(n.op, default[1:]) for n in self.nodes)
            return self._open(default[1:]) if same else None
        if value is None or isinstance(value, syntax.MapValue):
            return None
        expr = self.formulas.expr(value, self.context, self.scope)
        return expr if free(expr) else None

    def _open_initialiser(self, attribute: str) -> str | None:
        """The code of an initialiser's mapping, if a name in scope is in it: `{"normal": std}`."""
        names: set[str] = set()

        def code(value: syntax.Value) -> str | None:
            if isinstance(value, syntax.MapValue):
                inner = [(key, code(entry)) for key, entry in value.entries]
                known = all(text is not None for _, text in inner)
                return "{" + ", ".join(f'"{k}": {t}' for k, t in inner) + "}" if known else None
            expr = self.formulas.try_expr(value, self.context)
            names.update(names_of(expr) if expr is not None else ())
            return self.names.code(expr) if expr is not None else None

        written = self.args.get(attribute)
        text = code(written) if isinstance(written, syntax.MapValue) else None
        return text if names else None

    def _agreed(self, attribute: str) -> Any:
        values = self.values(attribute)
        if not self.context.all_equal(values):
            raise Split(self.context, [repr(v) for v in values])
        if isinstance(self.args.get(attribute), syntax.MapValue):
            self.formulas.freeze(self.args[attribute])
        return values[0]

    def _shrunk(self, attribute: str, value: Any) -> Any:
        kind = self._declared(attribute).type
        if kind == "Padding" and not isinstance(value, str):
            if all(before == after for before, after in value):
                return _one_if_equal(tuple(before for before, _ in value))
            return value
        return _one_if_equal(value) if kind == "Axes" else value


def _one_if_equal(value: tuple[Any, ...]) -> Any:
    return value[0] if value and all(v == value[0] for v in value) else value


def _with_default(node: Node, attribute: str) -> Any:
    op = node.op
    values = {**op.values, attribute: op.attributes[attribute].default}
    return getattr(type(op)(values, node.input_types), attribute)
