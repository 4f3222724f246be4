"""Validate YAML nodes with the JSON Schema and explain what it finds in the spec's own words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import Any

from netspec.diagnostics import Findings, Span
from netspec.reader import Mapping, Scalar, Sequence, YamlNode, plain
from netspec.schema import make_schema

LISTED = 16  # names in a hint
COMPARED = 500  # names that a misspelt one is compared with
_SCOPES = ("params", "let")
_YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}


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


def suggestion(word: str, known: Iterable[str], what: str = "known names are") -> str | None:
    """`did you mean ...?`, or the list of what there is."""
    names = list(known)
    meant = close_match(word, names)
    if meant:
        return f"did you mean `{meant}`?"
    more = ", ..." if len(names) > LISTED else ""
    return f"{what} {', '.join(names[:LISTED])}{more}" if names else None


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
            if not path and error.instance.keys() - make_schema()["properties"].keys():
                findings.poison(node)  # the key is there, under another name
                return
            missing = [k for k in error.validator_value if k not in error.instance]
            what = "this file" if not path else _subject(path)
            message = f"{what} needs {' and '.join(f'`{k}`' for k in missing)}"
            if not path and missing == ["blocks"]:  # a model that forgot its body, most likely
                message = "this file needs `body`, as a model has, or `blocks`, as a library has"
            where = _head(node)
            findings.error("missing-key", message, where)
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
            hint = suggestion(key.text, known, "it has")
            findings.error("unknown-attribute", message, key.span, hint)
        elif path and path[-1] == "defaults":
            hint = suggestion(key.text, known, "ops are")
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
        options = _texts(error.schema)
        meant = close_match(error.instance, options)
        if meant:
            hint = f"did you mean `{meant}`?"
        elif error.instance in _formula_names(nodes):
            hint = f"did you mean `={error.instance}`?"
        elif error.instance in _YAML_1_1 and {"type": "boolean"} in error.schema.get("anyOf", []):
            hint = f"write `{_YAML_1_1[error.instance]}`"
        elif isinstance(node, Scalar) and not node.plain and _is_number(error.instance):
            hint = "remove the quotes"
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


def _formula_names(nodes: list[YamlNode]) -> set[str]:
    """What the mappings around a value call their params and lets."""
    around = (node.get(key) for node in nodes if isinstance(node, Mapping) for key in _SCOPES)
    return {key.text for names in around if isinstance(names, Mapping) for key, _ in names.entries}


def _texts(schema: Any) -> list[str]:
    options = [schema, *schema.get("anyOf", [])]
    found = [str(o["const"]) for o in options if "const" in o]
    return found + [str(c) for o in options for c in o.get("enum", [])]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _subject(path: list[Any]) -> str:
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return "the file"
    return f"`{names[-1]}`" if isinstance(path[-1], str) else f"each item of `{names[-1]}`"


def _head(node: YamlNode) -> Span:
    if isinstance(node, Mapping) and node.entries:
        return node.entries[0][0].span
    return node.span
