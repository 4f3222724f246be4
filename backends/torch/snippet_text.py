"""The torch snippets as text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from netspec.backends import snippet_text as general

SNIPPETS = [Path(__file__).with_name(f"snippets_{name}.py") for name in ("windows", "layers")]
_files = list(SNIPPETS)


def add_snippets(path: Path) -> None:
    """Let lowerings of another package name definitions of a file of theirs as helpers.

    Raises:
        ValueError: it defines a name that another file defines.
        OSError: it cannot be read.
    """
    general.add_snippets(_files, path)


def snippet_text(names: Iterable[str]) -> tuple[frozenset[str], str]:
    """The import lines and the text of snippets and of all that they use.

    Raises:
        KeyError: there is no snippet of this name.
    """
    return general.snippet_text(_files, names)


def snippet_names() -> frozenset[str]:
    """The names of all snippets."""
    return general.snippet_names(_files)
