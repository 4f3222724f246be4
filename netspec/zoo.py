"""Find the spec that a user names: a zoo name, a path, or `path::variant`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from netspec.diagnostics import Enough, Findings, SourceText
from netspec.files import load_file
from netspec.lazy import hints
from netspec.reader import Mapping, Scalar, read
from netspec.record import value_record
from netspec.syntax import Library, Model


class UsageError(ValueError):
    """The command or call itself is wrong, such as an unknown spec or parameter."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(f"{message} ({hint})" if hint else message)


@value_record
class Found:
    """A spec file, and the variant of it that is meant (None: its defaults)."""

    path: Path
    shown: str
    variant: str | None


def zoo_folder() -> Path:
    """Where the shipped specs are."""
    import netspec.specs

    return Path(netspec.specs.__path__[0])


def zoo_names() -> dict[str, Found]:
    """Every model of the zoo by name, sorted; a family's variants stand for the family."""
    names: dict[str, Found] = {}
    for path in sorted(zoo_folder().glob("*.yaml")):
        model, variants = _names_in(path)
        for variant in variants:
            names[variant] = Found(path, path.name, variant)
        if model and not variants:
            names[model] = Found(path, path.name, None)
    return dict(sorted(names.items()))


def find(spec: str | os.PathLike[str]) -> Found:
    """The file and variant that `spec` names.

    Raises:
        UsageError: there is none.
    """
    text = os.fspath(spec)
    path, chosen, variant = text.partition("::")
    if chosen and not variant:
        raise UsageError(f"no variant is named after `::` in {text!r}")
    if os.path.isfile(path):
        return Found(Path(path), path, variant or None)
    if variant or os.sep in path or path.endswith((".yaml", ".yml")):
        if variant and path in zoo_names():
            hint = f"{path} is a model of the zoo: `{variant}` stands alone, or after a file's path"
            raise UsageError(f"no file {path!r}", hint)
        if os.path.isdir(path):
            raise UsageError(f"{path!r} is a folder, and a spec is a file")
        raise UsageError(f"no file {path!r}")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise UsageError(f"no spec {text!r}")
    return _in_zoo(text)


def _in_zoo(name: str) -> Found:
    folder = zoo_folder()
    own = folder / f"{name}.yaml"
    mention = re.compile(rf"^ +{re.escape(name)} *:|^name: *{re.escape(name)} *$", re.MULTILINE)
    files = [p for p in folder.glob("*.yaml") if mention.search(p.read_text("utf-8"))]
    for path in sorted(files, key=lambda p: p != own):
        model, variants = _names_in(path)
        if name in variants:
            return Found(path, path.name, name)
        if model == name:
            return Found(path, path.name, None)
    for file in (f"{name}.yaml", f"{name}.yml"):
        if os.path.isfile(file):
            raise UsageError(f"no spec named {name!r} in the zoo", f"the file here is {file!r}")
    hint = hints.suggestion(name, zoo_names())
    meant = hint if hint and hint.startswith("did") else "`netspec list` shows the zoo"
    raise UsageError(f"no spec named {name!r}, neither in the zoo nor as a file", meant)


def _names_in(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """A model's name and its variants', without checking it; None for a library.

    In the zoo's files both stand before the blocks and the body: no more of it has to be read.
    """
    head = re.split("^(?:blocks|body):", path.read_text("utf-8"), maxsplit=1, flags=re.MULTILINE)
    root = read(SourceText.of(path.name, head[0]), Findings())
    name = root.get("name") if isinstance(root, Mapping) else None
    if not isinstance(root, Mapping) or not isinstance(name, Scalar):
        return None, ()
    variants = root.get("variants")
    keys = variants.entries if isinstance(variants, Mapping) else ()
    return name.text, tuple(key.text for key, _ in keys)


def load_any(found: Found, findings: Findings) -> Model | Library | None:
    """The model or library in a file; None with reasons in `findings`.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return load_file(found.path, findings, found.shown)
    except Enough:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {found.shown}: {error.strerror or error}") from None


def load_model(found: Found, findings: Findings) -> Model | None:
    """The model in a file; None with reasons in `findings`.

    Raises:
        UsageError: the file is a library, cannot be read, or lacks the variant.
    """
    model = load_any(found, findings)
    if isinstance(model, Library):
        if findings.failed:
            return None  # a model that forgot its body, rather than a library
        hint = "a model has a `body`; `netspec check` alone takes libraries"
        raise UsageError(f"{found.shown} is a library of blocks, not a model", hint)
    if model and found.variant and found.variant not in [v.name for v in model.variants]:
        names = [v.name for v in model.variants]
        hint = hints.suggestion(found.variant, names, "it has") or "it has none"
        raise UsageError(f"{found.shown} has no variant {found.variant!r}", hint)
    return model
