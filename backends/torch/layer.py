"""What a torch lowering answers: the text that constructs an op and the text that applies it.

Nothing here imports torch: source is generated without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netspec.backends.lowering import NotLowered, Site
from netspec.extensions import import_group


@dataclass(frozen=True, slots=True)
class Layer:
    """An op of one input, or of none if `is_parameter`.

    `module` is a constructor expression over the names in scope where modules are made. The
    module's tensors bear the op's own parameter names, so that state-dict keys are netspec's.

    `function` applies the op without a module and has `{x}` where the input stands, a name or
    other atom. It holds no name but `{x}`, so it can stand in any forward; ops with tensors,
    random ops and ops whose attributes vary have none. `helpers` names the snippets that
    `module` needs; `function` never needs one.

    A parameter has no input: `module` makes the tensor, of which `function` makes the value.
    """

    module: str
    function: str | None = None
    helpers: tuple[str, ...] = ()
    is_parameter: bool = False


@dataclass(frozen=True, slots=True)
class Join:
    """An op of several inputs. `expression` combines operands, which are names or other atoms.

    `mixed` takes its place where some operands are computed from parameters alone and so have a
    batch of 1; without it, `expression` broadcasts them. `mixed_helpers` names its snippets.
    """

    expression: Callable[[Sequence[str]], str]
    mixed: Callable[[Sequence[str]], str] | None = None
    mixed_helpers: tuple[str, ...] = ()


Lowering = Callable[[Site], Layer | Join]

_lowerings: dict[str, Lowering] = {}


def lowers(kind: str) -> Callable[[Lowering], Lowering]:
    """Register the decorated function as the torch lowering of an op kind.

    Raises:
        ValueError: the kind has a lowering.
    """

    def register(function: Lowering) -> Lowering:
        if kind in _lowerings:
            raise ValueError(f"op {kind!r} is lowered to torch twice")
        _lowerings[kind] = function
        return function

    return register


def lowering(kind: str) -> Lowering:
    """The torch lowering of an op kind.

    Raises:
        NotLowered: the kind has none.
    """
    import netspec.backends.torch.ops  # noqa: F401  (defines the lowerings that netspec ships)

    if kind not in _lowerings:
        import_group("netspec.ops.torch")
    if kind not in _lowerings:
        raise NotLowered(kind, "torch")
    return _lowerings[kind]
