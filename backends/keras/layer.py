"""What a Keras lowering answers: the text that applies an op to a value.

Nothing here imports Keras: source is generated without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netspec.backends.lowering import NotLowered, Site
from netspec.extensions import import_group

# What Keras calls the operations of the snippets, which have no names of their own.
OPERATIONS = re.compile(
    r"(absolute|add|divide|erf|expand_dims|get_item|greater|matmul|maximum|mean|moveaxis|multiply|pad"
    r"|power|reshape|sqrt|square|subtract|take|true_divide|where|zeros_like)(_\d+)?"
)


def layer_name(path: str) -> str:
    """The name of a node's layer: its path with `-` for `.`, which not every engine takes.

    Names are unique in a model, so one that Keras could give to an operation (`add_1`) is followed
    by two dashes, like the name of an auxiliary layer without a role.
    """
    name = path.replace(".", "-")
    return f"{name}--" if OPERATIONS.fullmatch(name) else name


@dataclass(frozen=True, slots=True)
class Layer:
    """An op of one input.

    `call` is an expression with `{x}` where the input's code stands and `{name}` where the code
    of the layer's name stands, each once. For an op without inputs `{x}` is any value with the
    batch's size. `helpers` names the snippets that the expression uses.
    """

    call: str
    helpers: tuple[str, ...] = ()

    def render(self, x: str, name: str) -> str:
        """The expression for this input and this name, both given as code."""
        return re.sub(r"\{(x|name)\}", lambda m: x if m[1] == "x" else name, self.call)


@dataclass(frozen=True, slots=True)
class Join:
    """An op of several inputs: `render` makes its expression of their code and the name's."""

    render: Callable[[Sequence[str], str], str]


Lowering = Callable[[Site], Layer | Join]

_lowerings: dict[str, Lowering] = {}


def lowers(kind: str) -> Callable[[Lowering], Lowering]:
    """Register the decorated function as the Keras lowering of an op kind.

    Raises:
        ValueError: the kind has a lowering.
    """

    def register(function: Lowering) -> Lowering:
        if kind in _lowerings:
            raise ValueError(f"op {kind!r} is lowered to Keras twice")
        _lowerings[kind] = function
        return function

    return register


def lowering(kind: str) -> Lowering:
    """The Keras lowering of an op kind.

    Raises:
        NotLowered: the kind has none.
    """
    import netspec.backends.keras.ops  # noqa: F401  (defines the lowerings that netspec ships)

    if kind not in _lowerings:
        import_group("netspec.ops.keras")
    if kind not in _lowerings:
        raise NotLowered(kind, "keras")
    return _lowerings[kind]


def stock(layer: str, *positional: str, **keywords: str | None) -> str:
    """The text that applies one of `keras.layers`; a keyword that is None is left out."""
    return f"layers.{call(layer, *positional, **keywords, name='{name}')}({{x}})"


def helper(function: str, *positional: str, **keywords: str | None) -> Layer:
    """A call of the snippet of this name."""
    return Layer(call(function, "{x}", *positional, **keywords, name="{name}"), (function,))


def call(function: str, *positional: str, **keywords: str | None) -> str:
    """The text of a call; a keyword that is None is left out."""
    named = [f"{key}={text}" for key, text in keywords.items() if text is not None]
    return f"{function}({', '.join([*positional, *named])})"


def unless_default(site: Site, attribute: str) -> str | None:
    """An attribute's text, or None where it is the op's default."""
    return None if site.is_default(attribute) else site.code(attribute)


def all_equal(site: Site, attribute: str, value: int) -> bool:
    """Whether a per-axis attribute is known to be `value` on every axis."""
    known = site.known(attribute)
    return known is not None and all(entry == value for entry in known)


def no_padding(site: Site) -> bool:
    """Whether `padding` is known to be nothing."""
    padding = site.known("padding")
    return padding not in (None, "same") and not any(side for pair in padding for side in pair)
