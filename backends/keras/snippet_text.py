"""The Keras snippets as text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from netspec.backends import snippet_text as general

SNIPPETS = Path(__file__).with_name("snippets.py")


def snippet_text(names: Iterable[str]) -> tuple[frozenset[str], str]:
    """The import lines and the text of snippets and of all that they use.

    Raises:
        KeyError: there is no snippet of this name.
    """
    return general.snippet_text(SNIPPETS, names)
