"""The resolved tree: what each piece of syntax became, copy by copy. Source is made from it."""

from __future__ import annotations

from typing import Any, TypeAlias

from netspec import graph, syntax
from netspec.record import record
from netspec.types import TensorType


@record
class OpRun:
    """An op was applied."""

    node: graph.Node


@record
class BlockRun:
    """A block was applied. `env` holds its parameters and lets, `given` the names the call set."""

    block: syntax.Block
    env: dict[str, Any]
    given: tuple[str, ...]
    received: graph.Value
    body: BodyRun


@record
class GroupRun:
    body: BodyRun
    inline: bool


@record
class BranchRun:
    """One branch of a join: a body, or a reference to a value."""

    value: graph.Value
    body: BodyRun | None


@record
class JoinRun:
    node: graph.Node
    branches: tuple[BranchRun, ...]


@record
class ShareRun:
    """An earlier copy was applied again, to `received`."""

    target: CopyRun
    again: CopyRun


CallRun: TypeAlias = OpRun | BlockRun | GroupRun | JoinRun | ShareRun


@record
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


@record
class NodeRun:
    """A node with all its copies; exactly one where it has no `repeat`."""

    syntax: syntax.Node
    copies: tuple[CopyRun, ...]


@record
class BodyRun:
    syntax: syntax.Body
    received: graph.Value | None
    nodes: tuple[NodeRun, ...]
    result: graph.Value


@record
class ModelRun:
    """The whole model: its names, inputs, defaults by op, and the variant it was resolved for."""

    model: syntax.Model
    env: dict[str, Any]
    inputs: tuple[tuple[str, TensorType], ...]
    body: BodyRun
    defaults: dict[str, dict[str, Any]]
    variant: str | None
