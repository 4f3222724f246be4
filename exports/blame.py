"""Which node departs: a running network's values, matched with the reference's.

A value is recognised by what it holds, whatever it is called and in whichever layout, so one search
serves torch, Keras and every ONNX file. A node is *found* if what the reference makes of the values
before it, as the network itself has them, is there: errors do not add up along the way. It is
*explained* if it is found, or if all that read it are explained: then a value that an exporter
folded away was right. One that is *near* was not folded away: it is there, a little more off than
it may be. The first node that is not explained departs, since all before it are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.finished import Sight, worst_sight
from netspec.exports.noise import THRESHOLD, Noise
from netspec.exports.report import FAILED, ROUNDED, Blame
from netspec.exports.reproduce import run_alone, write_reproduction
from netspec.exports.same import BOUND
from netspec.exports.worker import UnavailableError, WorkerError
from netspec.graph import Graph, Node, Value
from netspec.reference import evaluate, node_weights

if TYPE_CHECKING:
    from netspec.exports.bench import Bench, Outcome

Array = NDArray[Any]
PROBES = 16  # places that are compared before all are
DRAWS = 8  # of the noise: a single number's bound must not be small by chance
NEAR = 1e-3  # of a value's largest number: what is no farther off, and no other value, is meant


@dataclass(frozen=True, slots=True)
class Departure:
    """A node that is not explained, and the nodes folded into one with it, first to last."""

    node: Node
    folded: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """The reference's value of every node, made of the network's own values before it.

    `bounds` is how far off each may be; `values` are the network's own where they were found, else
    the reference's; `found` are the paths of nodes whose values are there, `loose` those of them
    that are there in another shape or layout alone. `near` are paths of other nodes: of these a
    value is there that is no other node's, off by more than its bound, yet by little.
    """

    truth: dict[Value, Array]
    bounds: dict[Value, float]
    values: dict[Value, Array]
    found: set[str]
    loose: set[str]
    near: set[str]


def find_blame(bench: Bench, outcome: Outcome, target: Path) -> Blame | Sight | None:
    """Run a task again with its values recorded, and name the first node that departs.

    Of a file whose numbers are rounded, where every value is found or explained: what cannot be
    seen in it. Else it is the node of the first output that is not returned as it is. None where
    the runtime records nothing, or all is right when it runs again.
    """
    task = outcome.task
    assert task is not None
    values = record(bench, outcome)
    if values is None:
        return None
    kept = bench.kept if task.file and task.dtype == "float64" else frozenset[str]()
    matched = _matched(bench, outcome, values, kept)
    if outcome.row.status == FAILED and not matched.found:  # it never began
        return None
    folds = _folds(bench.graph, (outcome.arguments or {}).get("model"))
    # An evaluated file tells every value that it has; a runtime may keep some to itself.
    near = matched.near if task.dtype == "float64" and task.runtime.backend is None else set()
    departure = locate(bench.graph, matched.found, near=near, folds=folds, kept=kept)
    if departure is None and outcome.row.status == ROUNDED:
        return worst_sight(bench.graph, bench.tensors, matched)
    if departure is None:
        return _of_output(bench, outcome, matched, target)
    departure = laid_out(bench.graph, departure, matched, values)
    if outcome.row.status != FAILED:  # else what comes after was never made
        departure = between(bench.graph, bench.tensors, departure, matched, values)
    actual = values.nearest(matched.truth[departure.node.output])
    return _describe(bench, outcome, departure, matched, actual, target)


def _of_output(bench: Bench, outcome: Outcome, matched: Matched, target: Path) -> Blame | None:
    """The node of an output that is right inside the network, and not as it is returned."""
    assert outcome.task is not None
    assert outcome.arguments is not None
    sample = outcome.sample or 0
    with suppress(WorkerError, UnavailableError):
        results, _ = bench.run(outcome.task, outcome.arguments)
        made = {node.output: node for node in bench.graph.inference_nodes}
        for output in bench.graph.inference_outputs:
            expected, found = matched.truth.get(output.value), results.get(output.name)
            if expected is None:  # an input that is returned as it is
                continue
            actual = None if found is None else found[sample : sample + 1]
            if actual is not None and actual.shape != expected.shape:
                actual = None
            if actual is None or not _largest(actual - expected) <= matched.bounds[output.value]:
                departure = Departure(made[output.value], ())
                alone = f"inside the network it is right: what is returned as {output.name} is not"
                return _describe(bench, outcome, departure, matched, actual, target, alone)
    return None


def _matched(bench: Bench, outcome: Outcome, values: Values, kept: Collection[str]) -> Matched:
    """What a task recorded, followed on the sample that is most off."""
    assert outcome.task is not None
    noise = None
    if outcome.task.dtype != "float64":
        noise = Noise.of(bench.tensors, bench.seed, DRAWS)
    elif bench.is_finished(outcome.task):
        noise = Noise.of(bench.tensors, bench.seed, DRAWS, stored=True, kept=kept)
    sample = outcome.sample or 0
    given = {
        value: bench.inputs[value.name][sample : sample + 1].astype(np.float64)
        for value in bench.graph.inputs
    }
    return match(bench.graph, bench.tensors, given, values, noise)


def _folds(graph: Graph, model: str | None) -> bool:
    """Whether what ran is a file with fewer batch norms than the network has."""
    if model is None:
        return False
    import onnx

    nodes = onnx.load(model, load_external_data=False).graph.node
    kept = sum(node.op_type == "BatchNormalization" for node in nodes)
    return bool(kept < sum(n.op.kind == "batch_norm" for n in graph.inference_nodes))


def record(bench: Bench, outcome: Outcome) -> Values | None:
    """What a task's network holds inside on the sample that is most off; None if nothing is told.

    What a run in float64 tells is all of it, even if nothing.
    """
    assert outcome.task is not None
    arrays = bench.record(outcome, outcome.sample or 0)
    told = arrays or (arrays is not None and outcome.task.dtype == "float64")
    return Values(arrays or {}) if told else None


def match(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[Value, Array],
    values: Values,
    noise: Noise | None = None,
) -> Matched:
    """Follow the network through its own values of one sample `(1, channels, *spatial)`.

    Where a node's value is found, the network's stands for the reference's from there on. It may be
    off by what rounding explains since the values found before it: by `noise`, or without it by
    what the order of sums does in float64.
    """
    matched = Matched({}, {}, dict(inputs), set(), set(), set())

    def after(node: Node, given: tuple[Array, ...], output: Array) -> Array:
        copies = noise.inject(node, given, output) if noise else output
        truth = copies[:1]
        bound = BOUND * _largest(truth)
        if noise:
            bound = max(bound, THRESHOLD * _largest(copies - truth))
        matched.truth[node.output], matched.bounds[node.output] = truth, bound
        found = values.find(truth, bound)
        matched.values[node.output] = truth if found is None else found
        if found is None:
            return copies
        matched.found.add(node.path)
        if not values.has_shape(truth, bound):
            matched.loose.add(node.path)
        return np.repeat(found.astype(np.float64), len(copies), axis=0)

    copies = noise.copies if noise else 1
    repeated = {value: np.repeat(x, copies, axis=0) for value, x in inputs.items()}
    evaluate(graph.inference_nodes, weights, repeated, after=after)
    matched.near.update(_near(graph, matched, values))
    return matched


def _near(graph: Graph, matched: Matched, values: Values) -> Iterator[str]:
    """The paths of nodes of which a value is there that is near, and is not another node's."""
    known = [n.output for n in graph.inference_nodes if n.path in matched.found]
    of_others = [(matched.truth[value], matched.bounds[value]) for value in known]
    for node in graph.inference_nodes:
        truth = matched.truth[node.output]
        if node.path not in matched.found and values.has_near(truth, of_others):
            yield node.path


def locate(
    graph: Graph,
    found: Collection[str],
    *,
    near: Collection[str] = (),
    folds: bool = False,
    kept: Collection[str] = (),
) -> Departure | None:
    """The first node in topological order that is not explained, or None.

    `found` are the paths of nodes whose values are there. One that is not is explained if all that
    read it are, since it is computed in one with them; but not if it is `near`. With `folds`, a
    batch norm after it counts as folded into one with it; nodes that are `kept` are in no fold.
    """
    nodes = graph.inference_nodes
    readers: dict[Value, list[Node]] = {}
    for node in nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node)
    outputs = {output.value for output in graph.inference_outputs}
    explained: dict[str, bool] = {}
    for node in reversed(nodes):
        after = readers.get(node.output, [])
        passed = node.output not in outputs and all(explained[r.path] for r in after)
        explained[node.path] = node.path in found or (passed and node.path not in near)
    first = next((node for node in nodes if not explained[node.path]), None)
    if first is None:
        return None
    # What is folded elsewhere in this network is folded here: the last of the chain can be seen.
    hidden = {n.op.kind for n in nodes if explained[n.path] and n.path not in found}
    chain = [first]
    while len(after := readers.get(chain[-1].output, [])) == 1:
        node = chain[-1]
        folded = not node.inputs or (node.op.kind in hidden and node.path not in near)
        folded = folded or (folds and after[0].op.kind == "batch_norm")
        if not folded or node.path in kept:
            break
        chain.append(after[0])
    return Departure(chain[-1], tuple(chain[:-1]))


def laid_out(graph: Graph, departure: Departure, matched: Matched, values: Values) -> Departure:
    """Step back to a node whose numbers are right and whose layout is not.

    Such a node is there in no other shape than one that its last step should have changed, while
    what it reads is there as it should be, and so is the shape of what departs.
    """
    made = {node.output: node for node in graph.inference_nodes}
    if values.has_other_shape(matched.truth[departure.node.output]):
        return departure
    for node in (made[value] for value in departure.node.inputs if value in made):
        inner = {made[value].path for value in node.inputs if value in made}
        if node.path in matched.loose and inner and inner <= matched.found - matched.loose:
            return Departure(node, ())
    return departure


def between(
    graph: Graph,
    weights: Mapping[str, Array],
    departure: Departure,
    matched: Matched,
    values: Values,
) -> Departure:
    """Widen a departure to a neighbour where what is wrong may as well stand between the two.

    A node that was never made and is not simply left out: it, or its reader that reads another
    value. A node that is right for a value that nothing else explains: it, or what made that value.
    """
    node = departure.node
    bound = matched.bounds[node.output]
    if departure.folded:
        return departure
    if next(values.unclaimed(matched.truth[node.output]), None) is None:
        readers = [n for n in graph.inference_nodes if node.output in n.inputs]
        if len(readers) != 1:
            return departure
        reader = readers[0]
        left_out = {**matched.values, node.output: matched.values[node.inputs[0]]}
        wrong = next(values.unclaimed(matched.truth[reader.output]), None) is not None
        if wrong and not _makes(reader, left_out, weights, values, matched.bounds[reader.output]):
            return Departure(reader, (node,))
        return departure
    for value in node.inputs:
        makers = _makers(graph, value, matched)
        for other in islice(values.unclaimed(matched.values[value]), PROBES):
            changed = {**matched.values, value: other}
            if makers and _makes(node, changed, weights, values, bound, unless=other):
                return Departure(node, makers)
    return departure


def _makers(graph: Graph, value: Value, matched: Matched) -> tuple[Node, ...]:
    """The nodes that may have made a value, in order: its own, before it one that left it as it is.

    None makes an input of the network.
    """
    makers: list[Node] = []
    while made := next((n for n in graph.inference_nodes if n.output is value), None):
        makers.insert(0, made)
        same = made.inputs and made.inputs[0].type.shape == value.type.shape
        if not same or not np.array_equal(matched.truth[value], matched.values[made.inputs[0]]):
            break
        value = made.inputs[0]
    return tuple(makers)


def _makes(
    node: Node,
    given: Mapping[Value, Array],
    weights: Mapping[str, Array],
    values: Values,
    bound: float,
    unless: Array | None = None,
) -> bool:
    """Whether the network holds what a node makes of these values, and that is not `unless`."""
    inputs = [np.asarray(given[value], np.float64) for value in node.inputs]
    if tuple(x.shape[1:] for x in inputs) != tuple(t.shape for t in node.input_types):
        return False
    output = node.op.reference(*inputs, **node_weights(node, weights))
    if unless is not None and unless.shape == output.shape and _largest(output - unless) <= bound:
        return False
    return values.find(output, bound) is not None


class Values:
    """Recorded values, found by what they hold. What was found once is claimed by that node."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._claimed: set[int] = set()
        self._by_size: dict[int, list[Array]] = {}
        for array in arrays.values():
            self._by_size.setdefault(array.size, []).append(array)

    def find(self, wanted: Array, bound: float) -> Array | None:
        """The value that is within the bound everywhere, and nearest; None if there is none."""
        step = max(1, wanted.size // PROBES)
        best, claimed = None, 0
        for number, found in self._fitting(wanted):
            error = np.abs(found.reshape(-1)[::step] - wanted.reshape(-1)[::step]).max(initial=0.0)
            if error <= bound and (off := _largest(found - wanted)) <= bound:
                best, bound, claimed = found, off, number
                if off == 0.0:
                    break
        if best is not None:
            self._claimed.add(claimed)
        return best

    def unclaimed(self, like: Array) -> Iterator[Array]:
        """The values that would fit in the place of this one and are not those of other nodes."""
        fitting = list(self._fitting(like))
        known = [found for number, found in fitting if number in self._claimed]
        for _, found in fitting:
            if not any(np.array_equal(found, other) for other in known):
                yield found

    def has_shape(self, wanted: Array, bound: float) -> bool:
        """Whether a value within the bound has the wanted shape without being laid out anew."""
        return any(
            array.shape == wanted.shape and _largest(array - wanted) <= bound
            for array in self._by_size.get(wanted.size, ())
        )

    def has_near(self, wanted: Array, others: Sequence[tuple[Array, float]]) -> bool:
        """Whether a value is within `NEAR` of the wanted one, and within no bound of others."""
        limit, step = NEAR * _largest(wanted), max(1, wanted.size // PROBES)
        return any(
            np.abs(found.reshape(-1)[::step] - wanted.reshape(-1)[::step]).max(initial=0.0) <= limit
            and _largest(found - wanted) <= limit
            and not any(
                _bare(other.shape) == _bare(found.shape)
                and _largest(found.reshape(other.shape) - other) <= bound
                for other, bound in others
            )
            for _, found in self._fitting(wanted)
        )

    def has_other_shape(self, like: Array) -> bool:
        """Whether values would fit in this one's place, and all of them laid out anew."""
        shapes = {a.shape for a in self._by_size.get(like.size, ()) if id(a) not in self._claimed}
        fitting = {s for s in shapes if sorted(_bare(s)) == sorted(_bare(like.shape))}
        return bool(fitting) and like.shape not in fitting

    def nearest(self, wanted: Array) -> Array | None:
        """The value that is least off, or None if none has this shape."""
        fitting = [
            (float(np.abs(f - wanted).mean()), n, f)
            for n, (_, f) in enumerate(self._fitting(wanted))
        ]
        return min(fitting, key=lambda item: (not item[0] >= 0, *item[:2]), default=(0, 0, None))[2]

    def _fitting(self, wanted: Array) -> Iterator[tuple[int, Array]]:
        """The values of the wanted size by number, channels first, in its shape."""
        last = np.moveaxis(wanted, 1, -1).shape
        for array in self._by_size.get(wanted.size, ()):
            if _bare(array.shape) == _bare(wanted.shape):
                yield id(array), array.reshape(wanted.shape)
            if wanted.ndim > 2 and _bare(array.shape) == _bare(last):
                yield id(array), np.moveaxis(array.reshape(last), -1, 1)


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in shape if axis != 1)


def _largest(array: Array) -> float:
    return float(np.abs(array).max(initial=0.0))


def _describe(
    bench: Bench,
    outcome: Outcome,
    departure: Departure,
    matched: Matched,
    actual: Array | None,
    target: Path,
    alone: str | None = None,
) -> Blame:
    """The finding; `actual` is what the network has there, `alone` what else is known of it."""
    node = departure.node
    expected = matched.truth[node.output]
    error = np.zeros(expected.shape) if actual is None else np.abs(actual - expected)
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(error), np.inf, error))), error.shape)
    index = tuple(int(at) for at in worst)
    row, span = outcome.row, node.span
    lines = span.source.lines
    name = f"{bench.graph.name}-{row.subject}-{row.runtime}-{node.path}".replace(" ", "-")
    truth = {**matched.values, node.output: expected}
    files = write_reproduction(node, truth, bench.tensors, actual, target / name)
    assert outcome.task is not None
    return Blame(
        subject=row.subject,
        runtime=row.runtime,
        node=node.path,
        op=repr(node.op),
        where=str(span),
        line=lines[span.line - 1].strip() if span.line <= len(lines) else "",
        folded=tuple(n.path for n in departure.folded),
        index=index[1:],
        expected=float(expected[index]),
        actual=None if actual is None else float(actual[index]),
        relative=None if actual is None else float(error[index] / (_largest(expected) or 1.0)),
        alone=run_alone(outcome.task, files, bench.folder) if alone is None else alone,
        files=tuple(map(str, files)),
    )
