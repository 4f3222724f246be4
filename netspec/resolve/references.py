"""What a reference to a value stands for."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.evaluate import Unknown
from netspec.lazy import hints
from netspec.ops import Op
from netspec.resolve.frames import Binding, Failed, Frame, Place, Scope
from netspec.resolve.values import expand
from netspec.syntax import Template
from netspec.trace import BlockRun


def lookup(ref: Template, place: Place, *, branch: bool = False) -> Binding:
    """What a reference stands for: earlier siblings, then outwards to the block's edge."""
    text = expand(ref, place.frame)
    first, *rest = text.split(".")
    if first == "input":
        return _input(ref, rest, place.frame)
    found = next((scope for scope in _outwards(place.scope) if first in scope.names), None)
    if found is None:
        if not any(scope.has_lost(first) for scope in _outwards(place.scope)):
            _report_unknown(first, ref, place, branch)
        raise Failed
    binding = found.names[first]
    for depth, name in enumerate(rest, start=1):
        if isinstance(binding.value, Unknown) and binding.group is None:
            raise Failed
        if binding.group is None or name not in binding.group.names:
            path = ".".join(text.split(".")[:depth])
            if binding.group is not None and binding.group.has_lost(name):
                raise Failed
            _report_missing_part(path, name, binding, ref, place.frame)
            raise Failed
        binding = binding.group.names[name]
    if isinstance(binding.value, Unknown):
        raise Failed
    return binding


def _outwards(scope: Scope | None) -> Iterator[Scope]:
    while scope is not None:
        yield scope
        scope = scope.outer


def _input(ref: Template, rest: list[str], frame: Frame) -> Binding:
    if rest:
        message = "`input` is a value and has no parts here"
        frame.error("unknown-reference", message, ref.span)
        raise Failed
    if frame.received is None:
        names = ", ".join(i.name for i in frame.state.model.inputs)
        message = "a model with several inputs has no single `input`"
        frame.error("unknown-reference", message, ref.span, f"its inputs are {names}")
        raise Failed
    if isinstance(frame.received, Unknown):
        raise Failed
    return Binding(frame.received)


def _report_missing_part(
    path: str, name: str, binding: Binding, ref: Template, frame: Frame
) -> None:
    hint = hints.suggestion(name, binding.group.names, "it has") if binding.group else None
    if binding.copy is not None and binding.copy.call is None:
        message = f"`{path}` is left out here by its `when`, so it has no `{name}`"
    elif binding.group is None:
        message = f"`{path}` is not a group, so it has no `{name}`"
        if binding.copy is not None and isinstance(binding.copy.call, BlockRun):
            hint = "nothing reaches into a block: what is read of it is its last value"
    else:
        message = f"group `{path}` has no `{name}` before this"
    frame.error("unknown-reference", message, ref.span, hint)


def _report_unknown(name: str, ref: Template, place: Place, branch: bool) -> None:
    known = [key for scope in _outwards(place.scope) for key in scope.names]
    message = f"no value named `{name}` before this"
    hint: str | None
    if _comes_later(name, place.scope):
        message, hint = hints.later_words(name)
    elif name in Op.registry:
        hint = f"`{name}` is an op, and a value's name belongs here"
        if branch:
            hint = f"`{name}` is an op; as a branch write {{name: {name}}}"
    else:
        listed = (
            "a block sees its own values only:" if place.frame.trail else "values before it are"
        )
        hint = hints.suggestion(name, [*known, "input"], listed)
        if groups := [key for key, inside in _groups(place.scope) if name in inside.names]:
            hint = f"did you mean `{groups[0]}.{name}`?"
    place.frame.error("unknown-reference", message, ref.span, hint)


def _groups(scope: Scope) -> Iterator[tuple[str, Scope]]:
    for at in _outwards(scope):
        for key, binding in at.names.items():
            if binding.group is not None:
                yield key, binding.group


def _comes_later(name: str, scope: Scope) -> bool:
    bodies = [at.body for at in _outwards(scope) if at.body is not None]
    return any(n.key is not None and n.key.plain == name for body in bodies for n in body.nodes)
