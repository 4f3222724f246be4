"""Bodies, their nodes and what the nodes call: the recursion over the nesting of the text."""

from __future__ import annotations

from netspec import trace
from netspec.diagnostics import Note, Span
from netspec.evaluate import UNKNOWN, Unknown
from netspec.graph import Value
from netspec.ops import Op
from netspec.resolve.calls import add_lets, block_args, called, op_args, param_values
from netspec.resolve.frames import NEST_LIMIT, Binding, Chain, Failed, Frame, Place, Scope
from netspec.resolve.names import bind_unknown, own_name, refuse_taken
from netspec.resolve.nodes import add_node, share_weights
from netspec.resolve.references import lookup
from netspec.resolve.repeats import turns
from netspec.resolve.values import affordable, argument, condition, expand
from netspec.syntax import Block, Body, Broken, Call, Group, Join, KindCall, Node, Share, Template


def resolve_body(body: Body, place: Place) -> trace.BodyRun:
    """Resolve the children one after the other; Failed, after all, if a part is unknown."""
    frame, scope = place.frame, place.scope
    if frame.depth > NEST_LIMIT:
        message = f"blocks and groups are nested deeper than {NEST_LIMIT}"
        frame.error("too-deep", message, body.span)
        raise Failed
    scope.body = scope.body or body
    current = place.current
    runs: list[trace.NodeRun] = []
    whole = True
    for node in body.nodes:
        here = Place(frame, scope, current, place.prefix)
        copies = _copies(node, body.named, here)
        if copies is None:
            whole, current = False, UNKNOWN
            continue
        if copies:
            current = copies[-1].result
        runs.append(trace.NodeRun(node, tuple(copies)))
    if not whole or not isinstance(current, Value):
        raise Failed
    start = place.current if isinstance(place.current, Value) else None
    return trace.BodyRun(body, start, tuple(runs), current)


def _copies(node: Node, named: bool, place: Place) -> list[trace.CopyRun] | None:
    """All copies of a node; None after a report. The name it leaves is bound either way."""
    frame, scope, current = place.frame, place.scope, place.current
    try:
        if node.from_ is not None:
            current = lookup(node.from_, place).value
        copies = []
        for index, names in enumerate(turns(node.repeat, frame)):
            inner = frame.with_names(names) if names else frame
            copy = _copy(node, named, index, Place(inner, scope, current, place.prefix))
            copies.append(copy)
            current = copy.result
    except Failed:
        bind_unknown(node, scope)
        if not named:
            scope.numbers += 1
        return None
    if node.from_ is not None and len(copies) > 1:
        results = tuple(copy.result for copy in copies if copy.call is not None)
        frame.state.chains.append(Chain(results, expand(node.from_, frame), node.from_.span))
    if not copies and node.key is not None and node.key.plain and isinstance(current, Value):
        scope.names[node.key.plain] = Binding(current)
    return copies


def _copy(node: Node, named: bool, index: int, place: Place) -> trace.CopyRun:
    """Resolve one copy and bind its name."""
    frame, scope = place.frame, place.scope
    if isinstance(node.call, Broken):
        raise Failed
    frame.count(1, node.span)
    if not affordable(len(frame.env) // 16, node.span, frame):
        raise Failed
    if node.when is not None and not condition(node.when, frame):
        return _absent(node, index, place)
    name = own_name(node, named, place)
    if name:
        refuse_taken(name, node, index, place)
    path = f"{place.prefix}{name}"
    group: Scope | None = None
    if isinstance(node.call, Group):
        group = scope if node.call.inline else Scope(scope)
    try:
        call, result = _call(node.call, group or scope, place, path)
    except Failed:
        if name and group is not None and group is not scope:
            scope.names[name] = Binding(UNKNOWN, group=group)
        raise
    if name and index == 0 and isinstance(node.call, Join):
        refuse_taken(name, node, index, place)  # by a child of a branch
    read = place.current if isinstance(place.current, Value) else None
    done = trace.CopyRun(node, name, path, frame.env, index, read, result, call)
    if name:
        scope.names[name] = Binding(result, done, group)
    return done


def _absent(node: Node, index: int, place: Place) -> trace.CopyRun:
    """`when` is false: the node stands for the value that it would have read."""
    current = place.read(node.span)
    name = expand(node.key, place.frame) if node.key is not None else ""
    path = f"{place.prefix}{name}"
    done = trace.CopyRun(node, name, path, place.frame.env, index, current, current, None)
    if name:
        refuse_taken(name, node, index, place)
        place.scope.names[name] = Binding(current, done)
    return done


def _call(call: Call, names: Scope, place: Place, path: str) -> tuple[trace.CallRun, Value]:
    """Resolve what a node calls; `names` are those of its children if it is a group."""
    match call:
        case KindCall():
            target = called(call, place.frame)
            if isinstance(target, Block):
                return _block_call(target, call, place, path)
            return _op_call(target, call, place, path)
        case Group(body, inline):
            prefix = place.prefix if inline else f"{path}."
            run = resolve_body(body, Place(place.frame.deeper(), names, place.current, prefix))
            return trace.GroupRun(run, inline), run.result
        case Join():
            return _join(call, place, path)
        case Share(ref):
            return _share(ref, place, path)
        case _:
            raise Failed


def _op_call(op: type[Op], call: KindCall, place: Place, path: str) -> tuple[trace.CallRun, Value]:
    values, places = op_args(op, call, place.frame)
    inputs = () if op.arity[1] == 0 else (place.read(call.span),)
    node = add_node(op, values, places, inputs, call.span, place.frame, path)
    return trace.OpRun(node), node.output


def _block_call(
    block: Block, call: KindCall, place: Place, path: str
) -> tuple[trace.CallRun, Value]:
    frame, current = place.frame, place.current
    state = frame.state
    if current is None:
        place.report_nothing(call.span)
    if state.findings.is_poisoned(block):
        for arg in call.args:  # whose own mistakes are told all the same
            argument(arg, frame)
        raise Failed
    named = block_args(block, call, frame)
    given = {a.name: (argument(a, frame), a.value.span) for a in named}
    callers = Frame(state, {}, None, {**block.scope, **frame.blocks}, 0, frame.trail)
    env = param_values(block, given, callers, call.span)
    unknown = any(isinstance(v, Unknown) for v in env.values())
    if unknown or not isinstance(current, Value):
        raise Failed
    trail = (*frame.trail[-6:], Note(f"in block `{block.name}`, used here", call.span))
    inner = Frame(state, env, current, block.scope, frame.depth + 1, trail)
    add_lets(block, inner)
    body = resolve_body(block.body, Place(inner, Scope(None), current, f"{path}."))
    return trace.BlockRun(block, env, tuple(given), current, body), body.result


def _join(call: Join, place: Place, path: str) -> tuple[trace.CallRun, Value]:
    branches = []
    failed = False
    for branch in call.branches:
        try:
            branches.append(_branch(branch, place))
        except Failed:
            failed = True
    if failed:
        raise Failed
    frame = place.frame
    inputs = tuple(branch.value for branch in branches)
    if path == place.prefix:  # it has no name
        path += f"{call.kind}@{len(frame.state.nodes)}"
    made = add_node(Op.registry[call.kind], {}, {}, inputs, call.span, frame, path)
    return trace.JoinRun(made, tuple(branches)), made.output


def _branch(branch: Template | Body, place: Place) -> trace.BranchRun:
    if isinstance(branch, Template):
        value = lookup(branch, place, branch=True).value
        if not isinstance(value, Value):
            raise Failed
        return trace.BranchRun(value, None)
    inner = Place(place.frame.deeper(), place.scope, place.current, place.prefix)
    run = resolve_body(branch, inner)
    return trace.BranchRun(run.result, run)


def _share(ref: Template, place: Place, path: str) -> tuple[trace.CallRun, Value]:
    """Apply an earlier node again, to another value, with the same parameters."""
    target = lookup(ref, place).copy
    current = place.read(ref.span)
    if target is None or not isinstance(target.call, (trace.OpRun, trace.BlockRun, trace.GroupRun)):
        message = "only an op, a block or a group that is there can be shared"
        place.frame.error("unknown-reference", message, ref.span)
        raise Failed
    call, result = _call_again(target, ref.span, place, path)
    again = trace.CopyRun(target.syntax, target.name, path, target.env, 0, current, result, call)
    return trace.ShareRun(target, again), result


def _call_again(
    target: trace.CopyRun, span: Span, place: Place, path: str
) -> tuple[trace.CallRun, Value]:
    """Resolve the target's call once more, then give its nodes the weights of the first."""
    frame, state = place.frame, place.frame.state
    first, keys = len(state.nodes), state.keys
    inner = Frame(state, target.env, frame.received, frame.blocks, frame.depth, frame.trail)
    call = target.syntax.call
    if isinstance(call, Group):
        call = Group(call.body, inline=False)
    state.keys = {}  # of parameters that will not be
    there = Place(inner, place.scope, place.current, place.prefix)
    try:
        done = _call(call, Scope(place.scope), there, path)
    finally:
        state.keys = keys
    share_weights(first, path, target.path, span, frame)
    return done
