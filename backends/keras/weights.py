"""What generated source needs to read and to write weight files: snippets and constants."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from netspec.backends.keras.layer import layer_name
from netspec.backends.keras.snippet_text import snippet_text
from netspec.backends.source.python import literal
from netspec.backends.source.text import block
from netspec.graph import Graph

# The variables of Keras's layers and torch's words for them.
WEIGHTS = {"kernel": "weight", "bias": "bias"}
NORMS = {"gamma": "weight", "beta": "bias"}
STATISTICS = {"moving_mean": "running_mean", "moving_variance": "running_var"}
OTHERS = {"alpha": "weight", "embeddings": ""}
PLAIN = frozenset({"conv", "linear"})
NORMALISATIONS = frozenset({"batch_norm", "layer_norm"})


@dataclass(frozen=True, slots=True)
class WeightsCode:
    """The snippets for a graph's weights, and the constants that these read."""

    helpers: frozenset[str]
    constants: list[str]


def weights_code(
    graph: Graph, helpers: Collection[str], text: str, dashes: str | None
) -> WeightsCode:
    """The least that the layers need which `text` and the snippets in `helpers` make.

    `dashes` is the pattern of names with a `-`, if there is one that tells them.
    """
    kinds = {node.op.kind for node in graph.nodes if node.weights}
    dashed = [weight.key for weight in graph.weights if "-" in weight.key]
    heads, counted = _training_only(graph), "batch_norm" in kinds
    rare = "DepthwiseConv1D" in text or "conv" in helpers  # which may make `--stride-1`
    depthwise = "DepthwiseConv2D" in text or "group_conv" in helpers
    general = not kinds <= PLAIN | NORMALISATIONS or rare or (depthwise and heads)
    names = dict(WEIGHTS)
    if general or dashed or _renamed(graph):
        load = "__any_training_only" if heads else "__any"
        save = layout = stored = "__any"
        if dashed:
            stored = "__listed" if dashes is None else "__dashed"
        names |= NORMS | STATISTICS | OTHERS
    else:
        load = save = "__statistics" if counted else ""
        layout = stored = "__depthwise" if depthwise else ""
        if depthwise:
            load, save = "__depthwise", "__any"
        elif heads:
            load = "__training_only"
        names |= NORMS if kinds & NORMALISATIONS else {}
        names |= STATISTICS if counted else {}
    parts = [f"load_weights{load}", f"save_weights{save}"]
    parts += [f"to_torch{layout}", f"stored_weights{stored}"]
    constants = {
        "WEIGHTS": "{" + ", ".join(f'"{name}": "{word}"' for name, word in names.items()) + "}",
        "DASHED": f'r"{dashes}"',
        "KEYS: tuple[str, ...]": literal(dashed),
        "TRAINING_ONLY: tuple[str, ...]": literal(heads),
    }
    _, snippets = snippet_text(parts)
    lines = [
        _constant(name, code)
        for name, code in constants.items()
        if re.search(rf"\b{name.partition(':')[0]}\b", snippets)
    ]
    return WeightsCode(frozenset(parts), lines)


def _renamed(graph: Graph) -> bool:
    """Whether some layer is not called as its node's path says, or is in a model of its own."""
    paths = [node.path for node in graph.nodes]
    shared = any(node.shared for node in graph.nodes)
    return shared or any(layer_name(path) != path.replace(".", "-") for path in paths)


def _training_only(graph: Graph) -> list[str]:
    """The shortest paths that hold all weights which inference does without, and no others."""
    needed = {weight.key for node in graph.inference_nodes for weight in node.weights}
    spared = [weight.key for weight in graph.weights if weight.key not in needed]
    inner = {prefix for key in needed for prefix in _prefixes(key)}
    return list(dict.fromkeys(next(p for p in _prefixes(key) if p not in inner) for key in spared))


def _prefixes(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def _constant(name: str, code: str) -> str:
    return "\n".join(block([f"{name} = {code}"]))
