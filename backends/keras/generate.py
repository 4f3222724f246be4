"""A graph as standalone Keras source in functional style, channels last."""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence
from dataclasses import dataclass

from netspec.backends.keras.dashes import dash_pattern, freeze_dashes
from netspec.backends.keras.functions import LOCAL, FunctionWriter
from netspec.backends.keras.layer import lowering
from netspec.backends.keras.snippet_text import snippet_names, snippet_text
from netspec.backends.keras.weights import weights_code
from netspec.backends.snippet_text import defined_names
from netspec.backends.source.header import header
from netspec.backends.source.imports import MAKE_DIVISIBLE, import_block, needed_imports
from netspec.backends.source.program import Program, planned
from netspec.backends.source.python import identifier
from netspec.backends.source.text import block
from netspec.graph import Graph

RESERVED = frozenset(
    """
    Any DASHED KEYS Sequence TRAINING_ONLY WEIGHTS annotations build_model initializers itertools
    keras layers load_file make_divisible math network np ops re save_file
    """.split()
)
MARKS = {
    "from collections.abc import Sequence": "Sequence[",
    "from keras import initializers": "initializers.",
    "from keras import layers": "layers.",
    "from keras import ops": "ops.",
    "from typing import Any": "Any",
    "import itertools": "itertools.",
    "import math": "math.",
}


def source(graph: Graph) -> str:
    """Keras source of a graph: `build_model(**params)`, `load_weights`, `save_weights`.

    The text runs with keras, numpy and safetensors alone, on any engine of Keras. Layers are named
    by their paths with `-` for `.`. `build_model` gives a functional model of channels-last inputs
    with the spec's names; several outputs are a list in the spec's order. Where some are for
    training only, it takes `aux=False`: with `aux=True` they exist as well. The others take
    `(model, path)`: a safetensors file with torch's keys and layouts.

    Raises:
        NotLowered: an op has no lowering to Keras.
    """
    for node in graph.nodes:
        lowering(node.op.kind)  # all are found, with their snippets, before names are given
    return planned(graph, _emit)


def _emit(program: Program) -> str:
    # Which snippets are copied is known when the functions are written: no others take their names.
    freeze_dashes(program)
    first = _write(program, snippet_names())
    made = _write(program, defined_names(first.snippets))
    wanted = made.imports | needed_imports(made.text, MARKS) | {"import keras"}
    heads = [header(program, "Keras", channels_last), import_block(wanted)]
    return "\n\n\n".join(["\n\n".join(heads + made.constants), made.snippets, made.text]) + "\n"


@dataclass(frozen=True, slots=True)
class _Written:
    """The functions, and the constants, snippets and imports that these need."""

    text: str
    constants: list[str]
    snippets: str
    imports: frozenset[str]


def _write(program: Program, reserved: frozenset[str]) -> _Written:
    """Everything but the head of the file, where names in `reserved` mean something else."""
    names = _function_names(program, reserved)
    taken = RESERVED | reserved | frozenset(names.values())
    helpers: set[str] = set()
    functions = []
    for routine in program.routines:
        routine.used.clear()
        writer = FunctionWriter(routine, lambda r: names[id(r)], helpers, taken)
        is_model = routine is program.model
        lines = writer.model(_title(program.graph)) if is_model else writer.block()
        functions.append("\n".join(lines))
    text = "\n\n\n".join([*functions, "\n".join(_main(program))])
    weights = weights_code(program.graph, helpers, text, dash_pattern(program))
    imports, snippets = snippet_text(helpers | weights.helpers)
    if re.search(r"\bmake_divisible\(", text):
        snippets = f"{MAKE_DIVISIBLE}\n\n\n{snippets}"
    return _Written(text, weights.constants, snippets, imports)


def _function_names(program: Program, reserved: frozenset[str]) -> dict[int, str]:
    """A function name per block; a block written twice gets a number."""
    taken = RESERVED | LOCAL | {"in_channels"} | reserved | frozenset(dir(builtins))
    names: dict[int, str] = {}
    for routine in program.routines[:-1]:
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", routine.name).lower()
        wanted = name = identifier(snake if len(snake) > 1 else f"block_{snake}", taken)
        number = 2
        while name in names.values():
            name, number = f"{wanted}_{number}", number + 1
        names[id(routine)] = name
    return names


def channels_last(shape: Sequence[int]) -> tuple[int, ...]:
    return (*shape[1:], shape[0])


def _title(graph: Graph) -> str:
    """The graph's name as Keras takes it for a model."""
    return re.sub(r"[^A-Za-z0-9_]", "_", graph.name).lstrip("_") or "model"


def _main(program: Program) -> list[str]:
    """What the file does as a script: a summary, and the shapes of outputs for a random batch."""
    inputs = []
    for value in program.graph.inputs:
        channels, *spatial = value.type.shape
        inputs.append(f"keras.random.normal({(2, *spatial, channels)})")
    batch = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
    lines = [f"print(network({batch}).shape)"]
    if len(program.graph.inference_outputs) > 1:
        lines = [f"outputs = network({batch})", "print([output.shape for output in outputs])"]
    return [
        'if __name__ == "__main__":',
        "    network = build_model()",
        "    network.summary()",
        *block(lines, 1),
    ]
