"""Validate YAML nodes with the JSON Schema and explain what it finds in the spec's own words."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable
from functools import cache
from itertools import islice
from typing import Any

from netspec.diagnostics import Findings, Span
from netspec.reader import Mapping, Scalar, Sequence, YamlNode, plain
from netspec.schema import make_schema

LISTED = 16  # names in a hint
COMPARED = 500  # names that a misspelt one is compared with
_SCOPES = ("params", "let")
_DASHES = ("-", "\u2013", "\u2014", "\u2022")
YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def validate(root: YamlNode, findings: Findings) -> None:
    """Report every place where the document does not match the schema, and poison it."""
    for error in _validator(_registered()).iter_errors(plain(root)):
        path = list(error.absolute_path)
        nodes = _trail(root, path)
        if not any(findings.is_poisoned(node) for node in nodes):
            _explain(error, path, nodes, findings)


def close_match(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    import difflib  # only mistakes pay for it

    names = list(islice(known, COMPARED))
    lowered = {name.lower(): name for name in reversed(names)}
    word = word.lower()
    for found in difflib.get_close_matches(word, list(lowered), n=3, cutoff=0.6):
        # Typing errors seldom begin a word, and endings such as -ation make strangers alike.
        alike = difflib.SequenceMatcher(None, word, found).ratio() >= 0.7
        if alike or found[:1] == word[:1]:
            return lowered[found]
    return None


def meant(word: str, known: Iterable[str], dialect: str | None = None) -> str | None:
    """`did you mean ...?`, or what to write instead of another framework's word.

    `dialect` is the table of `netspec.dialects` that has such words.
    """
    names = list(known)
    if dialect:
        from netspec import dialects  # only mistakes pay for it

        if advice := dialects.advice(word, names, getattr(dialects, dialect)):
            return advice
    close = close_match(word, names)
    return f"did you mean `{close}`?" if close else None


def suggestion(
    word: str, known: Iterable[str], what: str = "known names are", dialect: str | None = None
) -> str | None:
    """What was meant, or the list of what there is."""
    names = list(known)
    more = ", ..." if len(names) > LISTED else ""
    listed = f"{what} {', '.join(names[:LISTED])}{more}" if names else None
    return meant(word, names, dialect) or listed


def op_hint(kind: str, known: Iterable[str]) -> str | None:
    """What was meant by a name that is no op or block."""
    if len(kind) >= 60:
        return None
    names = list(known)
    head = re.match(r"\w+", kind)
    if head and head[0] != kind and head[0] in names and not kind.endswith("()"):
        return f"arguments are written by name: {{{head[0]}: {{NAME: ...}}}}"
    listed = "`netspec schema` lists the ops; blocks are defined under `blocks:`"
    return meant(kind, names, "OPS") or listed


def attribute_hint(name: str, known: Iterable[str]) -> str | None:
    """What was meant by a name that is no attribute of an op, or no parameter of a block."""
    return suggestion(name, known, "it has", "ATTRIBUTES")


def missing_words(owner: str, names: list[str]) -> tuple[str, str]:
    """Message and hint for arguments that an op or a block needs."""
    return f"`{owner}` needs {' and '.join(f'`{n}`' for n in names)}", f"add `{names[0]}: ...`"


def text_hint(text: str, kind: str, names: Container[str] = ()) -> str | None:
    """What was meant by text where something else belongs: a formula, a number, a truth value.

    `kind` is the type of what belongs there, `names` are those that a formula could read.
    """
    from netspec.dialects import VALUES, enclosed

    if formula := _forgotten_formula(enclosed(text) or text, names):
        return f"did you mean `={formula}`?"
    word = text.lower()
    if kind == "bool" and word in YAML_1_1:
        return f"write `{YAML_1_1[word]}`"
    if text.startswith(_DASHES):
        return "items of a list begin with `- `, in plain text"
    if word == "none" or (kind == "Padding" and word in VALUES):
        return VALUES[word]
    number = text.replace("_", "")
    if word in ("true", "false") if kind == "bool" else _is_number(number):
        return "remove the quotes" if number == text else f"write `{number}`"
    if text.startswith("(") and text.endswith(")"):
        return f"a list is written [{text[1:-1]}]"
    if re.fullmatch(r"\d+(x\d+)+", text):
        return f"a list is written [{text.replace('x', ', ')}]"
    return None


def _forgotten_formula(text: str, names: Container[str]) -> str | None:
    """The text, if with an `=` before it it would be a formula over names that there are."""
    from netspec.formula import Binary, FormulaError, InputShape, Literal, Unary, free, parse

    try:
        expr = parse(text)
    except FormulaError:
        return None
    read = free(expr)
    if not all(isinstance(name, InputShape) or name.name in names for name in read):
        return None
    if not read and (isinstance(expr, Literal) or not isinstance(expr, (Binary, Unary))):
        return None
    return text


def show(value: Any) -> str:
    """A value as messages name it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = value if len(value) <= 40 else value[:37] + "..."
        return f"text `{text}`"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}" if len(value) > 4 else f"the list {_inline(value)}"
    return "a mapping" if isinstance(value, dict) else str(value)


def _inline(value: Any, depth: int = 2) -> str:
    if isinstance(value, (list, tuple)):
        if not depth:  # lists of formulas share their items: written out they are exponential
            return "[...]"
        items = ", ".join(_inline(v, depth - 1) for v in value[:4])
        return f"[{items}{', ...' if len(value) > 4 else ''}]"
    if isinstance(value, dict):
        return "{...}"
    if isinstance(value, str) and _is_number(value):
        return f"'{value}'"
    return str(value)[:40].lower() if isinstance(value, bool) else str(value)


def _registered() -> tuple[str, ...]:
    from netspec.ops import Op

    return tuple(Op.registry)


@cache
def _validator(kinds: tuple[str, ...]) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(make_schema())


def _trail(root: YamlNode, path: list[Any]) -> list[YamlNode]:
    """The nodes from the root down to a path's end."""
    nodes = [root]
    for step in path:
        node = nodes[-1]
        child: YamlNode | None = None
        if isinstance(node, Mapping) and isinstance(step, str):
            child = node.get(step)
        elif isinstance(node, Sequence) and isinstance(step, int):
            child = node.items[step]
        if child is None:
            break
        nodes.append(child)
    return nodes


def _explain(error: Any, path: list[Any], nodes: list[YamlNode], findings: Findings) -> None:
    schema, node = error.schema, nodes[-1]
    match error.validator:
        case "additionalProperties":
            _unknown_keys(error, path, node, findings)
        case "required":
            properties = (schema if path else make_schema()).get("properties", {})
            if error.instance.keys() - properties.keys():  # it is there, under another name
                if not path:
                    findings.poison(node)  # nor is the file a library
                return
            missing = [k for k in error.validator_value if k not in error.instance]
            what = "this file" if not path else _subject(path)
            message = f"{what} needs {' and '.join(f'`{k}`' for k in missing)}"
            hint = _example(properties.get(missing[0], {}), f"{missing[0]}: ")
            neither = not path and missing == ["blocks"]
            if neither:  # a model that forgot its body, most likely
                message = "this file needs `body`, as a model has, or `blocks`, as a library has"
                hint = None
            findings.error("missing-key", message, _head(node), hint)
            if path or neither:
                findings.poison(node)
        case "propertyNames" | "enum" if schema is not None and not path:
            _not_in_library(error, node, findings)
        case "minProperties" | "minItems" if error.instance in ({}, []):
            findings.error("empty-node", f"{_subject(path)} is empty", node.span)
            findings.poison(node)
        case _:
            _wrong_value(error, path, nodes, findings)


def _unknown_keys(error: Any, path: list[Any], node: YamlNode, findings: Findings) -> None:
    assert isinstance(node, Mapping)
    known = error.schema["properties"]
    owner = error.schema.get("x-owner")
    for key, _ in node.entries:
        if key.text in known or findings.is_poisoned(key):
            continue
        findings.poison(key)
        if owner:
            message = f"`{owner}` has no attribute `{key.text}`"
            hint = attribute_hint(key.text, known)
            findings.error("unknown-attribute", message, key.span, hint)
        elif path and path[-1] == "defaults":
            hint = op_hint(key.text, known)
            findings.error("unknown-op", f"unknown op `{key.text}`", key.span, hint)
        else:
            where = f"`{path[-1]}`" if path else "a spec"
            hint = suggestion(key.text, known, "it has")
            findings.error("unknown-key", f"{where} has no key `{key.text}`", key.span, hint)
    if path[-1:] == ["repeat"] or path[-2:-1] in (["params"], ["outputs"]):
        findings.poison(node)


def _not_in_library(error: Any, node: YamlNode, findings: Findings) -> None:
    if isinstance(node, Mapping) and node.get(error.instance) is not None:
        message = f"this file has no `body`, so it is a library, which has no `{error.instance}`"
        hint = "a model needs `body:`"
        findings.error("missing-key", message, node.key(error.instance).span, hint)


def _wrong_value(error: Any, path: list[Any], nodes: list[YamlNode], findings: Findings) -> None:
    words, node = error.schema.get("x-expects", "something else"), nodes[-1]
    hint = None
    if isinstance(error.instance, str):
        kind, names = error.schema.get("x-type", ""), _formula_names(nodes)
        options = _texts(error.schema)
        hint = "remove the quotes" if error.instance in options else None
        hint = hint or meant(error.instance, options, error.schema.get("x-dialect"))
        hint = hint or text_hint(error.instance, kind, names)
    elif isinstance(node, Scalar) and node.text and error.schema.get("type") == "string":
        hint = f'write "{node.text}"'
    elif isinstance(node, Mapping) and len(node.entries) == 1:
        ((key, _),) = node.entries
        if key.text in _formula_names(nodes) and error.instance == {key.text: None}:
            hint = f"did you mean `={key.text}`?"
    if isinstance(error.instance, list) and path[-1:] == ["from"]:
        hint = f"several values are joined first: `concat: {_inline(error.instance)}`"
    hint = hint or _example(error.schema)
    subject = _subject(path)
    if "x-single" in error.schema and not isinstance(error.instance, list):
        single, words = error.schema["x-single"]
        subject = f"`{single}` of {subject}"
    message = f"{subject} must be {words}, not {show(error.instance)}"
    if "x-single" in error.schema and isinstance(error.instance, list):
        message = f"{subject} takes arguments by name, not a list"
        hint = f"write {{{error.schema['x-single'][0]}: ...}}"
    findings.error("wrong-type", message, node.span, hint)
    findings.poison(node)


def _example(schema: Any, key: str = "") -> str | None:
    if "$ref" in schema:
        schema = make_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    return f"for example `{key}{schema['x-example']}`" if "x-example" in schema else None


def _formula_names(nodes: list[YamlNode]) -> set[str]:
    """What the mappings around a value call their params, lets and loops."""
    root = nodes[0]
    if isinstance(root, Mapping) and nodes[1:2] == [root.get("blocks")]:
        nodes = nodes[1:]  # a block sees nothing of its file
    names: set[str] = set()
    for node in nodes:
        for key, value in node.entries if isinstance(node, Mapping) else ():
            if key.text in _SCOPES and isinstance(value, Mapping):
                names |= {name.text for name, _ in value.entries}
            elif key.text == "repeat":
                names |= _loop_names(value)
    return names


def _loop_names(repeat: YamlNode) -> set[str]:
    parts = [repeat.get(key) for key in ("index", "as")] if isinstance(repeat, Mapping) else []
    listed = [p for part in parts for p in (part.items if isinstance(part, Sequence) else [part])]
    return {"i", *(part.text for part in listed if isinstance(part, Scalar))}


def _texts(schema: Any) -> list[str]:
    options = [schema, *schema.get("anyOf", [])]
    found = [str(o["const"]) for o in options if "const" in o]
    return found + [str(c) for o in options for c in o.get("enum", [])]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _subject(path: list[Any]) -> str:
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return "the file"
    return f"`{names[-1]}`" if isinstance(path[-1], str) else f"each item of `{names[-1]}`"


def _head(node: YamlNode) -> Span:
    if isinstance(node, Mapping) and node.entries:
        return node.entries[0][0].span
    return node.span
