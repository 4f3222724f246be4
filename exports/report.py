"""What a verification found: rows, a verdict, and all of it as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from netspec.exports.noise import THRESHOLD, Figures
from netspec.exports.same import BOUND, Difference

if TYPE_CHECKING:
    from netspec.exports.training import TrainingReport

SCHEMA = 4

AGREED = "agreed"
ROUNDED = "rounded"
DISAGREED = "disagreed"
FAILED = "failed"
NOT_RUN = "not run"
PASSED = (AGREED, ROUNDED)


@dataclass(frozen=True, slots=True)
class Row:
    """One subject on one runtime, held against the float64 reference.

    Per output, where they could be measured: `differences` where the question is whether the
    function is the same, `figures` where it is whether it rounds rightly. `reason` says why a row
    is not agreed; `detail` is the end of a failed worker's log. A status of `ROUNDED` is a finished
    file whose stored numbers are rounded, by no more than float32 does.
    """

    subject: str
    runtime: str
    status: str
    figures: Mapping[str, Figures] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    info: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    differences: Mapping[str, Difference] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What ran, and where: `torch export on onnxruntime`."""
        return f"{self.subject} on {self.runtime}"

    @property
    def ratio_rms(self) -> float | None:
        """The worst output's rms error over its predicted noise."""
        return max((f.ratio_rms for f in self.figures.values()), default=None)

    @property
    def ratio_max(self) -> float | None:
        return max((f.ratio_max for f in self.figures.values()), default=None)

    @property
    def relative(self) -> float | None:
        """The worst output's float64 difference over its largest value."""
        return max((d.relative for d in self.differences.values()), default=None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "runtime": self.runtime,
            "status": self.status,
            "reason": self.reason,
            "detail": self.detail,
            "info": self.info,
            "seconds": round(self.seconds, 3),
            "outputs": {
                name: found.to_dict() for name, found in (self.figures or self.differences).items()
            },
        }


@dataclass(frozen=True, slots=True)
class Blame:
    """The first node in topological order that departs from the reference, and how.

    `folded` are nodes before it whose values do not exist in what was run, because an exporter
    made one node of them and this one. `alone` says what the node does by itself, fed the
    reference's inputs. `files` are the one-node reproduction.
    """

    subject: str
    runtime: str
    node: str
    op: str
    where: str
    line: str
    folded: tuple[str, ...]
    index: tuple[int, ...]
    expected: float
    actual: float | None
    relative: float | None
    alone: str
    files: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; a number that is not finite is null, as one that is not there."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }

    def render(self) -> str:
        """The finding in a few lines."""
        lines = [f"blame: the {self.subject} on {self.runtime} departs at {self.node}"]
        lines += [f"  {self.where}: {self.line}", f"  {self.op}"]
        if self.folded:
            lines.append(f"  or at what is folded into one with it: {', '.join(self.folded)}")
        place = f"at {list(self.index)}, expected {self.expected:.17g}"
        if self.actual is None:
            lines.append(f"  {place}; it makes no value of this shape")
        else:
            lines.append(
                f"  {place}, found {self.actual:.17g}: "
                f"off by {self.relative or 0.0:.1e} of the largest value"
            )
        lines += [f"  {self.alone}"] if self.alone else []
        return "\n".join([*lines, f"  to reproduce: {' and '.join(self.files)}"])


@dataclass(frozen=True, slots=True)
class NodeError:
    """A node's largest error on one sample, and the largest that rounding was predicted to make."""

    max: float
    predicted_max: float

    @property
    def ratio(self) -> float:
        """The error in units of the prediction; infinite where nothing rounds, or at a NaN."""
        if self.max == 0.0:
            return 0.0
        measurable = math.isfinite(self.max) and self.predicted_max > 0.0
        return self.max / self.predicted_max if measurable else math.inf

    def to_dict(self) -> dict[str, float | None]:
        """For JSON; an error that is not finite is null."""
        return {
            "max": self.max if math.isfinite(self.max) else None,
            "predicted_max": self.predicted_max,
        }


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node of inference in topological order, as text, and its error in each run by its name.

    `inputs` are paths of nodes, or names of the network's inputs. None for an error: the run makes
    no such value, because it computes the node in one with those that read it.
    """

    path: str
    op: str
    inputs: tuple[str, ...]
    shape: str
    where: str
    errors: Mapping[str, NodeError | None]

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "op": self.op,
            "inputs": list(self.inputs),
            "shape": self.shape,
            "where": self.where,
            "errors": {name: e and e.to_dict() for name, e in self.errors.items()},
        }


@dataclass(frozen=True, slots=True)
class Report:
    """True if there is something to report, and everything that was asked for ran and agreed.

    `same` answers whether the function is the same, `rows` whether it rounds rightly, to within
    `bound` of the largest output and `limit` times the predicted noise; `blames` are the nodes
    where what disagreed departs. `nodes` and `training` are there if they were asked for. `command`
    repeats the run, on the same `versions` of the packages with the same result.
    """

    spec: str
    weights: str
    seed: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    same: tuple[Row, ...] = ()
    blames: tuple[Blame, ...] = ()
    nodes: tuple[NodeRow, ...] = ()
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    limit: float = THRESHOLD
    bound: float = BOUND
    training: TrainingReport | None = None

    def __bool__(self) -> bool:
        passed = all(row.status in PASSED for row in (*self.same, *self.rows))
        return bool(self.rows) and passed and (self.training is None or bool(self.training))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON; a ratio without bound is null."""
        return {
            "schema": SCHEMA,
            "spec": self.spec,
            "agreed": bool(self),
            "weights": self.weights,
            "seed": self.seed,
            "command": self.command,
            "versions": dict(self.versions),
            "threshold": self.limit,
            "bound": self.bound,
            "same": [row.to_dict() for row in self.same],
            "rows": [row.to_dict() for row in self.rows],
            "blames": [blame.to_dict() for blame in self.blames],
            "notes": list(self.notes),
            "nodes": [node.to_dict() for node in self.nodes],
            "training": None if self.training is None else self.training.to_dict(),
        }

    def render(self) -> str:
        """The report as aligned tables with the verdict below."""
        from netspec.exports.report_text import render

        return render(self)
