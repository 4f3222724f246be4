"""Load spec files and the libraries that they include."""

from __future__ import annotations

import gc
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netspec.diagnostics import Enough, Findings, Note, SourceText, Span
from netspec.lazy import hints
from netspec.ops import Op
from netspec.parse import NAME, NAME_LIMIT, Parser
from netspec.reader import Mapping, Scalar, Sequence, YamlNode, read
from netspec.record import record
from netspec.schema import validate
from netspec.syntax import KEYWORDS, Block, Library, Model

INCLUDE_LIMIT = 16  # files, one inside the other
FILE_LIMIT = 16 * 2**20


def load_file(path: Path, findings: Findings, shown: str | None = None) -> Model | Library | None:
    """Read a spec or a library; None, with reasons in `findings`, if nothing can be made of it.

    The last file is read and validated once for all its variants, while no text of it changes.

    Raises:
        OSError: the file cannot be read.
    """
    global _last
    key = (os.path.abspath(path), shown, *Op.registry.values())
    last = _last
    if last is None or last.key != key or not last.is_current():
        _last = last = None
        loader = _Loader()
        try:
            with uncollected():
                result = loader.load(path, shown or str(path), ())
        except Enough:
            findings.adopt(loader.findings)
            raise
        _last = last = _Loaded(key, loader.texts, loader.findings, result)
    findings.adopt(last.findings)
    return last.result


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: all that loading makes lives on, and is much."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@record
class _Loaded:
    """A file that was read, with the texts that it was made of (None: a library without any)."""

    key: tuple[object, ...]
    texts: dict[Path, bytes | None]
    findings: Findings
    result: Model | Library | None

    def is_current(self) -> bool:
        return all(_text_of(path) == text for path, text in self.texts.items())


_last: _Loaded | None = None


def _bytes_of(path: Path, shown: str) -> bytes:
    """A file's bytes, one more than `FILE_LIMIT` at most.

    Raises:
        OSError: it is no file, or cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(f"{shown} is not a file")
    with open(path, "rb") as file:
        return file.read(FILE_LIMIT + 1)


def _text_of(path: Path) -> bytes | None:
    try:
        return _bytes_of(path, "")
    except OSError:
        return None


class _Loader:
    def __init__(self) -> None:
        self.findings = Findings()
        self.texts: dict[Path, bytes | None] = {}
        self.libraries: dict[Path, Library | None] = {}

    def load(
        self, path: Path, shown: str, chain: tuple[tuple[Path, Span], ...]
    ) -> Model | Library | None:
        self.texts[path] = None
        self.texts[path] = data = _bytes_of(path, shown)
        if len(data) > FILE_LIMIT:
            self.findings.error("too-large", f"{shown} is larger than {FILE_LIMIT >> 20} MiB", None)
            return None
        try:
            source = SourceText.of(shown, data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            where = _undecoded(shown, data)
            message = f"this is not UTF-8 text: {error.reason}"
            self.findings.error("yaml", message, where, "save the file as UTF-8")
            return None
        root = read(source, self.findings)
        if root is None:
            return None
        if not isinstance(root, Mapping):
            self.findings.error("wrong-type", "a spec is a mapping of keys", root.span)
            return None
        validate(root, self.findings)
        return self.file(root, path, shown, chain)

    def file(
        self, root: Mapping, path: Path, shown: str, chain: tuple[tuple[Path, Span], ...]
    ) -> Model | Library | None:
        parser = Parser(self.findings)
        blocks: dict[str, Block] = {}
        named = self.include(root.get("include"), blocks, path, shown, chain, parser)
        named |= self.blocks(root.get("blocks"), blocks, parser)
        body, name = root.get("body"), root.get("name")
        doc = _text(root.get("doc"))
        if body is None:
            return Library(doc, blocks, root.span)
        if not isinstance(name, Scalar):
            return None
        good = name.value is not None  # else it is reported
        if good and not (NAME.fullmatch(name.text) and len(name.text) <= NAME_LIMIT):
            # The name becomes the names of files, classes and models.
            message = f"a model's name has at most {NAME_LIMIT} letters, digits, _ and -"
            similar = re.sub(r"\W+", "_", name.text[:NAME_LIMIT], flags=re.ASCII).strip("_")
            hint = f"did you mean `{similar}`?" if similar else None
            self.findings.error("bad-name", message, name.span, hint)
        return Model(
            name.text,
            doc,
            _text(root.get("source")),
            parser.params(root.get("params")),
            parser.variants(root.get("variants")),
            parser.lets(root.get("let")),
            parser.inputs(root.get("inputs")),
            parser.defaults(root.get("defaults")),
            blocks,
            named,
            parser.body(body),
            parser.outputs(root.get("outputs")),
            name.span,
        )

    def blocks(
        self, node: YamlNode | None, scope: dict[str, Block], parser: Parser
    ) -> dict[str, Span]:
        """Add a file's own blocks to its scope; where each is defined."""
        own = {}
        for key, value in self.readable(node, scope):
            if not parser.identifier(key, "a block"):
                scope.setdefault(key.text, parser.broken_block(key))
                continue
            if key.text in Op.registry or key.text in KEYWORDS:
                message = f"`{key.text}` is already the name of an op"
                if key.text not in Op.registry:
                    message = f"`{key.text}` is a word of the language"
                self.findings.error("duplicate-name", message, key.span)
                scope[key.text] = parser.broken_block(key)
            elif not self.taken(key, scope):
                scope[key.text] = parser.block(key, value, scope)
                own[key.text] = key.span
        return own

    def readable(
        self, node: YamlNode | None, scope: dict[str, Block]
    ) -> tuple[tuple[Scalar, YamlNode], ...]:
        """The entries of what defines blocks; if some cannot be read, names of no blocks say so."""
        if node is not None and (not isinstance(node, Mapping) or self.findings.is_poisoned(node)):
            self.findings.poison(scope)
        return node.entries if isinstance(node, Mapping) else ()

    def taken(self, name: Scalar, scope: dict[str, Block]) -> bool:
        """Whether there is a block of this name; reports it."""
        if name.text not in scope:
            return False
        note = Note("the other is here", scope[name.text].span)
        message = f"a block named `{name.text}` is already included"
        self.findings.error("duplicate-name", message, name.span, None, (note,))
        return True

    def include(
        self,
        node: YamlNode | None,
        scope: dict[str, Block],
        path: Path,
        shown: str,
        chain: tuple[tuple[Path, Span], ...],
        parser: Parser,
    ) -> dict[str, Span]:
        """Add the blocks of libraries to a file's scope; where each is named."""
        included = {}
        for key, names in self.readable(node, scope):
            if self.findings.is_poisoned(names):
                self.findings.poison(scope)
                continue
            library = self.library(key, path, shown, chain)
            for name in names.items if isinstance(names, Sequence) else ():
                if not isinstance(name, Scalar):
                    continue
                if self.taken(name, scope):
                    continue
                included[name.text] = name.span
                if library is not None and name.text in library.blocks:
                    scope[name.text] = library.blocks[name.text]
                else:
                    scope[name.text] = parser.broken_block(name)
                    if library is not None:
                        hint = hints.suggestion(name.text, library.blocks, "it has")
                        message = f"{key.text} has no block `{name.text}`"
                        self.findings.error("unknown-block", message, name.span, hint)
        return included

    def library(
        self, key: Scalar, path: Path, shown: str, chain: tuple[tuple[Path, Span], ...]
    ) -> Library | None:
        """The library at a path below this file's folder."""
        folder = path.parent.resolve()
        # Not pathlib's: `os.path.realpath` leaves a loop of links for the reader to refuse.
        target = Path(os.path.realpath(folder / key.text)) if "\0" not in key.text else folder
        if Path(key.text).is_absolute() or not target.is_relative_to(folder) or target == folder:
            message = f"`{key.text}` does not lie below this file's folder"
            self.findings.error("bad-include", message, key.span)
            return None
        chain = (*chain, (path.resolve(), key.span))
        if target in [seen for seen, _ in chain]:
            notes = tuple(Note("included from here", span) for _, span in reversed(chain[:-1]))
            message = f"`{key.text}` includes itself"
            self.findings.error("include-cycle", message, key.span, None, notes)
            return None
        if len(chain) > INCLUDE_LIMIT:
            message = f"files are included more than {INCLUDE_LIMIT} deep"
            self.findings.error("bad-include", message, key.span)
            return None
        if target not in self.libraries:
            self.libraries[target] = self._read_library(key, target, shown, chain)
        return self.libraries[target]

    def _read_library(
        self, key: Scalar, target: Path, shown: str, chain: tuple[tuple[Path, Span], ...]
    ) -> Library | None:
        beside = os.path.join(os.path.dirname(shown), key.text)
        try:
            loaded = self.load(target, beside, chain)
        except OSError as error:
            message = f"cannot read `{key.text}`: {error.strerror or error}"
            near = _similar(target)
            meant = near and os.path.join(os.path.dirname(key.text), near)
            hint = f"did you mean `{meant}`?" if meant else None
            self.findings.error("bad-include", message, key.span, hint)
            return None
        if isinstance(loaded, Model):
            message = f"`{key.text}` is a model; only libraries (files without `body`) are included"
            self.findings.error("bad-include", message, key.span)
            return None
        return loaded


def _similar(path: Path) -> str | None:
    """The file beside a path that was probably meant."""
    import difflib  # only mistakes pay for it

    try:
        names = {Path(n).stem: n for n in os.listdir(path.parent) if n.endswith((".yaml", ".yml"))}
    except OSError:
        return None
    found = difflib.get_close_matches(path.stem, names, n=1, cutoff=0.8)
    return names[found[0]] if found else None


def _undecoded(shown: str, data: bytes) -> Span:
    """The place of the first byte that is not UTF-8."""
    text = data.decode("utf-8-sig", "replace")
    before = text.partition("\ufffd")[0].split("\n")
    line, column = len(before), len(before[-1]) + 1
    return Span(SourceText.of(shown, text), line, column, line, column + 1)


def _text(node: YamlNode | None) -> str:
    return node.text if isinstance(node, Scalar) else ""
