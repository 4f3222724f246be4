"""The plan of generated source: routines (one per block), steps and loops, free of any framework.

A routine's code serves every copy of its block, and a loop's body every turn. Each such copy is a
*lane*. What differs between lanes must be an expression over the names in scope. Where it cannot
be one, `Split` says which lanes differ, and the plan is made again with the loop written out or
the block written twice (`backends.source.program`). With one lane everything is a number, so this
ends, and every spec has source.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from netspec import syntax
from netspec.backends.source.symbols import IN_CHANNELS
from netspec.formula import Expr
from netspec.graph import Node
from netspec.types import TensorType


class Split(Exception):
    """Lanes differ where the code must be one; `values` says how, per lane of `context`."""

    def __init__(self, context: Context, values: Sequence[Hashable]) -> None:
        super().__init__("lanes differ")
        self.context = context
        self.values = list(values)


class Unroll(Exception):
    """A loop cannot be written as a loop."""

    def __init__(self, loop: syntax.Node) -> None:
        super().__init__("loop written out")
        self.loop = loop


class Carry(Exception):
    """A loop's channels are the same now, but not for other parameters: they need a variable."""

    def __init__(self, loop: syntax.Node) -> None:
        super().__init__("channels carried along")
        self.loop = loop


@dataclass(slots=True, eq=False)
class Context:
    """A stretch of code with its lanes: names and values of each copy that the code serves.

    `up` maps a lane to its lane in `outer`. `loop` is the repeat whose turns these lanes are;
    `turn` marks one turn of a repeat that is written out, whose lanes are those of `outer`.
    `running` holds the values of variables for channels that loops carry along. `condition` holds
    in these lanes and, of those around, in no others. `makers` are names of the loop's columns for
    which code has what makes an op.
    """

    envs: list[dict[str, Any]]
    outer: Context | None = None
    up: list[int] = field(default_factory=list)
    loop: syntax.Node | None = None
    running: dict[str, list[int]] = field(default_factory=dict)
    turn: bool = False
    condition: Expr | None = None
    makers: set[str] = field(default_factory=set)

    def instance(self, lane: int) -> int:
        """The copy of the routine that a lane belongs to."""
        at: Context = self
        while at.outer is not None:
            lane, at = at.up[lane], at.outer
        return lane

    def lift(self, context: Context, values: Sequence[Any]) -> list[Any]:
        """Values per lane of an outer context, per lane of this one."""
        lanes = list(range(len(self.envs)))
        at: Context = self
        context, at_home = context.home(), self.home()
        while at_home is not context:
            if at.outer is None:
                raise LookupError("a value of another place")
            lanes = [at.up[lane] for lane in lanes]
            at = at.outer
            at_home = at.home()
        return [values[lane] for lane in lanes]

    def home(self) -> Context:
        """The context whose lanes these are: a turn written out has those around it."""
        at: Context = self
        while at.turn and at.outer is not None:
            at = at.outer
        return at

    def variable(self, name: str) -> list[int]:
        """The values of a running variable, per lane."""
        at: Context | None = self
        while at is not None:
            if name in at.running:
                return self.lift(at, at.running[name])
            at = at.outer
        raise LookupError(name)

    def all_equal(self, values: Sequence[Any]) -> bool:
        return all(value == values[0] for value in values)


@dataclass(slots=True, eq=False)
class Val:
    """A value in a routine. `channels` is an expression for its channels, `export` one that also
    holds outside the loop that made it. Both take the names in `given` as they are now. `sizes`
    are the names that decide its spatial axes."""

    serial: int
    context: Context
    types: list[TensorType]
    channels: Expr | None
    export: Expr | None
    step: Step | Loop | None  # None: received
    label: str = ""
    given: set[str] = field(default_factory=set)
    sizes: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Key:
    """A child's name: text and formulas in turn."""

    parts: tuple[str | Expr, ...]

    @property
    def text(self) -> str | None:
        if all(isinstance(part, str) for part in self.parts):
            return "".join(part for part in self.parts if isinstance(part, str))
        return None


@dataclass(slots=True, eq=False)
class OpWhat:
    node: Node  # of the first lane
    nodes: list[Node]
    args: dict[str, syntax.Value]


@dataclass(slots=True, eq=False)
class KindWhat:
    """A call of the op that a parameter or a loop's column names, where copies name different ones.

    `calls` has an op for each kind, with the context of the copies that name it; `kinds` says
    which, per lane. Code takes what makes the op as an argument; where it cannot, it raises
    `Split` with the kinds.
    """

    param: str
    calls: dict[str, tuple[OpWhat, Context]]
    kinds: list[str]


@dataclass(slots=True, eq=False)
class CallWhat:
    """A block applied: the routine, and expressions for the parameters that the spec sets."""

    routine: Routine
    args: dict[str, Expr]
    arg_values: dict[str, syntax.Value]


@dataclass(slots=True, eq=False)
class GroupWhat:
    items: list[Item]
    result: Val
    inline: bool
    named: bool
    scope: Scope
    names: set[int]  # serials of values that its body reads by name


@dataclass(slots=True, eq=False)
class Branch:
    value: Val
    items: list[Item]


@dataclass(slots=True, eq=False)
class JoinWhat:
    node: Node
    nodes: list[Node]
    branches: list[Branch]


@dataclass(slots=True, eq=False)
class ShareWhat:
    target: Step
    paths: list[str]  # of the new application, per lane


What: TypeAlias = OpWhat | KindWhat | CallWhat | GroupWhat | JoinWhat | ShareWhat


@dataclass(slots=True, eq=False)
class Step:
    """One node of a body. `condition` is an expression where only some lanes have it."""

    syntax: syntax.Node
    key: Key | None
    numbers: list[str]
    condition: Expr | None
    inner: Context
    read: Val | None
    what: What
    training: bool
    result: Val | None = None
    names: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Loop:
    """A repeat. `variable` is the running variable of its channels, `fresh` if it starts here."""

    syntax: syntax.Node
    times: Expr | None
    each: Expr | None
    names: tuple[str, ...]
    unpack: bool
    index: str
    inner: Context
    start: Val
    carried: Val
    items: list[Item]
    last: Val
    variable: str | None
    fresh: bool
    begin: Expr | None
    update: Expr | None
    result: Val | None = None
    training: bool = False


Item: TypeAlias = Step | Loop


@dataclass(slots=True, eq=False)
class Scope:
    """Names of values, as the language looks them up. `hidden` are names that loops leave."""

    outer: Scope | None
    names: dict[str, tuple[Val, Step | None, Scope | None]] = field(default_factory=dict)
    hidden: dict[str, syntax.Node] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Routine:
    """A block (or the model, `block` None) as a class or function."""

    name: str
    block: syntax.Block | None
    params: tuple[syntax.ParamDecl, ...]
    lets: tuple[syntax.Let, ...]
    context: Context
    inputs: list[Val]
    items: list[Item]
    result: Val
    scope: Scope
    visible: set[str]
    outputs: list[tuple[str, Val, bool]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)  # names that code mentions
    frozen: set[str] = field(default_factory=set)  # names whose values shaped the code
    export: Expr | None = None
    export_needs: set[str] = field(default_factory=set)  # names that `export` takes as they are
    received: list[TensorType] = field(default_factory=list)
    shared: set[int] = field(default_factory=set)  # ids of steps that `share` applies again
    referenced: set[int] = field(default_factory=set)  # serials of values that are read by name
    spelt_as: dict[str, str] = field(default_factory=dict)  # variables that share another's name
    # parameters that name an op, in other copies another: the ops that code makes there
    open: dict[str, set[str]] = field(default_factory=dict)
    kinds: dict[str, dict[str, str]] = field(default_factory=dict)  # code by open parameter and op
    # the same by the id of a loop's node and the name of its column
    columns: dict[tuple[int, str], dict[str, str]] = field(default_factory=dict)
    sized: bool = False  # whether code of the backend that writes it needs the sizes of maps
    formulas: Any = None
    names: Any = None  # set by the backend that writes it
    doc: str = ""
    model_named: bool = True

    @property
    def uses_input(self) -> bool:
        """Whether code mentions the channels of what the block receives."""
        return IN_CHANNELS in self.used


def all_items(items: list[Item]) -> list[Item]:
    """Items with everything inside them."""
    found: list[Item] = []
    for item in items:
        found.append(item)
        if isinstance(item, Loop):
            found += all_items(item.items)
        elif isinstance(item.what, GroupWhat):
            found += all_items(item.what.items)
        elif isinstance(item.what, JoinWhat):
            for branch in item.what.branches:
                found += all_items(branch.items)
    return found


def same_everywhere(step: Step) -> None:
    """Refuse a step that only some lanes have, where code cannot leave it out.

    Raises:
        Split: it is such a step.
    """
    if step.condition is not None:
        outer = step.inner.outer
        assert outer is not None
        raise Split(outer, [lane in step.inner.up for lane in range(len(outer.envs))])
