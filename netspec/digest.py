"""A short digest of the text that a graph came from."""

from __future__ import annotations

from hashlib import sha256

from netspec.diagnostics import Span
from netspec.syntax import Block, Model

LENGTH = 12


def spec_digest(model: Model) -> str:
    """The first 12 hex digits of a SHA-256 over the spec's file and the libraries it includes.

    It depends on the text of these files alone: not on their names or places, their order among
    the includes or how they end their lines, nor on the parameters that the model was given.
    """
    own = _unified(model.span)
    libraries = {_unified(block.span) for block in _reachable(model.blocks)} - {own}
    whole = sha256()
    for text in (own, *sorted(libraries)):
        whole.update(sha256(text.encode()).digest())
    return whole.hexdigest()[:LENGTH]


def _unified(span: Span) -> str:
    return span.source.text.replace("\r\n", "\n")


def _reachable(blocks: dict[str, Block]) -> list[Block]:
    """Blocks with all that their own files see."""
    found: dict[int, Block] = {}
    pending = list(blocks.values())
    while pending:
        block = pending.pop()
        if id(block) not in found:
            found[id(block)] = block
            pending += block.scope.values()
    return list(found.values())
