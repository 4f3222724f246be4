"""Snippets as text: what a backend's snippet files define, read without importing them.

Generated source copies them, and is written without the framework that it is for. The backend's
own files may import from each other; other packages add theirs, whose definitions use no other
file's. `load__small` is a variant of `load`: source that asks for it has it under the plain name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

OWN = "netspec."  # where imports of names that are snippets themselves begin
VARIANT = "__"


@dataclass(frozen=True, slots=True)
class Snippet:
    """A top-level definition: its text, and the names in it that the file imports or defines."""

    text: str
    imports: frozenset[str]
    needs: frozenset[str]


def add_snippets(files: list[Path], path: Path) -> None:
    """Add a file of another package to a backend's.

    Raises:
        ValueError: it defines a name that another file defines.
        OSError: it cannot be read.
    """
    if twice := snippet_names(files) & snippet_names([path]):
        raise ValueError(f"{path.name} defines {', '.join(sorted(twice))} once more")
    files.append(path)


def snippet_text(files: Iterable[Path], names: Iterable[str]) -> tuple[frozenset[str], str]:
    """The import lines and the text of snippets and of all that they use.

    A line imports one name, so that sets of lines can be united. Definitions stand in the order of
    the files, two empty lines between them.

    Raises:
        KeyError: there is no snippet of this name.
    """
    snippets = {name: found for path in files for name, found in _snippets(path).items()}
    pending = list(names)
    chosen = {name.partition(VARIANT)[0]: name for name in pending}
    wanted: set[str] = set()
    while pending:
        name = pending.pop()
        name = chosen.get(name, name)
        if name not in wanted:
            wanted.add(name)
            pending += snippets[name].needs
    kept = [snippet for name, snippet in snippets.items() if name in wanted]
    imports = frozenset[str]().union(*(snippet.imports for snippet in kept))
    text = "\n\n\n".join(snippet.text for snippet in kept)
    for plain, variant in chosen.items():
        text = re.sub(rf"\b{variant}\b", plain, text)
    return imports, text


def snippet_names(files: Iterable[Path]) -> frozenset[str]:
    """The names of all snippets, which generated code must not take where they are copied."""
    return frozenset(name.partition(VARIANT)[0] for path in files for name in _snippets(path))


def defined_names(text: str) -> frozenset[str]:
    """The names that the text of snippets defines."""
    return frozenset(re.findall(r"^(?:class|def) (\w+)", text, re.MULTILINE))


@cache
def _snippets(path: Path) -> dict[str, Snippet]:
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    imports: dict[str, str] = {}
    others: set[str] = set()
    definitions: dict[str, ast.FunctionDef | ast.ClassDef] = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(OWN):
            others.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            imports.update(_imported(statement))
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            definitions[statement.name] = statement
    found = {}
    for name, definition in definitions.items():
        first = min([definition.lineno, *(d.lineno for d in definition.decorator_list)])
        used = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}
        found[name] = Snippet(
            "\n".join(lines[first - 1 : definition.end_lineno]),
            frozenset(imports[other] for other in used & imports.keys()),
            frozenset(used & (definitions.keys() | others) - {name}),
        )
    return found


def _imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Names that an import binds, each with a line that imports it alone."""
    origin = f"from {statement.module} " if isinstance(statement, ast.ImportFrom) else ""
    for alias in statement.names:
        text = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
        yield alias.asname or alias.name, f"{origin}import {text}"
