"""What is known while a spec is resolved: of the model, of one use of a block, of one node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netspec import syntax, trace
from netspec.diagnostics import Findings, Note, Span
from netspec.evaluate import STEP_LIMIT, UNKNOWN, Steps, Unknown
from netspec.formula import Name
from netspec.graph import Node, Value
from netspec.record import record
from netspec.syntax import Arg, Block, Body, Model, Template
from netspec.types import TensorType

NODE_LIMIT = 200_000
ALL_NODES_LIMIT = 2_000_000  # of a file's variants together
ALL_STEPS_LIMIT = 50_000_000
NEST_LIMIT = 48
SIZE_LIMIT = 2**40  # elements of one tensor


class Failed(Exception):
    """This node cannot be resolved; the reason is reported."""


class Resolution:
    """What all of one model shares: its nodes so far, and what is left of its limits."""

    def __init__(self, model: Model, findings: Findings) -> None:
        self.model = model
        self.findings = findings
        share = 1 + len(model.variants)  # `netspec check` resolves them all
        self.limit = min(NODE_LIMIT, ALL_NODES_LIMIT // share)
        self.steps = Steps(min(STEP_LIMIT, ALL_STEPS_LIMIT // share))
        self.inputs: tuple[Value, ...] = ()
        self.nodes: list[Node] = []
        self.keys: dict[str, Span] = {}  # of parameters, and which node has each
        self.defaults: dict[str, dict[str, tuple[Any, Arg]]] = {}  # by op and attribute
        self.chains: list[Chain] = []
        self.copies = 0
        self.full = False


@record
class Chain:
    """Copies of a repeat with `from:`, each of which reads the one before."""

    results: tuple[Value, ...]
    read: str  # what the first copy reads, as a reference
    span: Span


@record
class Binding:
    """What a name of a value stands for."""

    value: Value | Unknown
    copy: trace.CopyRun | None = None  # what `share` applies again
    group: Scope | None = None  # what `name.inner` reaches into


@dataclass(slots=True, eq=False, repr=False)
class Scope:
    """Names of values in one body; groups look outwards, blocks do not."""

    outer: Scope | None
    names: dict[str, Binding] = field(default_factory=dict)
    numbers: int = 0
    body: Body | None = None  # where its names are written
    lost: list[Template] = field(default_factory=list)  # names of copies that failed

    def has_lost(self, name: str) -> bool:
        """Whether a copy that failed might have had this name."""
        return any(template.matches(name) for template in self.lost)


@record
class Frame:
    """One application of a block (or the model): what its formulas and nodes can see."""

    state: Resolution
    env: dict[str, Any]
    received: Value | Unknown | None  # None: a model with several inputs
    blocks: Mapping[str, Block]
    depth: int = 0
    trail: tuple[Note, ...] = ()
    turn: bool = False  # inside a repeat

    @property
    def input_type(self) -> TensorType | Unknown | None:
        return self.received.type if isinstance(self.received, Value) else self.received

    def with_names(self, names: dict[str, Any]) -> Frame:
        env = {**self.env, **names}
        return Frame(self.state, env, self.received, self.blocks, self.depth, self.trail, True)

    def forget(self, source: syntax.Value | None) -> None:
        """Take a name for unknown whose value is reported as wrong where it was used as it is."""
        if isinstance(source, syntax.Formula) and isinstance(source.expr, Name):
            self.env[source.expr.name] = UNKNOWN

    def deeper(self) -> Frame:
        depth = self.depth + 1
        turn = self.turn
        return Frame(self.state, self.env, self.received, self.blocks, depth, self.trail, turn)

    def error(
        self, code: str, message: str, span: Span | None, hint: str | None = None, *notes: Note
    ) -> None:
        """Report a mistake, and through which blocks it was reached."""
        notes = tuple(dict.fromkeys((*notes, *self.trail)))  # a kind can be a block in itself
        self.state.findings.error(code, message, span, hint, notes)

    def count(self, copies: int, span: Span) -> None:
        """Count copies of nodes; Failed once there are too many, which is reported once."""
        state = self.state
        state.copies += copies
        if state.copies > state.limit:
            if not state.full:
                message = f"the model has more than {state.limit:,} nodes"
                if state.limit < NODE_LIMIT:
                    message += f" in each of {len(state.model.variants):,} variants"
                self.error("too-large", message, span)
            state.full = True
            raise Failed


@record
class Place:
    """Where a node stands: what it sees, the names before it, the value that it would read."""

    frame: Frame
    scope: Scope
    current: Value | Unknown | None  # None: nothing yet, in a model with several inputs
    prefix: str  # of paths: empty, or a path and a point

    def read(self, span: Span) -> Value:
        """The current value; Failed if there is none."""
        if self.current is None:
            self.report_nothing(span)
        if not isinstance(self.current, Value):
            raise Failed
        return self.current

    def report_nothing(self, span: Span) -> None:
        names = ", ".join(f"`{i.name}`" for i in self.frame.state.model.inputs)
        message = "this node has nothing to read: the model has several inputs"
        self.frame.error("no-input", message, span, f"say `from:` one of {names}")
