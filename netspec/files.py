"""Load spec files and the libraries that they include."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from netspec.diagnostics import Findings, Note, SourceText, Span
from netspec.explain import suggestion, validate
from netspec.ops import Op
from netspec.parse import KEYWORDS, NAME, NAME_LIMIT, Parser
from netspec.reader import Mapping, Scalar, Sequence, YamlNode, read
from netspec.syntax import Block, Library, Model

INCLUDE_LIMIT = 16  # files, one inside the other
FILE_LIMIT = 16 * 2**20


def load_file(path: Path, findings: Findings, shown: str | None = None) -> Model | Library | None:
    """Read a spec or a library; None, with reasons in `findings`, if nothing can be made of it.

    Raises:
        OSError: the file cannot be read.
    """
    return _Loader(findings).load(path, shown or str(path), ())


class _Loader:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.libraries: dict[Path, Library | None] = {}

    def load(
        self, path: Path, shown: str, chain: tuple[tuple[Path, Span], ...]
    ) -> Model | Library | None:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(f"{shown} is not a file")
        if os.path.getsize(path) > FILE_LIMIT:
            self.findings.error("too-large", f"{shown} is larger than {FILE_LIMIT >> 20} MiB", None)
            return None
        data = path.read_bytes()
        try:
            source = SourceText.of(shown, data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            where = _undecoded(shown, data)
            self.findings.error("yaml", f"this is not UTF-8 text: {error.reason}", where)
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
        self.include(root.get("include"), blocks, path, shown, chain, parser)
        own = self.blocks(root.get("blocks"), blocks, parser)
        body, name = root.get("body"), root.get("name")
        doc = _text(root.get("doc"))
        if body is None:
            return Library(doc, blocks, root.span)
        if not isinstance(name, Scalar):
            return None
        if not (NAME.fullmatch(name.text) and len(name.text) <= NAME_LIMIT):
            # The name becomes the names of files, classes and models.
            message = "a model's name has at most 100 letters, digits, _ and -"
            self.findings.error("bad-name", message, name.span)
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
            own,
            parser.body(body),
            parser.outputs(root.get("outputs")),
            name.span,
        )

    def blocks(
        self, node: YamlNode | None, scope: dict[str, Block], parser: Parser
    ) -> tuple[str, ...]:
        """Add a file's own blocks to its scope."""
        own = []
        for key, value in node.entries if isinstance(node, Mapping) else ():
            if not parser.identifier(key, "a block"):
                continue
            if key.text in Op.registry or key.text in KEYWORDS:
                message = f"`{key.text}` is already the name of an op"
                if key.text not in Op.registry:
                    message = f"`{key.text}` is a word of the language"
                self.findings.error("duplicate-name", message, key.span)
                continue
            if key.text in scope:
                note = Note("the other is here", scope[key.text].span)
                message = f"a block named `{key.text}` is already included"
                self.findings.error("duplicate-name", message, key.span, None, (note,))
                continue
            scope[key.text] = parser.block(key, value, scope)
            own.append(key.text)
        return tuple(own)

    def include(
        self,
        node: YamlNode | None,
        scope: dict[str, Block],
        path: Path,
        shown: str,
        chain: tuple[tuple[Path, Span], ...],
        parser: Parser,
    ) -> None:
        if not isinstance(node, Mapping) or self.findings.is_poisoned(node):
            return
        for key, names in node.entries:
            if self.findings.is_poisoned(names):
                continue
            library = self.library(key, path, shown, chain)
            for name in names.items if isinstance(names, Sequence) else ():
                if not isinstance(name, Scalar):
                    continue
                if name.text in scope:
                    message = f"a block named `{name.text}` is already included"
                    self.findings.error("duplicate-name", message, name.span)
                elif library is not None and name.text in library.blocks:
                    scope[name.text] = library.blocks[name.text]
                else:
                    scope[name.text] = parser.broken_block(name)
                    if library is not None:
                        hint = suggestion(name.text, library.blocks, "it has")
                        message = f"{key.text} has no block `{name.text}`"
                        self.findings.error("unknown-block", message, name.span, hint)

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
            reason = error.strerror or str(error)
            self.findings.error("bad-include", f"cannot read `{key.text}`: {reason}", key.span)
            return None
        if isinstance(loaded, Model):
            message = f"`{key.text}` is a model; only libraries (files without `body`) are included"
            self.findings.error("bad-include", message, key.span)
            return None
        return loaded


def _undecoded(shown: str, data: bytes) -> Span:
    """The place of the first byte that is not UTF-8."""
    text = data.decode("utf-8-sig", "replace")
    before = text.partition("\ufffd")[0].split("\n")
    line, column = len(before), len(before[-1]) + 1
    return Span(SourceText.of(shown, text), line, column, line, column + 1)


def _text(node: YamlNode | None) -> str:
    return node.text if isinstance(node, Scalar) else ""
