"""What generated source needs to read and to write weight files: snippets and constants."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from netspec.backends.keras.layer import layer_name
from netspec.backends.source.python import literal
from netspec.backends.source.text import block
from netspec.graph import Graph

# The variables of Keras's layers and torch's words for them.
WEIGHTS = {"kernel": "weight", "bias": "bias"}
NORMS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
OTHERS = {"alpha": "weight", "embeddings": ""}
PLAIN = frozenset({"conv", "linear"})
NORMALISATIONS = frozenset({"batch_norm", "layer_norm"})


@dataclass(frozen=True, slots=True)
class WeightsCode:
    """The snippets for a graph's weights, and the constants that these read."""

    helpers: frozenset[str]
    constants: list[str]


def weights_code(graph: Graph, helpers: Collection[str], text: str) -> WeightsCode:
    """The least that the layers need which `text` and the snippets in `helpers` make."""
    kinds = {node.op.kind for node in graph.nodes if node.weights}
    paths = [node.path for node in graph.nodes]
    renamed = any(layer_name(path) != path.replace(".", "-") for path in paths)
    dashed = [weight.key for weight in graph.weights if "-" in weight.key]
    shared = any(node.shared for node in graph.nodes)
    wanted = {"load_weights", "save_weights"}
    rare = "DepthwiseConv1D" in text or "conv" in helpers  # which may make `--stride-1`
    if not kinds <= PLAIN | NORMALISATIONS or renamed or dashed or shared or rare:
        wanted.add("stored_weights__any")
        names = WEIGHTS | NORMS | OTHERS
    else:
        if "DepthwiseConv2D" in text or "group_conv" in helpers:
            wanted.add("stored_weights__depthwise")
        names = WEIGHTS | NORMS if kinds & NORMALISATIONS else WEIGHTS
    pairs = ", ".join(f'"{name}": "{word}"' for name, word in names.items())
    constants = [_constant("WEIGHTS", f"{{{pairs}}}")]
    if "stored_weights__any" in wanted:
        constants.append(_constant("DASHED: tuple[str, ...]", literal(dashed)))
    if heads := _training_only(graph):
        wanted.remove("load_weights")
        wanted.add("load_weights__training_only")
        constants.append(_constant("TRAINING_ONLY", literal(heads)))
    return WeightsCode(frozenset(wanted), constants)


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
