"""References in blocks that nothing resolves: those of libraries, and those that no model uses."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.diagnostics import Findings
from netspec.lazy import hints
from netspec.syntax import (
    Block,
    Body,
    Data,
    Group,
    Join,
    KindCall,
    Node,
    Share,
    Template,
    bodies_beside,
)


@dataclass(slots=True)
class _Names:
    """The names of one body so far, and those that come later in it."""

    plain: list[str] = field(default_factory=lambda: ["input"])
    templates: list[Template] = field(default_factory=list)
    later: set[str] = field(default_factory=set)

    def may_have(self, name: str) -> bool:
        return name in self.plain or any(t.matches(name) for t in self.templates)

    def add(self, node: Node) -> None:
        if node.key is not None and node.key.plain is not None:
            self.plain.append(node.key.plain)
        elif node.key is not None:
            self.templates.append(node.key)


def check_wiring(block: Block, findings: Findings) -> None:
    """Report references to what is not there, joins of one branch and copies of one name.

    Of each reference only the first part is looked at, and only where it is no number and has no
    formula.
    """
    _body(block.body, [_Names()], findings)


def _body(body: Body, scopes: list[_Names], findings: Findings) -> None:
    own = scopes[-1]
    own.later |= {node.key.plain for node in body.nodes if node.key and node.key.plain}
    for node in body.nodes:
        _node(node, scopes, findings)
        own.add(node)


def _node(node: Node, scopes: list[_Names], findings: Findings) -> None:
    if node.from_ is not None:
        _reference(node.from_, scopes, findings)
    if node.repeat is not None:  # a turn may read what an earlier one named later in the text
        for body in bodies_beside(node):
            _foresee(body, scopes[-1])
    match node.call:
        case Group(body, inline):
            _body(body, scopes if inline else [*scopes, _Names()], findings)
        case Join(kind, branches, span):
            if len(branches) < 2:
                findings.error("wrong-type", f"`{kind}` needs at least 2 branches", span)
            for branch in branches:
                if isinstance(branch, Body):
                    _body(branch, scopes, findings)
                else:
                    _reference(branch, scopes, findings)
        case Share(ref):
            _reference(ref, scopes, findings)
    repeat = node.repeat
    copies = repeat.times.value if repeat and isinstance(repeat.times, Data) else 0
    named = isinstance(node.call, KindCall) or (
        isinstance(node.call, Group) and not node.call.inline
    )
    if named and node.key and node.key.plain and isinstance(copies, int) and copies > 1:
        message, hint = hints.copies_words(node.key.plain)
        findings.error("duplicate-name", message, node.key.span, hint)


def _foresee(body: Body, names: _Names) -> None:
    for node in body.nodes:
        names.add(node)
        for inner in bodies_beside(node):
            _foresee(inner, names)


def _reference(ref: Template, scopes: list[_Names], findings: Findings) -> None:
    if ref.plain is None:
        return
    first = ref.plain.partition(".")[0]
    if first.isdecimal() or any(names.may_have(first) for names in scopes):
        return
    hint: str | None
    if any(first in names.later for names in scopes):
        message, hint = hints.later_words(first)
    else:
        message = f"no value named `{first}` before this"
        known = [name for names in reversed(scopes) for name in names.plain]
        hint = hints.suggestion(first, known, "a block sees its own values only:")
    findings.error("unknown-reference", message, ref.span, hint)
