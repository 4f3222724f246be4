"""Walks the text of one body with the names that its formulas can see."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.data import check_bounds, check_data, literal_hint, plain_value
from netspec.diagnostics import Findings, Note, Span
from netspec.formula import Choice, Expr, Name, free, loop_names, texts
from netspec.initialisers import INITIALISERS
from netspec.lazy import hints
from netspec.ops import Op
from netspec.syntax import (
    KEYWORDS,
    Arg,
    Block,
    Body,
    Formula,
    Group,
    Join,
    KindCall,
    Let,
    ListValue,
    MapValue,
    Node,
    ParamDecl,
    Template,
    Value,
)
from netspec.values import ValueProblem, attribute_value


class Checker:
    """Walks one block's (or the model's) body with the names that its formulas can see."""

    def __init__(self, blocks: dict[str, Block], findings: Findings) -> None:
        self.blocks = blocks
        self.findings = findings
        self.kinds: set[str] = set()
        self.texts: set[str] = set()  # text values: a kind may be named by one
        self.read: set[str] = set()
        self.text_params: dict[str, ParamDecl] = {}
        self.later: set[str] = set()  # lets that are not yet computed
        self.unread = 0  # tables around, whose rows may bring names that the text does not show
        self.numbered = False  # whether the children around are a list
        self.listed, self.nothing = "there are", "there are no params, lets or loops here"

    def declared(self, params: Iterable[ParamDecl], lets: tuple[Let, ...]) -> set[str]:
        """Check params and lets; the names that they give to formulas."""
        names = set()
        for param in params:
            check_bounds(param, self.blocks, self.findings)
            if param.default is not None:
                check_data(param, param.default, self.blocks, self.findings)
                self.value(param.default, set())
            if param.type == "text":
                self.text_params[param.name] = param
            names.add(param.name)
        for at, let in enumerate(lets):
            self.later = {other.name for other in lets[at:]}
            self.value(let.value, names)
            if let.name in names:
                message = f"`{let.name}` already stands for something"
                self.findings.error("duplicate-name", message, let.span)
            names.add(let.name)
        self.later = set()
        return names

    def body(self, body: Body, names: set[str]) -> None:
        for node in body.nodes:
            self.numbered = not body.named
            self.node(node, names)

    def node(self, node: Node, names: set[str]) -> None:
        inner, unread = names, self.unread
        if node.repeat is not None:
            repeat = node.repeat
            for value in (repeat.times, repeat.each):
                if value is not None:
                    self.value(value, names)
            mappings = repeat.each is not None and not repeat.names
            inner = names | {repeat.index, *repeat.names}
            if mappings:
                inner = inner | _row_names(repeat.each)
                self.unread += not _are_mappings(repeat.each)
        if node.key is not None:
            self.template(node.key, inner)
        if node.from_ is not None:
            self.template(node.from_, names)
        if node.when is not None:
            self.value(node.when, inner)
        match node.call:
            case KindCall():
                self.kind_call(node.call, inner)
            case Group(body):
                self.body(body, inner)
            case Join(_, branches):
                for branch in branches:
                    if isinstance(branch, Body):
                        self.body(branch, inner)
                    else:
                        self.template(branch, inner)
        self.unread = unread

    def kind_call(self, call: KindCall, names: set[str]) -> None:
        for arg in call.args:
            if not arg.name and isinstance(arg.value, ListValue):
                self.no_positions(call, arg, names)
                return
            self.argument(arg, names)
        if isinstance(call.kind, Formula):
            self.value(call.kind, names)
            self.text_as_kind(call.kind)
            return
        self.kinds.add(call.kind)
        if call.kind in self.blocks:
            self.block_args(self.blocks[call.kind], call)
        elif call.kind not in Op.registry or Op.registry[call.kind].join:
            self.unknown_kind(call, names)
        else:
            for arg in call.args:
                self.attribute(call.kind, arg)

    def text_as_kind(self, kind: Formula) -> None:
        """A param that names an op is of type `kind`: its value is then known to be one."""
        for name in _results(kind.expr):
            param = self.text_params.get(name.name)
            if param is not None:
                message = f"`{param.name}` is text, and what names an op or a block is a `kind`"
                hint = f"write `{param.name}: {{type: kind, default: ...}}` under `params:`"
                notes = (Note("it is declared here", param.span),)
                where = kind.at(name.start, name.end)
                self.findings.error("wrong-type", message, where, hint, notes)

    def attribute(self, kind: str, arg: Arg) -> None:
        """Data for an op's attribute, where it can be judged before any value is known."""
        op = Op.registry.get(kind)
        if op is None or (arg.name and arg.name not in op.attributes):
            return
        required = [a for a in op.attributes.values() if a.required]
        plain = plain_value(arg.value)
        if plain is None or not (arg.name or len(required) == 1):
            return
        try:
            attribute_value(op.attributes[arg.name] if arg.name else required[0], plain)
        except ValueProblem as problem:
            hint = literal_hint(plain, problem)
            self.findings.error("wrong-type", problem.message, arg.value.span, hint)

    def unknown_kind(self, call: KindCall, names: set[str]) -> None:
        kind = str(call.kind)
        if kind in Op.registry:
            hint: str | None = f"write `{kind}: [a, b]`"
            self.findings.error("wrong-type", f"`{kind}` joins branches", call.span, hint)
            return
        if self.findings.is_poisoned(self.blocks):
            return  # blocks of this file could not be read
        hint = hints.op_hint(kind, [*self.blocks, *Op.registry, *KEYWORDS])
        if kind in names:
            hint = f"did you mean `={kind}`?"
        elif self.numbered and any(map(self.calls, call.args)) and not hints.is_foreign(kind):
            hint = "children of a list have no names: write them as a mapping, without `- `"
        self.findings.error("unknown-op", f"unknown op or block `{kind}`", call.span, hint)

    def calls(self, arg: Arg) -> bool:
        """Whether an argument can only be meant as a call."""
        text = getattr(arg.value, "value", None)
        word = arg.name or (text if isinstance(text, str) else "")
        listed = not arg.name and isinstance(arg.value, ListValue)
        return listed or word in Op.registry or word in self.blocks or word in KEYWORDS

    def no_positions(self, call: KindCall, arg: Arg, names: set[str]) -> None:
        """A list of arguments is an error; that the kind is unknown is a worse one."""
        kind = call.kind
        if isinstance(kind, str) and kind not in self.blocks and kind not in Op.registry:
            self.unknown_kind(call, names)
            return
        block = self.blocks.get(kind) if isinstance(kind, str) else None
        given = ", ".join(f"{p.name}: ..." for p in block.params[:4]) if block else "NAME: ..."
        message = f"`{call.kind}`" if isinstance(kind, str) else "a call"
        hint = f"write {{{given}}}"
        message = f"{message} takes arguments by name, not a list"
        self.findings.error("wrong-type", message, arg.value.span, hint)

    def block_args(self, block: Block, call: KindCall) -> None:
        if self.findings.is_poisoned(block):
            return
        known = [p.name for p in block.params]
        required = [p.name for p in block.params if p.default is None]
        given = [arg.name for arg in call.args]
        if given == [""]:
            if len(required) != 1:
                needs = ", ".join(f"`{r}`" for r in required) or "nothing"
                message = f"`{block.name}` takes arguments by name: it needs {needs}"
                self.findings.error("wrong-type", message, call.args[0].span)
            return
        wrong = False
        for arg in call.args:
            if arg.name not in known:
                wrong = True
                message = f"block `{block.name}` has no parameter `{arg.name}`"
                hint = hints.attribute_hint(arg.name, known)
                self.findings.error("unknown-attribute", message, arg.span, hint)
        missing = [name for name in required if name not in given]
        if missing and not wrong:
            message, hint = hints.missing_words(block.name, missing)
            self.findings.error("missing-argument", message, call.span, hint)

    def argument(self, arg: Arg, names: set[str]) -> None:
        if not (arg.same and isinstance(arg.value, Formula)):
            self.value(arg.value, names)
        elif arg.name in names or self.unread:
            self.read.add(arg.name)
        else:
            hint = f"write `{arg.name}: VALUE`" + (
                f"; names here are {', '.join(sorted(names))}" if names else ""
            )
            message = f"there is no `{arg.name}` here to pass on"
            self.findings.error("bad-formula", message, arg.span, hint)

    def template(self, template: Template, names: set[str]) -> None:
        for part in template.parts:
            if isinstance(part, Formula):
                self.value(part, names)

    def note_texts(self, value: Value) -> None:
        match value:
            case Formula(expr):
                self.texts.update(texts(expr))
            case ListValue(items):
                for item in items:
                    self.note_texts(item)
            case MapValue(entries):
                for _, item in entries:
                    self.note_texts(item)
            case _:
                text = getattr(value, "value", None)
                if isinstance(text, str):
                    self.texts.add(text)

    def value(self, value: Value, names: set[str]) -> None:
        self.note_texts(value)
        self.formulas(value, names)

    def formulas(self, value: Value, names: set[str]) -> None:
        match value:
            case Formula(expr):
                for loop in loop_names(expr):
                    if loop in names:
                        message = f"the loop name `{loop}` already stands for something here"
                        self.findings.error("bad-name", message, value.span, "choose another name")
                for name in free(expr):
                    if not hasattr(name, "name"):
                        continue
                    self.read.add(name.name)
                    if name.name not in names and not self.unread:
                        self.unknown_name(name.name, value.at(name.start, name.end), names)
            case ListValue(items):
                for item in items:
                    self.formulas(item, names)
            case MapValue(entries):
                for _, item in entries:
                    self.formulas(item, names)

    def unknown_name(self, name: str, where: Span, names: set[str]) -> None:
        hint = hints.suggestion(name, sorted(names), self.listed) or self.nothing
        if name in Op.registry or name in INITIALISERS:
            hint = f"write `{name}`, without `=`"
        if name in self.later:
            hint = "lets are computed in order: this one comes later, or reads itself"
        self.findings.error("bad-formula", f"unknown name `{name}`", where, hint)


def _results(expr: Expr) -> tuple[Name, ...]:
    """The names whose values can be the formula's own."""
    match expr:
        case Name():
            return (expr,)
        case Choice(_, yes, no):
            return _results(yes) + _results(no)
    return ()


def _are_mappings(each: Value | None) -> bool:
    return isinstance(each, ListValue) and all(isinstance(row, MapValue) for row in each.items)


def _row_names(each: Value | None) -> set[str]:
    """Names that rows written as mappings bring, as far as the text shows them."""
    found: set[str] = set()
    if isinstance(each, ListValue):
        for row in each.items:
            if isinstance(row, MapValue):
                found |= {name for name, _ in row.entries}
    return found
