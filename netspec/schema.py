"""The JSON Schema of spec files, made from the op registry.

It validates specs here and completes them in editors. For messages, `x-expects` says in words what
a value may be, `x-example` shows one, `x-type` is the type of an attribute and
`x-dialect` the table of `netspec.dialects` with other frameworks' words.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from netspec.diagnostics import Findings
from netspec.ops import Op
from netspec.ops.base import Attribute
from netspec.reader import YamlNode, plain
from netspec.syntax import JOINS, PARAM_TYPES

Schema = dict[str, Any]

FORMULA: Schema = {"type": "string", "pattern": "^="}
NOTHING: Schema = {"type": "null"}
WORDS = {"int": "an int", "float": "a number", "bool": "true or false", "str": "text"}


def make_schema() -> Schema:
    """The schema of a spec file or a library, with every registered op."""
    ops = {kind: op for kind, op in sorted(Op.registry.items()) if not op.join}
    definitions: Schema = {
        "formula": {**FORMULA, "description": "A formula over parameters and shapes."},
        "name": _expects({"type": "string"}, "a name"),
        "reference": _expects({"type": ["string", "integer"]}, "a value's name"),
        "condition": _expects({"type": ["boolean", "string"]}, "true, false or a formula"),
        "body": _body(),
        "node": _node(ops),
        "branch": _branch(),
        "repeat": _repeat(),
        "params": _params(),
        "let": _expects(
            {"type": "object"},
            "names with values",
            "Names for values, in order.",
            "{half: =width // 2}",
        ),
        "block": _block(),
        # Lists are refused by the checker, which knows whether the block exists.
        "arguments": {"description": "Arguments by name, or one scalar."},
    }
    definitions |= {f"op-{kind}": _arguments(op) for kind, op in ops.items()}
    definitions |= {f"values-{kind}": _attributes(op) for kind, op in ops.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netspec",
        "description": "A neural network as a graph of ops, or a library of blocks.",
        **_file(ops),
        "$defs": definitions,
    }


def validate(root: YamlNode, findings: Findings) -> None:
    """Report every place where a document does not match the schema, and poison it."""
    for error in _validator(tuple(Op.registry)).iter_errors(plain(root)):
        from netspec.explain import explain  # only mistakes pay for it

        explain(error, root, findings)


@cache
def _validator(kinds: tuple[str, ...]) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(make_schema())


def expected(attribute: Attribute) -> str:
    """What an attribute takes, in words."""
    low = "" if attribute.min is None else f" of at least {attribute.min:g}"
    if attribute.max is not None:
        low = f" from {attribute.min:g} to {attribute.max:g}"
    match attribute.type:
        case "Axes":
            return f"an int{low}, or a list with one per spatial axis"
        case "Padding":
            return f"an int{low}, `same`, or a list with an int or [before, after] per spatial axis"
        case "Floats":
            return "a number, or a list with one per channel"
        case "Shape":
            return "a list of ints, channels first"
        case "Init":
            return "an initialiser, such as `zeros` or {normal: {std: 0.01}}"
        case "str":
            return "one of " + ", ".join(f"`{c}`" for c in attribute.choices)
        case word:
            return WORDS[word] + low


def _expects(schema: Schema, words: str, doc: str = "", example: str = "") -> Schema:
    described = {**schema, "x-expects": words}
    if example:
        described["x-example"] = example
    return {**described, "description": doc} if doc else described


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(properties: Schema, required: tuple[str, ...] = (), **more: Any) -> Schema:
    result: Schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "x-expects": "a mapping of keys",
        **more,
    }
    return {**result, "required": list(required)} if required else result


def _file(ops: dict[str, type[Op]]) -> Schema:
    text = _expects({"type": "string"}, "text")
    size = _value({"type": "integer", "minimum": 1}, "an int of at least 1, the batch left out")
    properties: Schema = {
        "netspec": _expects({"const": 1}, "1, the version of the language", example="1"),
        "name": _expects({"type": "string"}, "text, the model's name", example="net"),
        "source": {**text, "description": "Where the architecture was published."},
        "doc": {**text, "description": "What to look at."},
        "include": _expects(
            {
                "type": "object",
                "additionalProperties": _expects(
                    {"type": "array", "items": _ref("name"), "minItems": 1},
                    "a list of block names",
                    example="[fire]",
                ),
            },
            "library files, each with a list of block names",
            example="{fire.yaml: [fire]}",
        ),
        "params": _ref("params"),
        "variants": _expects(
            {
                "type": "object",
                "additionalProperties": _expects(
                    {"type": ["object", "null"]}, "parameter values", example="{width: 16}"
                ),
            },
            "variants by name",
            example="{small: {width: 16}}",
        ),
        "let": _ref("let"),
        "inputs": _expects(
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": _expects(
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 4,
                        "items": size,
                    },
                    "a shape, without the batch: channels and 0 to 3 spatial sizes",
                    example="[3, 224, 224]",
                ),
            },
            "inputs by name, each with its shape",
            example="{image: [3, 224, 224]}",
        ),
        "defaults": _object({kind: _ref(f"values-{kind}") for kind in ops}),
        "blocks": _expects(
            {"type": "object", "additionalProperties": _ref("block")},
            "blocks by name",
            example="{unit: {body: [relu]}}",
        ),
        "body": _ref("body"),
        "outputs": {
            "type": "object",
            "x-expects": "outputs by name",
            "x-example": "{logits: fc}",
            "minProperties": 1,
            "additionalProperties": {
                "if": {"type": "object"},
                "then": _object(
                    {
                        "from": _ref("reference"),
                        "when": _ref("condition"),
                        "only": _expects({"const": "training"}, "`training`"),
                    },
                    ("from",),
                ),
                "else": _ref("reference"),
            },
        },
    }
    library = ("netspec", "doc", "include", "blocks")
    return {
        **_object(properties, ("netspec",)),
        "if": {"required": ["body"]},
        "then": {"required": ["name", "inputs"]},
        "else": {
            "required": ["blocks"],
            "propertyNames": {"enum": list(library)},
            "x-library": True,
        },
    }


def _body() -> Schema:
    return {
        "if": {"type": "array"},
        "then": {"items": _ref("node"), "minItems": 1},
        "else": _expects(
            {"type": "object", "additionalProperties": _ref("node"), "minProperties": 1},
            "a list of numbered children, or a mapping of named ones",
            example="[{conv: {out: 8, kernel: 3}}, relu]",
        ),
    }


def _node(ops: dict[str, type[Op]]) -> Schema:
    joins = {
        kind: _expects(
            {"type": "array", "items": _ref("branch"), "minItems": 1},
            "a list of branches",
            example="[x, {y: relu}]",
        )
        | {"description": _doc(Op.registry[kind])}
        for kind in JOINS
        if kind in Op.registry
    }
    properties = {
        "from": {**_ref("reference"), "description": "The value to read, instead of the last."},
        "when": {**_ref("condition"), "description": "Whether the node is there."},
        "repeat": {**_ref("repeat"), "description": "How often, one after the other."},
        "body": {**_ref("body"), "description": "Children under this node's name."},
        "inline": {**_ref("body"), "description": "Children in the place of this node."},
        "share": {**_ref("reference"), "description": "Apply an earlier node again."},
        **joins,
        **{kind: {**_ref(f"op-{kind}"), "description": _doc(op)} for kind, op in ops.items()},
    }
    names = {"enum": [kind for kind, op in ops.items() if not _required(op)]}
    return {
        "if": {"type": "object"},
        "then": {"properties": properties, "additionalProperties": _ref("arguments")},
        "else": {
            "if": {"type": "array"},
            "then": _ref("body"),
            "else": _expects(
                {"anyOf": [names, {"type": ["string", "null", "integer"]}]}, "an op or a block"
            ),
        },
    }


def _branch() -> Schema:
    return {
        "if": {"type": "object"},
        "then": _ref("body"),
        "else": _expects(
            {"type": ["string", "integer"]},
            "a value's name, or a mapping of named children",
            example="{y: relu}",
        ),
    }


def _repeat() -> Schema:
    count = _value({"type": "integer", "minimum": 0}, "a count, or a mapping with `each`")
    index = _expects({"type": "string"}, "a name")
    names = _expects(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "a name, or a list of names",
    )
    rows = _value({"type": "array"}, "a list, or a formula giving one")
    return {
        "if": {"type": "object"},
        "then": {
            "if": {"type": "object", "required": ["each"]},
            "then": _object({"each": rows, "as": names, "index": index}),
            "else": _object({"times": count, "index": index}, ("times",)),
        },
        "else": count,
    }


def _params() -> Schema:
    number = _expects({"type": "number"}, "a number")
    declaration = _object(
        {
            "type": {
                **_expects({"enum": list(PARAM_TYPES)}, "one of " + ", ".join(PARAM_TYPES)),
                "x-dialect": "TYPES",
            },
            "default": {},
            "min": number,
            "max": number,
            "choices": _expects({"type": "array", "minItems": 1}, "a list of values"),
            "doc": _expects({"type": "string"}, "text"),
        },
        ("type",),
    )
    return _expects(
        {
            "type": "object",
            "additionalProperties": {"if": {"type": "object"}, "then": declaration},
        },
        "parameters by name",
        example="{width: 64}",
    )


def _block() -> Schema:
    properties = {
        "doc": _expects({"type": "string"}, "text"),
        "params": _ref("params"),
        "let": _ref("let"),
        "body": _ref("body"),
    }
    return _object(properties, ("body",), **{"x-example": "{body: [relu]}"})


def _value(schema: Schema, words: str, doc: str = "") -> Schema:
    return _expects({"anyOf": [schema, _ref("formula")]}, words, doc)


def _required(op: type[Op]) -> list[str]:
    return [name for name, attribute in op.attributes.items() if attribute.required]


def _doc(op: type[Op]) -> str:
    return " ".join((op.__doc__ or "").split("\n\n")[0].split())


def _arguments(op: type[Op]) -> Schema:
    """A node's arguments: by name, or one scalar where exactly one attribute is required."""
    required = _required(op)
    words = "arguments by name" if required else "nothing, or arguments by name"
    otherwise: Schema = _expects({"type": "null"}, words)
    if written := required or list(op.attributes)[:1]:
        otherwise["x-example"] = f"{{{', '.join(f'{name}: ...' for name in written)}}}"
    if len(required) == 1:
        attribute = op.attributes[required[0]]
        words = f"arguments by name, or one scalar, which is its `{attribute.name}`"
        otherwise = {
            "anyOf": [_scalar(attribute), NOTHING],
            "x-expects": words,
            "x-single": [attribute.name, expected(attribute)],
        }
    return {
        "if": {"type": "object"},
        "then": _ref(f"values-{op.kind}"),
        "else": otherwise,
    }


def _scalar(attribute: Attribute) -> Schema:
    schema = attribute_schema(attribute)
    return {**schema, "type": ["string", "number", "boolean"]}


def _attributes(op: type[Op]) -> Schema:
    return {
        **_object({name: attribute_schema(a) for name, a in op.attributes.items()}),
        "description": _doc(op),
        "x-owner": op.kind,
    }


def attribute_schema(attribute: Attribute) -> Schema:
    """The schema of one attribute's value; nothing passes on the name's own value."""
    number: Schema = {"type": "integer" if attribute.type in _WHOLE else "number"}
    if attribute.min is not None:
        number["minimum"] = attribute.min
    if attribute.max is not None:
        number["maximum"] = attribute.max
    item: Schema = {"anyOf": [number, _ref("formula")]}
    pair = {"type": "array", "items": item, "minItems": 2, "maxItems": 2}
    match attribute.type:
        case "Axes" | "Floats" | "Shape":
            options: list[Schema] = [number, {"type": "array", "items": item, "minItems": 1}]
        case "Padding":
            each = {"type": "array", "items": {"anyOf": [number, _ref("formula"), pair]}}
            options = [number, {"const": "same"}, {**each, "minItems": 1}]
        case "bool":
            options = [{"type": "boolean"}]
        case "str":
            options = [{"enum": list(attribute.choices)}]
        case "Init":
            options = [{"type": ["string", "object"]}]
        case _:
            options = [number]
    result = _expects(
        {"anyOf": [*options, _ref("formula"), NOTHING]}, expected(attribute), attribute.doc
    )
    result["x-type"] = attribute.type
    simple = isinstance(attribute.default, (int, float, bool, str))
    return {**result, "default": attribute.default} if simple else result


_WHOLE = ("int", "Axes", "Padding", "Shape")
