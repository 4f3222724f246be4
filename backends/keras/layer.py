"""What a Keras lowering answers: the text that applies an op to a value.

Nothing here imports Keras: source is generated without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netspec.backends.lowering import NotLowered, Site
from netspec.extensions import import_group

# What Keras calls operations and auxiliary layers, which have no names of their own.
OPERATIONS = re.compile(
    r"(absolute|add|divide|erf|expand_dims|flip|get_item|greater|matmul|maximum|mean|moveaxis|multiply"
    r"|negative|pad|permute|power|reshape|sqrt|square|subtract|take|true_divide|where|zero_padding[123]d"
    r"|zeros_like)(_\d+)?"
)
# How the names of layers end that hold the weights of what bears the name before.
ROLES = re.compile(r"--(mirrored|stride-1|table|whole|)$")


def layer_name(path: str) -> str:
    """The name of a node's layer: its path with `-` for `.`, which not every engine takes.

    Names are unique in a model, so one that Keras could give to an operation (`add_1`) is followed
    by two dashes, like the name of an auxiliary layer without a role; so is a name that ends as
    that of an auxiliary layer.
    """
    name = path.replace(".", "-")
    taken = OPERATIONS.fullmatch(name) or ROLES.search(f"-{name}")
    return f"{name}--" if taken else name


@dataclass(frozen=True, slots=True)
class Layer:
    """An op of one input.

    `call` is an expression with `{x}` where the input's code stands and `{name}` where the code
    of the layer's name stands, the name once. For an op without inputs `{x}` is any value with the
    batch's size. `helpers` names the snippets that the expression uses. `before` is an expression
    of `{x}` whose value the op is applied to instead; with `reorders` it only changes the order of
    a map's elements, so that it is left out where maps are sure to have one.
    """

    call: str
    helpers: tuple[str, ...] = ()
    before: str = ""
    reorders: bool = False

    def prepare(self, x: str) -> str:
        """What the op is applied to for this input, both as code."""
        return _filled(self.before, x, "") if self.before else x

    def apply(self, x: str, name: str) -> str:
        """The expression for a prepared input and this name, both given as code."""
        return _filled(self.call, x, name)

    def render(self, x: str, name: str) -> str:
        """The expression for this input and this name, both given as code."""
        return self.apply(self.prepare(x), name)


@dataclass(frozen=True, slots=True)
class Join:
    """An op of several inputs: `render` makes its expression of their code and the name's."""

    render: Callable[[Sequence[str], str], str]


def _filled(text: str, x: str, name: str) -> str:
    return re.sub(r"\{(x|name)\}", lambda m: x if m[1] == "x" else name, text)


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


def zeros_around(site: Site) -> str:
    """The text of a layer without a name that pads as `padding` says, which is known."""
    return f"layers.ZeroPadding{site.rank}D({zero_pairs(site)})({{x}})"


def zero_pairs(site: Site) -> str:
    """Known `padding` as Keras takes it: a number is the same to it, a list of numbers is not."""
    padding, code = site.known("padding"), site.code("padding")
    return code if code.isdecimal() else str(padding[0] if site.rank == 1 else padding)


def helper(function: str, *positional: str, **keywords: str | None) -> Layer:
    """A call of the snippet of this name."""
    return Layer(call(function, "{x}", *positional, **keywords, name="{name}"), (function,))


def call(function: str, *positional: str, **keywords: str | None) -> str:
    """The text of a call; a keyword that is None is left out, and `several` is unpacked."""
    named = [
        f"**{text}" if key == "several" else f"{key}={text}"
        for key, text in keywords.items()
        if text is not None
    ]
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
