"""The resolved tree: what each piece of syntax became, copy by copy. Source is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from netspec import graph, syntax
from netspec.types import TensorType


@dataclass(frozen=True, slots=True, eq=False)
class OpRun:
    """An op was applied. `args` are the node's own arguments, by name, with their values."""

    node: graph.Node
    args: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class BlockRun:
    """A block was applied. `env` holds its parameters and lets, `given` the names the call set."""

    block: syntax.Block
    env: dict[str, Any]
    given: tuple[str, ...]
    received: graph.Value
    body: BodyRun


@dataclass(frozen=True, slots=True, eq=False)
class GroupRun:
    body: BodyRun
    inline: bool


@dataclass(frozen=True, slots=True, eq=False)
class BranchRun:
    """One branch of a join: a body, or a reference to a value."""

    value: graph.Value
    body: BodyRun | None


@dataclass(frozen=True, slots=True, eq=False)
class JoinRun:
    node: graph.Node
    branches: tuple[BranchRun, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ShareRun:
    """An earlier copy was applied again, to `received`."""

    target: CopyRun
    again: CopyRun


CallRun: TypeAlias = OpRun | BlockRun | GroupRun | JoinRun | ShareRun


@dataclass(frozen=True, slots=True, eq=False)
class CopyRun:
    """One copy of a node. `call` is None where `when` left it out.

    `name` is the expanded key or number; empty for what adds no name. `env` holds the names in
    scope of formulas, loop names included.
    """

    syntax: syntax.Node
    name: str
    path: str
    env: dict[str, Any]
    index: int
    read: graph.Value | None
    result: graph.Value
    call: CallRun | None


@dataclass(frozen=True, slots=True, eq=False)
class NodeRun:
    """A node with all its copies; exactly one where it has no `repeat`."""

    syntax: syntax.Node
    copies: tuple[CopyRun, ...]


@dataclass(frozen=True, slots=True, eq=False)
class BodyRun:
    syntax: syntax.Body
    received: graph.Value | None
    nodes: tuple[NodeRun, ...]
    result: graph.Value


@dataclass(frozen=True, slots=True, eq=False)
class ModelRun:
    """The whole model. `fixed` are parameters that shape it beyond what its source can vary."""

    model: syntax.Model
    env: dict[str, Any]
    inputs: tuple[tuple[str, TensorType], ...]
    body: BodyRun
    defaults: dict[str, dict[str, Any]]
    variant: str | None
