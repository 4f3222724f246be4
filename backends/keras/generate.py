"""A graph as standalone Keras source in functional style, channels last."""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence

from netspec.backends.keras.functions import LOCAL, FunctionWriter
from netspec.backends.keras.layer import lowering
from netspec.backends.keras.snippet_text import snippet_names, snippet_text
from netspec.backends.keras.weights import weights_code
from netspec.backends.source.header import header
from netspec.backends.source.imports import MAKE_DIVISIBLE, import_block, needed_imports
from netspec.backends.source.program import Program, planned
from netspec.backends.source.python import identifier
from netspec.backends.source.text import block
from netspec.graph import Graph

RESERVED = frozenset(
    """
    Any DASHED Sequence TRAINING_ONLY WEIGHTS annotations build_model initializers itertools keras
    layers load_file make_divisible math network np ops re save_file
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
    """Keras source of a graph: `build_model(**params, aux=False)`, `load_weights`, `save_weights`.

    The text runs with keras, numpy and safetensors alone, on any engine of Keras. Layers are named
    by their paths with `-` for `.`. `build_model` gives a functional model of channels-last inputs
    with the spec's names; several outputs are a list in the spec's order, and outputs that only
    training reads exist with `aux=True`. The others take `(model, path)`: a safetensors file with
    torch's keys and layouts.

    Raises:
        NotLowered: an op has no lowering to Keras.
    """
    for node in graph.nodes:
        lowering(node.op.kind)  # all are found, with their snippets, before names are given
    return planned(graph, _emit)


def _emit(program: Program) -> str:
    names = _function_names(program)
    reserved = RESERVED | snippet_names() | frozenset(names.values())
    helpers: set[str] = set()
    functions = []
    for routine in program.routines:
        writer = FunctionWriter(routine, lambda r: names[id(r)], helpers, reserved)
        is_model = routine is program.model
        lines = writer.model(_title(program.graph)) if is_model else writer.block()
        functions.append("\n".join(lines))
    text = "\n\n\n".join([*functions, "\n".join(_main(program))])
    weights = weights_code(program.graph, helpers, text)
    snippet_imports, snippets = snippet_text(helpers | weights.helpers)
    if re.search(r"\bmake_divisible\(", text):
        snippets = f"{MAKE_DIVISIBLE}\n\n\n{snippets}"
    wanted = snippet_imports | needed_imports(text, MARKS) | {"import keras"}
    heads = [header(program.graph, "Keras", channels_last), import_block(wanted)]
    parts = ["\n\n".join(heads + weights.constants), snippets, text]
    return "\n\n\n".join(parts) + "\n"


def _function_names(program: Program) -> dict[int, str]:
    """A function name per block; a block written twice gets a number."""
    taken = RESERVED | LOCAL | {"in_channels"} | snippet_names() | frozenset(dir(builtins))
    names: dict[int, str] = {}
    for routine in program.routines[:-1]:
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", routine.name).lower()
        wanted = name = identifier(snake, taken)
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
    """What the file does as a script: a summary, and the outputs for a random batch."""
    inputs = []
    for value in program.graph.inputs:
        channels, *spatial = value.type.shape
        inputs.append(f"keras.random.normal({(2, *spatial, channels)})")
    batch = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
    return [
        'if __name__ == "__main__":',
        "    network = build_model()",
        "    network.summary()",
        *block([f"print(network({batch}))"], 1),
    ]
