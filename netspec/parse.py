"""From YAML nodes to syntax. Shapes were checked by the schema; what is left is said here."""

from __future__ import annotations

import re

from netspec.diagnostics import Findings, Span
from netspec.formula import RESERVED, FormulaError
from netspec.formula import parse as parse_formula
from netspec.lazy import hints
from netspec.ops import Op
from netspec.reader import Mapping, Scalar, Sequence, YamlNode
from netspec.syntax import (
    JOINS,
    MODIFIERS,
    PARAM_TYPES,
    Arg,
    Block,
    Body,
    Broken,
    Call,
    Data,
    Default,
    Formula,
    Group,
    InputDecl,
    Join,
    KindCall,
    Let,
    ListValue,
    MapValue,
    Node,
    OutputDecl,
    ParamDecl,
    Repeat,
    Share,
    Template,
    Value,
    Variant,
)

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAME_LIMIT = 100
VARIANT_LIMIT = 1_000
NAME_HINT = "names are made of letters, digits, _ and -"


class Parser:
    """Parses the parts of one file; findings go to `findings`."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    # -- values -----------------------------------------------------------------------------

    def value(self, node: YamlNode) -> Value:
        """Data or formulas, nested."""
        if self.findings.is_poisoned(node):
            return Broken(node.span)
        if isinstance(node, Sequence):
            return ListValue(tuple(self.value(item) for item in node.items), node.span)
        if isinstance(node, Mapping):
            args = [self.arg(key, value) for key, value in node.entries]
            return MapValue(tuple((arg.name, arg.value) for arg in args), node.span)
        if node.value is None:
            self.findings.error("wrong-type", "a value is missing here", node.span)
            return Broken(node.span)
        if isinstance(node.value, str) and node.text.startswith("="):
            return self.formula(node)
        return Data(node.value, node.span)

    def formula(self, node: Scalar) -> Formula | Broken:
        """A scalar that begins with `=`."""
        text = node.text[1:]
        column = node.span.column + (1 if node.plain else 2)
        return self._formula(text, node.span, column if self._in_one_piece(node) else None)

    def _in_one_piece(self, node: Scalar) -> bool:
        width = len(node.text) + (0 if node.plain else 2)
        return node.span.line == node.span.end_line and (
            node.span.end_column - node.span.column == width
        )

    def _formula(self, text: str, span: Span, column: int | None) -> Formula | Broken:
        try:
            return Formula(parse_formula(text), text, span, column)
        except FormulaError as error:
            where = span
            if column is not None and error.end is not None:
                row = span.line
                where = Span(
                    span.source, row, column + error.start, row, column + max(error.end, 1)
                )
            self.findings.error("bad-formula", error.message, where, error.hint)
            return Broken(span)

    def template(self, node: Scalar, dotted: bool = False) -> Template | Broken:
        """A name with `{formula}` parts; `dotted` allows a reference into groups."""
        if self.findings.is_poisoned(node):
            return Broken(node.span)
        parts: list[str | Formula] = []
        column = node.span.column + (0 if node.plain else 1)
        exact = self._in_one_piece(node)
        for match in re.finditer(r"\{([^{}]*)\}|([^{}]+)|[{}]", node.text):
            if match[1] is not None:
                start = column + match.start(1) if exact else None
                part = self._formula(match[1], node.span, start)
                if isinstance(part, Broken):
                    return part
                parts.append(part)
            elif match[2] is not None:
                parts.append(match[2])
            else:
                self.findings.error("bad-name", f"unbalanced `{match[0]}` in a name", node.span)
                return Broken(node.span)
        template = Template(tuple(parts), node.span)
        outline = "".join(part if isinstance(part, str) else "0" for part in parts)
        names = outline.split(".") if dotted else [outline]
        if not all(NAME.fullmatch(name) for name in names):
            similar = re.sub(r"[/\\:\[\]]+", ".", node.text).strip(".")
            hint = NAME_HINT
            if node.text.startswith("="):
                hint = f'a formula in a name stands in braces: "{{{node.text[1:]}}}"'
            elif dotted and all(NAME.fullmatch(name) for name in similar.split(".")):
                hint = f"did you mean `{similar}`?"
            self.findings.error("bad-name", f"`{node.text}` is not a name", node.span, hint)
            return Broken(node.span)
        if len(node.text) > NAME_LIMIT:
            self.findings.error(
                "bad-name", f"a name of more than {NAME_LIMIT} characters", node.span
            )
            return Broken(node.span)
        return template

    def reference(self, node: YamlNode) -> Template | Broken:
        if not isinstance(node, Scalar) or node.value is None:
            return Broken(node.span)
        if node.text.startswith("="):
            message = f"`{node.text}` is a formula, where a value's name belongs"
            hint = f"write `{node.text[1:]}`; a name may have {{formula}} parts"
            self.findings.error("bad-name", message, node.span, hint)
            return Broken(node.span)
        return self.template(node, dotted=True)

    def condition(self, node: YamlNode) -> Value:
        """`when`: true, false or a formula; other text is a forgotten `=`."""
        value = self.value(node)
        if isinstance(value, Data) and not isinstance(value.value, bool):
            text = node.text if isinstance(node, Scalar) else ""
            hint = f"did you mean `={text}`?" if isinstance(value.value, str) else None
            if text.lower() in ("yes", "no", "on", "off", "true", "false"):
                hint = "write `true` or `false`"
            self.findings.error(
                "wrong-type", f"`when` is true, false or a formula, not `{text}`", node.span, hint
            )
            return Broken(node.span)
        return value

    def identifier(self, key: Scalar, what: str) -> bool:
        """Whether a key can be a name in formulas; reports it if not."""
        if not IDENTIFIER.fullmatch(key.text) or len(key.text) > NAME_LIMIT:
            hint = "it is made of letters, digits and _, and begins with no digit"
            self.findings.error("bad-name", f"`{key.text}` cannot name {what}", key.span, hint)
            return False
        if key.text in RESERVED:
            self.findings.error("bad-name", f"`{key.text}` is reserved in formulas", key.span)
            return False
        return True

    # -- bodies -----------------------------------------------------------------------------

    def body(self, node: YamlNode) -> Body:
        """A list of numbered children or a mapping of named ones."""
        if self.findings.is_poisoned(node):
            return _broken_body(node)
        if isinstance(node, Sequence):
            return Body(tuple(self.node(item, None) for item in node.items), False, node.span)
        if isinstance(node, Mapping):
            nodes = []
            for key, value in node.entries:
                if key.text == "input":
                    message = "`input` is what the block received and cannot be defined"
                    self.findings.error("bad-name", message, key.span)
                    continue
                name = self.template(key)
                if not isinstance(name, Broken):
                    nodes.append(self.node(value, name))
            return Body(tuple(nodes), True, node.span)
        return _broken_body(node)

    def node(self, node: YamlNode, key: Template | None) -> Node:
        if self.findings.is_poisoned(node):
            return Node(key, Broken(node.span), None, None, None, node.span)
        if isinstance(node, Scalar):
            return Node(key, self._bare(node, key), None, None, None, self._place(node, key))
        if isinstance(node, Sequence):
            group = Group(self.body(node), inline=False)
            return Node(key, group, None, None, None, node.span)
        modifiers = {k.text: v for k, v in node.entries if k.text in MODIFIERS}
        calls = [(k, v) for k, v in node.entries if k.text not in MODIFIERS]
        from_ = self.reference(modifiers["from"]) if "from" in modifiers else None
        when = self.condition(modifiers["when"]) if "when" in modifiers else None
        repeat = self.repeat(modifiers["repeat"]) if "repeat" in modifiers else None
        call = self.call(*calls[0]) if len(calls) == 1 else self._not_one_call(calls, node, key)
        if isinstance(from_, Broken):
            call, from_ = from_, None
        if isinstance(repeat, Broken):
            call, repeat = repeat, None
        span = calls[0][0].span if calls else node.span
        return Node(key, call, from_, when, repeat, span)

    def _place(self, node: Scalar, key: Template | None) -> Span:
        return key.span if key and node.value is None else node.span

    def _bare(self, node: Scalar, key: Template | None) -> Call:
        """`relu`, `=act`, or nothing: the op or block of the key's own name."""
        if node.value is None:
            if key and key.plain:
                return KindCall(key.plain, (), key.span)
            self.findings.error("empty-node", "a node is missing here", node.span)
            return Broken(node.span)
        if not isinstance(node.value, str):
            message, hint = f"a node is an op or a block, not `{node.text}`", None
            if key and key.plain in Op.registry:
                hint = hints.named_child(key.plain, node.text)
            self.findings.error("wrong-type", message, node.span, hint)
            return Broken(node.span)
        return self._kind_call(node, ())

    def _kind_call(self, key: Scalar, args: tuple[Arg, ...]) -> Call:
        if key.text.startswith("="):
            kind = self.formula(key)
            return kind if isinstance(kind, Broken) else KindCall(kind, args, key.span)
        return KindCall(key.text, args, key.span)

    def _not_one_call(
        self, calls: list[tuple[Scalar, YamlNode]], node: Mapping, name: Template | None
    ) -> Broken:
        if not calls:
            message = "this node has no op, block or body"
            self.findings.error("empty-node", message, node.span)
            return Broken(node.span)
        if self.findings.is_poisoned(calls[0][1]):
            return Broken(node.span)
        texts = [key.text for key, _ in calls]
        listed = " and ".join(f"`{text}`" for text in texts[:4])
        own = Op.registry[name.plain].attributes if name and name.plain in Op.registry else ()
        if name and name.plain and all(text in own for text in texts):
            place, hint = name.span, hints.named_child(name.plain, "{...}")
        else:
            place, hint = hints.one_too_many(calls)
        self.findings.error("two-calls", f"a node is one call, but this has {listed}", place, hint)
        return Broken(node.span)

    def call(self, key: Scalar, value: YamlNode) -> Call:
        if self.findings.is_poisoned(value) or self.findings.is_poisoned(key):
            return Broken(key.span)
        if key.text in ("body", "inline"):
            return Group(self.body(value), inline=key.text == "inline")
        if key.text == "share":
            ref = self.reference(value)
            return ref if isinstance(ref, Broken) else Share(ref)
        if key.text in JOINS:
            return self._join(key, value)
        return self._kind_call(key, self.args(value))

    def _join(self, key: Scalar, value: YamlNode) -> Call:
        if not isinstance(value, Sequence):
            return Broken(key.span)
        branches: list[Template | Body] = []
        for item in value.items:
            if isinstance(item, Mapping):
                branches.append(self.body(item))
                continue
            ref = self.reference(item)
            if isinstance(ref, Broken):
                return ref
            branches.append(ref)
        return Join(key.text, tuple(branches), key.span)

    def args(self, node: YamlNode) -> tuple[Arg, ...]:
        if isinstance(node, Mapping):
            return tuple(self.arg(key, value) for key, value in node.entries)
        if isinstance(node, Scalar) and node.value is None:
            return ()
        return (Arg("", self.value(node), node.span),)

    def arg(self, key: Scalar, value: YamlNode) -> Arg:
        if isinstance(value, Scalar) and value.value is None:
            if self.findings.is_poisoned(value) or self.findings.is_poisoned(key):
                return Arg(key.text, Broken(key.span), key.span)
            same = self._formula(key.text, key.span, key.span.column)
            return Arg(key.text, same, key.span, same=True)
        return Arg(key.text, self.value(value), key.span)

    def repeat(self, node: YamlNode) -> Repeat | Broken:
        if self.findings.is_poisoned(node):
            return Broken(node.span)
        if not isinstance(node, Mapping):
            return Repeat(self.value(node), None, (), False, "i", node.span)
        index = node.get("index")
        name = index.text if isinstance(index, Scalar) else "i"
        if isinstance(index, Scalar) and not self.identifier(index, "an index"):
            return Broken(node.span)
        times, each = node.get("times"), node.get("each")
        as_ = node.get("as")
        wanted = as_.items if isinstance(as_, Sequence) else [as_] if as_ is not None else []
        names = [n for n in wanted if isinstance(n, Scalar)]
        good = [self.identifier(n, "a row") for n in names]  # every bad one is reported
        if not all(good):
            return Broken(node.span)
        texts = tuple(n.text for n in names)
        if len({name, *texts}) != len(texts) + 1:
            hint = "`index` names the count of the copies: `i`, if it is not written"
            self.findings.error("bad-name", "two loop names are the same", node.span, hint)
            return Broken(node.span)
        return Repeat(
            None if times is None else self.value(times),
            None if each is None else self.value(each),
            texts,
            isinstance(as_, Sequence),
            name,
            node.span,
        )

    # -- declarations -----------------------------------------------------------------------

    def params(self, node: YamlNode | None) -> tuple[ParamDecl, ...]:
        if not isinstance(node, Mapping):
            return ()
        found = (
            self.param(key, value)
            for key, value in node.entries
            if self.identifier(key, "a parameter")
        )
        return tuple(found)

    def param(self, key: Scalar, node: YamlNode) -> ParamDecl:
        if isinstance(node, Mapping) and not self.findings.is_poisoned(node):
            type_, default, choices = node.get("type"), node.get("default"), node.get("choices")
            low, high, doc = node.get("min"), node.get("max"), node.get("doc")
            if any(self.findings.is_poisoned(value) for _, value in node.entries):
                broken = Broken(node.span)
                return ParamDecl(key.text, "list", broken, None, None, (), "", key.span)
            return ParamDecl(
                key.text,
                type_.text if isinstance(type_, Scalar) else "int",
                None if default is None else self.value(default),
                low.value if isinstance(low, Scalar) else None,  # type: ignore[arg-type] # schema
                high.value if isinstance(high, Scalar) else None,  # type: ignore[arg-type] # schema
                tuple(c.value for c in choices.items if isinstance(c, Scalar))
                if isinstance(choices, Sequence)
                else (),
                doc.text if isinstance(doc, Scalar) else "",
                key.span,
            )
        if isinstance(node, Scalar) and node.plain and node.text in PARAM_TYPES:
            return ParamDecl(key.text, node.text, None, None, None, (), "", key.span)
        if isinstance(node, Scalar) and node.value is None:
            message = f"parameter `{key.text}` has neither a type nor a default"
            hint = f"write `{key.text}: int`, or a default such as `{key.text}: 64`"
            self.findings.error("wrong-type", message, key.span, hint)
            unknown = ParamDecl(key.text, "int", None, None, None, (), "", key.span)
            self.findings.poison(unknown)
            return unknown
        value = self.value(node)
        if isinstance(value, Data) and isinstance(value.value, str):
            self._warn_of_type(value.value, value.span)
        if isinstance(value, Formula):
            message = f"the default of `{key.text}` is data, not a formula"
            self.findings.error("wrong-type", message, value.span, "formulas belong under `let:`")
            value = Broken(value.span)
        return ParamDecl(key.text, _type_of(value), value, None, None, (), "", key.span)

    def _warn_of_type(self, text: str, span: Span) -> None:
        from netspec.dialects import TYPES  # only texts pay for it

        if text in TYPES:
            message = f"`{text}` is no type, and so it is the default's text"
            self.findings.warning("doubtful-value", message, span, f"did you mean `{TYPES[text]}`?")

    def lets(self, node: YamlNode | None) -> tuple[Let, ...]:
        if not isinstance(node, Mapping):
            return ()
        return tuple(
            Let(key.text, self.value(value), key.span)
            for key, value in node.entries
            if self.identifier(key, "a let")
        )

    def broken_block(self, name: Scalar) -> Block:
        """A block of which nothing is known but that it was meant to be there."""
        body = _broken_body(name)
        broken = Block(name.text, "", (), (), body, name.span, {})
        self.findings.poison(broken)
        return broken

    def block(self, key: Scalar, node: YamlNode, scope: dict[str, Block]) -> Block:
        if not isinstance(node, Mapping) or self.findings.is_poisoned(node):
            return self.broken_block(key)
        doc, body, params = node.get("doc"), node.get("body"), node.get("params")
        if self.findings.is_poisoned(params):
            return self.broken_block(key)
        return Block(
            key.text,
            doc.text if isinstance(doc, Scalar) else "",
            self.params(params),
            self.lets(node.get("let")),
            self.body(body) if body is not None else _broken_body(node),
            key.span,
            scope,
        )

    def variants(self, node: YamlNode | None) -> tuple[Variant, ...]:
        if not isinstance(node, Mapping):
            return ()
        found = []
        if len(node.entries) > VARIANT_LIMIT:
            message = f"more than {VARIANT_LIMIT:,} variants"
            self.findings.error("too-large", message, node.entries[VARIANT_LIMIT][0].span)
        for key, value in node.entries[:VARIANT_LIMIT]:
            good = isinstance(self.template(key), Template)
            if good and not self.findings.is_poisoned(value):
                found.append(Variant(key.text, self.args(value), key.span))
        return tuple(found)

    def inputs(self, node: YamlNode | None) -> tuple[InputDecl, ...]:
        if not isinstance(node, Mapping):
            return ()
        found = []
        for key, value in node.entries:
            if not self.identifier(key, "an input"):
                continue
            shape: tuple[Value, ...] = (Broken(value.span),)
            if isinstance(value, Sequence) and not self.findings.is_poisoned(value):
                shape = tuple(self.value(item) for item in value.items)
            found.append(InputDecl(key.text, shape, key.span))
        return tuple(found)

    def defaults(self, node: YamlNode | None) -> tuple[Default, ...]:
        if not isinstance(node, Mapping):
            return ()
        return tuple(
            Default(key.text, self.args(value), key.span)
            for key, value in node.entries
            if not (self.findings.is_poisoned(key) or self.findings.is_poisoned(value))
        )

    def outputs(self, node: YamlNode | None) -> tuple[OutputDecl, ...]:
        if not isinstance(node, Mapping):
            return ()
        found = []
        for key, value in node.entries:
            if not self.identifier(key, "an output") or self.findings.is_poisoned(value):
                continue
            options = {k.text: v for k, v in value.entries} if isinstance(value, Mapping) else {}
            target = options.get("from") if isinstance(value, Mapping) else value
            if target is None:
                continue
            ref = self.reference(target)
            if isinstance(ref, Broken):
                continue
            when = self.condition(options["when"]) if "when" in options else None
            found.append(OutputDecl(key.text, ref, when, "only" in options, key.span))
        return tuple(found)


def _broken_body(node: YamlNode) -> Body:
    """A body in whose place something else was reported."""
    return Body((Node(None, Broken(node.span), None, None, None, node.span),), False, node.span)


def _type_of(value: Value) -> str:
    if isinstance(value, Data):
        words = {bool: "bool", int: "int", float: "float", str: "text"}
        return words[type(value.value)]
    return "list"
