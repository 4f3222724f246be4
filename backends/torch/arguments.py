"""Arguments as a torch programmer writes them: from an op's site to the text of a call."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from netspec.backends.lowering import Site
from netspec.backends.source import python

NUMERIC_CALLS = ("abs", "ceil", "floor", "int", "len", "make_divisible", "round", "sqrt")


def call(name: str, *positional: str, **keywords: str | None) -> str:
    """The text of a call; a keyword that is None is left out."""
    named = [f"{key}={text}" for key, text in keywords.items() if text is not None]
    return f"{name}({', '.join([*positional, *named])})"


def unless_default(site: Site, attribute: str) -> str | None:
    """An attribute's text, or None where it is the op's default."""
    return None if site.is_default(attribute) else site.code(attribute)


def all_known(site: Site, *attributes: str) -> bool:
    """Whether every one of these attributes is equal in all copies of the site."""
    return all(site.known(attribute) is not None for attribute in attributes)


def literal(value: Any) -> str:
    """A value's text; a tuple of equal numbers shrinks to one, as torch takes it."""
    if isinstance(value, tuple) and len(set(value)) == 1 and not isinstance(value[0], tuple):
        return literal(value[0])
    return python.literal(value)


def symmetric_padding(site: Site) -> str | None:
    """The text of `padding` as one number per axis, or None where it may need more."""
    padding = site.known("padding")
    if padding is None:
        code = site.code("padding")
        return code if is_number(code) or _all_symmetric(site) else None
    if padding == "same" or any(before != after for before, after in padding):
        return None
    return literal(tuple(before for before, _ in padding))


def _all_symmetric(site: Site) -> bool:
    """Whether torch takes the padding as it is in every copy."""
    strides = site.values("stride")
    for padding, stride in zip(site.values("padding"), strides, strict=True):
        if padding == "same":
            # torch pads the odd element after, as TensorFlow does, but refuses strides
            if site.kind != "conv" or set(stride) != {1}:
                return False
        elif any(before != after for before, after in padding):
            return False
    return bool(strides)


def any_padding(site: Site) -> str:
    """The text of `padding` for a snippet, which takes all that a spec may say."""
    padding = site.known("padding")
    if padding is None:
        return site.code("padding")
    if padding == "same":
        return literal(padding)
    # Equal pairs do not shrink to one: (1, 0) would mean 1 for the first axis and 0 for the second.
    return symmetric_padding(site) or repr(padding)


def flat_padding(pairs: Sequence[tuple[int, int]]) -> str:
    """(before, after) pairs in the order of torch's padding functions, last axis first."""
    return repr(tuple(side for pair in reversed(pairs) for side in pair))


def is_number(code: str) -> bool:
    """Whether an expression can only be a number: `kernel // 2` can, `padding` may be a list."""
    return _is_number(ast.parse(code, mode="eval").body)


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _is_number(left) or _is_number(right)
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            return _is_number(left) and _is_number(right)
        case ast.BinOp(op=ast.Mod(), left=left):
            return _is_number(left)
        case ast.BinOp() | ast.UnaryOp():
            return True
        case ast.IfExp(body=body, orelse=orelse):
            return _is_number(body) and _is_number(orelse)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
            return name in NUMERIC_CALLS or (
                name in ("max", "min") and len(arguments) > 1 and any(map(_is_number, arguments))
            )
    return False
