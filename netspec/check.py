"""Checks that need no values: names, arguments and cycles, in parts that no variant reaches too."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.checker import Checker
from netspec.data import check_data, has_formula
from netspec.diagnostics import Findings, Note, Span
from netspec.lazy import hints
from netspec.syntax import (
    Block,
    Body,
    Group,
    Join,
    KindCall,
    Let,
    Library,
    Model,
    ParamDecl,
)
from netspec.wiring import check_wiring


def check(model: Model, findings: Findings) -> None:
    """Report static mistakes of a model and of every block that it can reach."""
    _cycles(model.blocks, findings)
    variant_names(model, findings)
    used = set()
    top = Checker(model.blocks, findings)
    names = top.declared(model.params, model.lets)
    for declared in model.inputs:
        for size in declared.shape:
            top.value(size, names)
    for default in model.defaults:
        for arg in default.args:
            top.value(arg.value, names)
            top.attribute(default.kind, arg)
    top.body(model.body, names)
    taken = {declared.name for declared in model.inputs}
    for given in () if model.outputs else model.inputs:
        if given.name == "output":
            message = "`output` is the name of the model's one output"
            hint = "name the input otherwise, or the output under `outputs:`"
            findings.error("duplicate-name", message, given.span, hint)
    for output in model.outputs:
        if output.name in taken:  # a file of ONNX has one name for each of its values
            message = f"`{output.name}` is already the name of an input"
            findings.error("duplicate-name", message, output.span)
        top.template(output.ref, names)
        if output.when is not None:
            top.value(output.when, names)
    unused(model.params, model.lets, top.read, "this model", findings)
    kinds = {name: check_block(block, findings) for name, block in model.blocks.items()}
    used |= top.kinds.union(*(found - {name} for name, found in kinds.items()))
    choices = {str(c) for p in model.params if p.type == "kind" for c in p.choices}
    for variant in model.variants:  # whose tables may name blocks as well
        for arg in variant.sets:
            top.note_texts(arg.value)
    used |= choices | top.texts
    _unused_blocks(model, used, findings)
    reached = choices | top.texts | top.kinds
    pending = list(reached)
    while pending:
        more = kinds.get(pending.pop(), set()) - reached
        reached |= more
        pending += more
    for name in model.named_blocks:
        if name not in reached and name in model.blocks:
            check_wiring(model.blocks[name], findings)


def check_library(library: Library, findings: Findings) -> None:
    """Report static mistakes of every block of a library, as far as they show without a use."""
    _cycles(library.blocks, findings)
    for block in library.blocks.values():
        check_block(block, findings)
        check_wiring(block, findings)


def check_block(block: Block, findings: Findings) -> set[str]:
    """Report static mistakes inside a block; the kinds that it uses."""
    checker = Checker(block.scope, findings)
    checker.listed = "a block sees only what it names itself:"
    checker.nothing = "a block sees only its own params, lets and loops"
    names = checker.declared(block.params, block.lets)
    checker.body(block.body, names)
    unused(block.params, block.lets, checker.read, f"block `{block.name}`", findings)
    return checker.kinds | checker.texts


def variant_names(model: Model, findings: Findings) -> None:
    """Variants set parameters that exist, to values that they take."""
    known = {p.name: p for p in model.params}
    for variant in model.variants:
        for arg in variant.sets:
            if arg.name not in known:
                message = f"variant `{variant.name}` sets `{arg.name}`, which is no parameter"
                hint = hints.suggestion(arg.name, known, "parameters are")
                findings.error("unknown-attribute", message, arg.span, hint)
            elif has_formula(arg.value):
                message = "a variant sets parameters to data, not to formulas"
                findings.error("wrong-type", message, arg.value.span)
            else:
                check_data(known[arg.name], arg.value, model.blocks, findings)


def unused(
    params: Iterable[ParamDecl],
    lets: Iterable[Let],
    read: set[str],
    where: str,
    findings: Findings,
) -> None:
    """Warn of names that nothing reads, unless mistakes may be why."""
    for param in params:
        if param.name not in read and len(param.choices) != 1:
            message = f"nothing in {where} reads `{param.name}`"
            findings.late_warning("unused-name", message, param.span)
    for let in lets:
        if let.name not in read:
            message = f"nothing in {where} reads `{let.name}`"
            findings.late_warning("unused-name", message, let.span)


def _unused_blocks(model: Model, used: set[str], findings: Findings) -> None:
    for name, span in model.named_blocks.items():
        if name not in used:
            message = f"nothing uses block `{name}`"
            findings.late_warning("unused-name", message, span)


def _cycles(blocks: dict[str, Block], findings: Findings) -> None:
    """A block never contains itself; found without recursion over the depth of calls."""
    calls = {}
    pending = list(blocks.values())
    while pending:
        block = pending.pop()
        if id(block) in calls:
            continue
        kinds = [c for c in _calls(block.body) if isinstance(c.kind, str) and c.kind in block.scope]
        calls[id(block)] = [(block.scope[str(c.kind)], c.span) for c in kinds]
        pending += [callee for callee, _ in calls[id(block)]]
    done: set[int] = set()
    for start in blocks.values():
        _walk(start, calls, done, findings)


def _walk(
    start: Block, calls: dict[int, list[tuple[Block, Span]]], done: set[int], findings: Findings
) -> None:
    path: list[tuple[Block, int]] = [(start, 0)]
    while path:
        block, at = path.pop()
        if id(block) in done:
            continue
        if at == len(calls[id(block)]):
            done.add(id(block))
            continue
        path.append((block, at + 1))
        callee, span = calls[id(block)][at]
        inside = [b for b, _ in path]
        if callee in inside:
            chain = [*inside[inside.index(callee) :], callee]
            names = " > ".join(f"`{b.name}`" for b in chain)
            note = Note("it is defined here", callee.span)
            message = f"block `{callee.name}` contains itself: {names}"
            findings.error("block-cycle", message, span, None, (note,))
            for block in chain:
                findings.poison(block)
        elif id(callee) not in done:
            path.append((callee, 0))


def _calls(body: Body) -> Iterable[KindCall]:
    for node in body.nodes:
        call = node.call
        if isinstance(call, KindCall):
            yield call
        elif isinstance(call, Group):
            yield from _calls(call.body)
        elif isinstance(call, Join):
            for branch in call.branches:
                if isinstance(branch, Body):
                    yield from _calls(branch)
