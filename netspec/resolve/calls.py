"""What a call names, and the arguments that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.diagnostics import Span
from netspec.evaluate import UNKNOWN, Unknown
from netspec.lazy import hints
from netspec.ops import Op
from netspec.resolve.frames import Failed, Frame
from netspec.resolve.values import argument, plain_value
from netspec.syntax import KEYWORDS, Arg, Block, KindCall, ListValue, Model, ParamDecl, Value
from netspec.values import KindName, ValueProblem, attribute_value, param_value


def called(call: KindCall, frame: Frame) -> Block | type[Op]:
    """The block or op that a call names, by itself or by a formula."""
    kind = _kind(call, frame)
    block = kind.block if isinstance(kind, KindName) else None
    block = block or frame.blocks.get(kind)
    if block is not None:
        return block
    op = Op.registry.get(kind)
    if op is None:
        if frame.state.findings.is_poisoned(frame.blocks):
            raise Failed  # blocks of this file could not be read
        hint = hints.op_hint(kind, [*frame.blocks, *Op.registry, *KEYWORDS])
        frame.error("unknown-op", f"unknown op or block `{kind}`", call.span, hint)
        raise Failed
    if op.join:
        frame.error("wrong-type", f"`{kind}` joins branches", call.span, f"write `{kind}: [a, b]`")
        raise Failed
    return op


def _kind(call: KindCall, frame: Frame) -> str:
    if isinstance(call.kind, str):
        return call.kind
    kind = plain_value(call.kind, frame)
    if isinstance(kind, Unknown):
        raise Failed
    if not isinstance(kind, str):
        message = f"an op or a block must be named here, not {hints.show(kind)}"
        frame.error("wrong-type", message, call.span)
        raise Failed
    return kind


def block_args(block: Block, call: KindCall, frame: Frame) -> list[Arg]:
    """The call's arguments by name; a scalar belongs to the one required parameter."""
    known = [p.name for p in block.params]
    required = [p.name for p in block.params if p.default is None]
    named = []
    for arg in call.args:
        if not arg.name and isinstance(arg.value, ListValue):
            raise Failed  # reported by the check
        if not arg.name and len(required) != 1:
            needs = ", ".join(f"`{r}`" for r in required) or "nothing"
            message = f"`{block.name}` takes arguments by name: it needs {needs}"
            frame.error("wrong-type", message, arg.span)
            raise Failed
        if arg.name and arg.name not in known:
            message = f"block `{block.name}` has no parameter `{arg.name}`"
            hint = hints.attribute_hint(arg.name, known)
            frame.error("unknown-attribute", message, arg.span, hint)
            raise Failed
        named.append(arg if arg.name else Arg(required[0], arg.value, arg.span))
    return named


def param_values(
    owner: Model | Block,
    given: Mapping[str, tuple[Any, Span | None]],
    frame: Frame,
    span: Span,
) -> dict[str, Any]:
    """Values of the parameters of a block or the model: as given, or their defaults, checked."""
    env: dict[str, Any] = {}
    missing = [p for p in owner.params if p.name not in given and p.default is None]
    if isinstance(owner, Model):
        for param in missing:
            message, hint = f"`{owner.name}` needs `{param.name}`", _how_to_set(param, owner)
            frame.error("missing-argument", message, param.span, hint)
    elif missing:
        message, hint = hints.missing_words(owner.name, [p.name for p in missing])
        frame.error("missing-argument", message, span, hint)
    for param in owner.params:
        where: Span | None = span
        if param.name in given:
            value, where = given[param.name]
        elif param.default is not None:
            value = plain_value(param.default, frame)
            where = param.default.span
        else:
            value = UNKNOWN
        if frame.state.findings.is_poisoned(param):
            value = UNKNOWN
        if not isinstance(value, Unknown):
            try:
                value = param_value(param, value, frame.blocks)
            except ValueProblem as problem:
                frame.error("wrong-type", problem.message, where, problem.hint)
                value = UNKNOWN
        env[param.name] = value
    return env


def _how_to_set(param: ParamDecl, model: Model) -> str:
    setters = [v for v in model.variants if any(a.name == param.name for a in v.sets)]
    if setters:
        return f"a variant sets it: {', '.join(v.name for v in setters[:12])}"
    return f"set it (`--set {param.name}=...`), or give it a default"


def add_lets(owner: Model | Block, frame: Frame) -> None:
    """Evaluate `let`, in order, into the frame's names."""
    for let in owner.lets:
        frame.env[let.name] = plain_value(let.value, frame)


def op_args(op: type[Op], call: KindCall, frame: Frame) -> tuple[dict[str, Any], dict[str, Span]]:
    """Attribute values from the model's defaults and the node, checked, and their places."""
    required = [n for n, a in op.attributes.items() if a.required]
    values: dict[str, Any] = {}
    places: dict[str, Span] = {}
    sources: dict[str, Value] = {}
    bad = False
    for name, (value, arg) in frame.state.defaults.get(op.kind, {}).items():
        values[name], places[name] = value, arg.value.span
    for arg in call.args:
        name = arg.name or (required[0] if len(required) == 1 else "")
        if name in op.attributes:
            values[name], places[name] = argument(arg, frame), arg.value.span
            sources[name] = arg.value
            continue
        _report_no_attribute(name, op, arg, frame)
        bad = True
    missing = [n for n in required if n not in values]
    if missing and not bad:
        message, add = hints.missing_words(op.kind, missing)
        frame.error("missing-argument", message, call.span, add)
        bad = True
    for name, value in values.items():
        if isinstance(value, Unknown):
            bad = True
            continue
        try:
            values[name] = attribute_value(op.attributes[name], value)
        except ValueProblem as problem:
            hint = problem.hint
            if isinstance(value, str):
                hint = hint or hints.text_hint(value, "", frame.env)
            frame.error("wrong-type", problem.message, places[name], hint)
            frame.forget(sources.get(name))
            bad = True
            continue
        _warn_of_doubt(op, name, value, places[name], frame)
    if bad:
        raise Failed
    return values, places


def _warn_of_doubt(op: type[Op], name: str, value: Any, span: Span, frame: Frame) -> None:
    attribute = op.attributes[name]
    if attribute.doubt and value > attribute.doubt[0]:
        message = f"`{name}` is the {attribute.doc}, and {value:g} is much"
        frame.state.findings.warning("doubtful-value", message, span, attribute.doubt[1])


def _report_no_attribute(name: str, op: type[Op], arg: Arg, frame: Frame) -> None:
    if name:
        message = f"`{op.kind}` has no attribute `{name}`"
        hint = hints.attribute_hint(name, op.attributes)
        frame.error("unknown-attribute", message, arg.span, hint)
    elif not isinstance(arg.value, ListValue):  # reported by the check
        message = f"`{op.kind}` takes arguments by name"
        frame.error("wrong-type", message, arg.span)
