"""From a spec's name and parameters to its graph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from netspec import arguments
from netspec.arguments import Params, Shapes
from netspec.check import check, check_library
from netspec.data import literal_hint
from netspec.diagnostics import Enough, Findings
from netspec.extensions import import_ops
from netspec.files import uncollected
from netspec.graph import Graph
from netspec.lazy import hints
from netspec.ops.base import DIMENSION_LIMIT
from netspec.resolve import resolve
from netspec.syntax import Library, Model
from netspec.values import ValueProblem, param_value
from netspec.zoo import Found, UsageError, find, load_any, load_model


def load(
    spec: str | os.PathLike[str],
    /,
    *,
    inputs: Shapes | None = None,
    params: Params | None = None,
    **named: Any,
) -> Graph:
    """Read, check and resolve a spec.

    `spec` is a zoo name (`"resnet50"`), a path, or `"path::variant"`. `inputs` replaces shapes of
    inputs, without the batch and channels first: `inputs={"image": (3, 225, 225)}`. Other keyword
    arguments set the spec's parameters, and so does `params`, a mapping for names that are
    arguments here or in `netspec.build` already: `params={"seed": 3}`.

    Raises:
        SpecError: the spec has mistakes; the text of the error explains each.
        UsageError: there is no such spec, parameter or input.
        TypeError: an argument is of the wrong type.
    """
    findings = Findings()
    path, sets = arguments.spec_path(spec), arguments.settings(params, named)
    graph = load_found(find(path), findings, arguments.shapes(inputs), sets)
    findings.raise_if_failed()
    assert graph is not None
    return graph


def load_found(
    found: Found,
    findings: Findings,
    inputs: Mapping[str, Sequence[int]],
    params: Mapping[str, Any],
) -> Graph | None:
    """As `load`, with the findings, warnings included, in `findings`.

    What fails is tried again with the ops of other packages, if there are any.
    """
    trial = Findings()
    try:
        with uncollected():
            graph = _load(found, trial, inputs, params)
    except UsageError:
        if not import_ops():
            raise
        return load_found(found, findings, inputs, params)
    if trial.failed and import_ops():
        return load_found(found, findings, inputs, params)
    findings.extend(trial)
    return graph


def check_blocks(found: Found, findings: Findings) -> tuple[str, ...] | None:
    """The names of a library's blocks, with what is wrong in them in `findings`.

    None if the file is no library. What fails is tried again as by `load_found`.
    """
    trial = Findings()
    library = load_any(found, trial)
    if not isinstance(library, Library):
        return None
    with suppress(Enough):
        check_library(library, trial)
        trial.settle()
    if trial.failed and import_ops():
        return check_blocks(found, findings)
    findings.extend(trial)
    return tuple(library.blocks)


def _load(
    found: Found,
    findings: Findings,
    inputs: Mapping[str, Sequence[int]],
    params: Mapping[str, Any],
) -> Graph | None:
    model = load_model(found, findings)
    if model is None:
        return None
    shapes = _shapes(model, inputs)
    sets = {name: (_set(model, name, value), None) for name, value in params.items()}
    try:
        _check_once(model, findings)
        graph = resolve(model, sets, found.variant, shapes, findings)
        findings.settle()
        return graph
    except Enough:
        return None


_checked: tuple[Model, Findings] | None = None


def _check_once(model: Model, findings: Findings) -> None:
    """What is wrong with a model whatever its parameters are; found once for all its variants."""
    global _checked
    last = _checked
    if last is None or last[0] is not model:
        own = Findings()
        own.adopt(findings)
        with suppress(Enough):
            check(model, own)
        _checked = last = model, own
    findings.adopt(last[1])


def _set(model: Model, name: str, value: Any) -> Any:
    known = {p.name: p for p in model.params}
    if name not in known:
        hint = hints.suggestion(name, known, "it has") or "it has no parameters"
        raise UsageError(f"{model.name} has no parameter {name!r}", hint)
    try:
        return param_value(known[name], value, model.blocks)
    except ValueProblem as problem:
        raise UsageError(problem.message, literal_hint(value, problem)) from None


def _shapes(model: Model, inputs: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    declared = {i.name: len(i.shape) for i in model.inputs}
    for name, shape in inputs.items():
        if name not in declared:
            hint = hints.suggestion(name, declared, "it has")
            raise UsageError(f"{model.name} has no input {name!r}", hint)
        if len(shape) != declared[name]:
            sizes = f"{declared[name]} sizes (channels first, without the batch)"
            raise UsageError(f"input {name!r} takes {sizes}, not {len(shape)}")
        if not all(isinstance(size, int) and 1 <= size <= DIMENSION_LIMIT for size in shape):
            raise UsageError(f"input {name!r} takes sizes from 1 to {DIMENSION_LIMIT}")
    return {name: tuple(shape) for name, shape in inputs.items()}
