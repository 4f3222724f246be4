"""The names that nodes give to values in their body."""

from __future__ import annotations

from netspec.diagnostics import Note, Span
from netspec.evaluate import UNKNOWN
from netspec.lazy import hints
from netspec.resolve.frames import Binding, Failed, Place, Scope
from netspec.resolve.values import expand
from netspec.syntax import Group, KindCall, Node, bodies_beside


def own_name(node: Node, named: bool, place: Place) -> str:
    """The expanded key, or the next number in a list; inline children count for themselves."""
    if node.key is not None:
        return expand(node.key, place.frame)
    if named or (isinstance(node.call, Group) and node.call.inline):
        return ""
    number = place.scope.numbers
    place.scope.numbers += 1
    return str(number)


def refuse_taken(name: str, node: Node, index: int, place: Place) -> None:
    """Refuse a name that is taken; copies of what adds no path may name one value anew."""
    adds_path = isinstance(node.call, KindCall) or (
        isinstance(node.call, Group) and not node.call.inline
    )
    if name in place.scope.names and (adds_path or index == 0):
        span = _named_at(node)
        other = place.scope.names[name].copy
        if index > 0 or (other is not None and other.syntax is node):
            message, hint = hints.copies_words(name)
        else:
            message, hint = f"`{name}` is already the name of a value here", ""
        notes = []
        if not hint and other is not None:
            notes.append(Note("the other is here", _named_at(other.syntax)))
        place.frame.error("duplicate-name", message, span, hint or None, *notes)
        raise Failed


def _named_at(node: Node) -> Span:
    return node.key.span if node.key else node.span


def bind_unknown(node: Node, scope: Scope) -> None:
    """Bind what a failed node would have left, so that reading it is no second mistake."""
    if node.key is not None:
        if node.key.plain:
            scope.names.setdefault(node.key.plain, Binding(UNKNOWN))
        else:
            scope.lost.append(node.key)
    for body in bodies_beside(node):
        for child in body.nodes:
            bind_unknown(child, scope)
