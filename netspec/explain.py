"""What the JSON Schema finds, explained in the spec's own words. Loaded when it finds something."""

from __future__ import annotations

from typing import Any

from netspec.diagnostics import Findings, Span
from netspec.hints import attribute_hint, inline, meant, op_hint, show, suggestion, text_hint
from netspec.ops import Op
from netspec.reader import Mapping, Scalar, Sequence, YamlNode
from netspec.schema import make_schema

_SCOPES = ("params", "let")


def explain(error: Any, root: YamlNode, findings: Findings) -> None:
    """Report one finding of the schema in a document, and poison its place."""
    path = list(error.absolute_path)
    nodes = _trail(root, path)
    if not any(findings.is_poisoned(node) for node in nodes):
        _explain(error, path, nodes, findings)


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
            _unknown_keys(error, path, nodes, findings)
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


def _unknown_keys(error: Any, path: list[Any], nodes: list[YamlNode], findings: Findings) -> None:
    node, root = nodes[-1], nodes[0]
    assert isinstance(node, Mapping)
    blocks = root.get("blocks") if isinstance(root, Mapping) else None
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
            _not_an_op(key, known, findings, blocks)
        else:
            where = f"`{path[-1]}`" if path else "a spec"
            hint = suggestion(key.text, known, "it has")
            findings.error("unknown-key", f"{where} has no key `{key.text}`", key.span, hint)
    if path[-1:] == ["repeat"] or path[-2:-1] in (["params"], ["outputs"]):
        findings.poison(node)


def _not_an_op(key: Scalar, known: Any, findings: Findings, blocks: YamlNode | None) -> None:
    """A key of `defaults` that is no op with attributes."""
    message, hint = f"unknown op `{key.text}`", op_hint(key.text, known)
    if key.text in Op.registry:
        message, hint = f"`{key.text}` has no attributes", None
    elif isinstance(blocks, Mapping) and blocks.get(key.text) is not None:
        message = f"`{key.text}` is a block"
        hint = "`defaults` are of ops; what a block does by default, its params say"
    findings.error("unknown-op", message, key.span, hint)


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
        hint = f"several values are joined first: `concat: {inline(error.instance)}`"
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


def _subject(path: list[Any]) -> str:
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return "the file"
    return f"`{names[-1]}`" if isinstance(path[-1], str) else f"each item of `{names[-1]}`"


def _head(node: YamlNode) -> Span:
    if isinstance(node, Mapping) and node.entries:
        return node.entries[0][0].span
    return node.span
