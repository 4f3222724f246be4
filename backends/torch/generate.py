"""A graph as standalone PyTorch source."""

from __future__ import annotations

import keyword
from dataclasses import dataclass

from netspec.backends.snippet_text import defined_names
from netspec.backends.source.header import header
from netspec.backends.source.imports import MAKE_DIVISIBLE, import_block, needed_imports
from netspec.backends.source.plan import Routine, Val
from netspec.backends.source.program import Program, planned
from netspec.backends.source.python import identifier
from netspec.backends.source.text import block, class_name, docstring, network_name
from netspec.backends.torch.classes import ClassWriter
from netspec.backends.torch.initialisation import Sweep
from netspec.backends.torch.layer import lowering
from netspec.backends.torch.snippet_text import snippet_names, snippet_text
from netspec.graph import Graph

RESERVED = frozenset(
    """
    Any Callable F NamedTuple OrderedDict Sequence build_model load_file load_weights make_divisible
    math nn partial self torch
    """.split()
)


def source(graph: Graph) -> str:
    """PyTorch source of a graph: classes, `build_model(**params)`, `load_weights(model, path)`.

    The text runs with torch and safetensors alone.

    Raises:
        NotLowered: an op has no lowering to torch.
    """
    for node in graph.nodes:
        lowering(node.op.kind)  # all are found, with their snippets, before names are given
    return planned(graph, _emit)


def _emit(program: Program) -> str:
    # Which snippets are copied is known when the classes are written: no others take their names.
    first = _write(program, frozenset(snippet_names()))
    made = _write(program, defined_names(first.snippets))
    head = "\n\n".join([header(program, "PyTorch"), _imports(made.text, made.imports)])
    return "\n\n\n".join(part for part in (head, made.snippets, made.text) if part) + "\n"


@dataclass(frozen=True, slots=True)
class _Written:
    """The classes and functions, and the snippets and imports that these need."""

    text: str
    snippets: str
    imports: frozenset[str]


def _write(program: Program, reserved: frozenset[str]) -> _Written:
    """Everything but the head of the file, where names in `reserved` mean something else."""
    class_names = _class_names(program, reserved)
    helpers: set[str] = set()
    classes: list[list[str]] = []
    sweep = Sweep(program.graph)
    taken = RESERVED | reserved | frozenset(class_names.values())
    name = class_names[id(program.model)]
    for routine in program.routines:
        routine.used.clear()
        _describe(routine, program)
        reads = program.reads[id(routine)]
        writer = ClassWriter(routine, reads, lambda r: class_names[id(r)], helpers, taken, sweep)
        classes.append(writer.write())
    body = "\n\n\n".join("\n".join(lines) for lines in classes)
    outputs = _outputs(program, name)
    rest = [f"build_model = {name}", "", "", *_load_weights(), "", "", *_main(program)]
    text = "\n\n\n".join(part for part in (outputs, body, "\n".join(rest)) if part)
    imports, snippets = snippet_text(helpers)
    if "make_divisible(" in text:
        snippets = "\n\n\n".join(part for part in (MAKE_DIVISIBLE, snippets) if part)
    return _Written(text, snippets, imports)


def _describe(routine: Routine, program: Program) -> None:
    model = program.graph.trace.model
    routine.model_named = model.body.named
    routine.doc = model.doc if routine.block is None else routine.block.doc


def _class_names(program: Program, reserved: frozenset[str]) -> dict[int, str]:
    """A class name per routine; a block written twice gets a number."""
    taken = set(RESERVED | reserved)
    names: dict[int, str] = {}
    for routine in reversed(program.routines):
        wanted = class_name(routine.name) if routine.block else network_name(routine.name)
        if len(wanted) == 1:
            wanted = f"Block{wanted}"
        if not wanted.isidentifier():
            wanted = f"Net{wanted}"
        if keyword.iskeyword(wanted):
            wanted += "_"
        name, number = wanted, 2
        if name in taken and routine.block is None:
            name = f"{wanted}Model"
        while name in taken or f"{name}Outputs" in taken:
            name, number = f"{wanted}{number}", number + 1
        taken.add(name)
        names[id(routine)] = name
    return names


def _outputs(program: Program, name: str) -> str:
    """Named tuples for models of several outputs, as torchvision's."""
    outputs = program.model.outputs
    inference = [o for o in outputs if not o[2]]
    heads = len(inference) < len(outputs)
    tuples = []
    if len(outputs) > 1:
        tuples.append((f"{name}Outputs", " in training" if heads else "", outputs))
    if len(inference) > 1 and heads:
        tuples.append((f"{name}InferenceOutputs", " in evaluation", inference))
    texts = []
    for title, when, fields in tuples:
        lines = [f"class {title}(NamedTuple):"]
        lines += docstring(f"What the model returns{when}.", 1)
        lines += ["", *(f"    {field}: torch.Tensor" for field in _fields(fields))]
        texts.append("\n".join(lines))
    return "\n\n\n".join(texts)


def _fields(outputs: list[tuple[str, Val, bool]]) -> list[str]:
    """Names of outputs as a named tuple takes them: no keyword, and none that begins with `_`."""
    fields: list[str] = []
    for name, _, _ in outputs:
        field = f"output{name}" if name.startswith("_") else identifier(name, frozenset(fields))
        fields.append(field)
    return fields


def _imports(text: str, snippet_imports: frozenset[str]) -> str:
    candidates = {
        "import math": "math.",
        "from functools import partial": "partial(",
        "from collections.abc import Callable": "Callable[",
        "from collections import OrderedDict": "OrderedDict(",
        "from collections.abc import Sequence": "Sequence[",
        "from typing import Any": "Any",
        "from typing import NamedTuple": "NamedTuple",
        "import torch.nn.functional as F": "F.",
    }
    always = {"import torch", "from torch import nn", "from safetensors.torch import load_file"}
    return import_block(always | snippet_imports | needed_imports(text, candidates))


def _load_weights() -> list[str]:
    return [
        "def load_weights(model: nn.Module, path: str) -> None:",
        '    """Load a safetensors file that has exactly the keys of the model\'s state dict."""',
        "    model.load_state_dict(load_file(path))",
    ]


def _main(program: Program) -> list[str]:
    """What the file does as a script: the modules, and the shapes of outputs for a random batch."""
    inputs = ", ".join(
        f"torch.randn(2, {', '.join(map(str, v.type.shape))})" for v in program.graph.inputs
    )
    lines = [f"print(network({inputs}).shape)"]
    if len(program.graph.inference_outputs) > 1:
        shapes = "{name: output.shape for name, output in outputs._asdict().items()}"
        lines = [f"outputs = network({inputs})", f"print({shapes})"]
    return [
        'if __name__ == "__main__":',
        "    network = build_model().eval()",
        "    print(network)",
        *block(lines, 1),
    ]
