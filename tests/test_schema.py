"""The JSON Schema: committed, current, valid, and of one mind with the loader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

import netspec
from netspec.ops import Op
from netspec.schema import make_schema
from netspec.zoo import zoo_folder

SCHEMA: dict[str, Any] = make_schema()
COMMITTED = Path(netspec.__file__).parent / "schema.json"


def test_the_committed_schema_is_current() -> None:
    assert COMMITTED.read_text() == json.dumps(SCHEMA, indent=2) + "\n", (
        "write it anew: netspec schema > netspec/schema.json"
    )


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_editors_find_every_op_and_attribute_with_its_words() -> None:
    properties = SCHEMA["$defs"]["node"]["then"]["properties"]
    for kind, op in Op.registry.items():
        assert properties[kind]["description"]
        if not op.join:
            attributes = SCHEMA["$defs"][f"values-{kind}"]["properties"]
            assert set(attributes) == set(op.attributes)
            for name, attribute in op.attributes.items():
                assert attributes[name]["description"] == attribute.doc


@pytest.mark.parametrize("path", sorted(zoo_folder().glob("*.yaml")), ids=lambda p: p.stem)
def test_the_zoo_is_valid(path: Path) -> None:
    validator = Draft202012Validator(SCHEMA)
    data = yaml.load(path.read_text(), Loader=_Core)
    assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"conv": {"out": 3, "kernal": 3}},
        {"conv": {"out": 0, "kernel": 3}},
        {"conv": {"out": "three", "kernel": 3}},
        {"conv": {"out": 3, "kernel": 3, "padding": "SAME"}},
        {"dropout": 2},
        {"max_pool": [3, 2]},
        {"relu": 3},
        {"add": "x"},
        {"repeat": -1, "relu": None},
        {"repeat": {"time": 2}, "relu": None},
        {"body": []},
    ],
    ids=str,
)
def test_editors_mark_what_is_wrong(wrong: Any) -> None:
    spec = {"netspec": 1, "name": "net", "inputs": {"x": [3, 8, 8]}, "body": [wrong]}
    assert list(Draft202012Validator(SCHEMA).iter_errors(spec))


class _Core(yaml.SafeLoader):
    """Keys are text, and `on` and `1e-3` are what YAML 1.2 says."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


_Core.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in found if not tag.endswith((":bool", ":float"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+\.\d*)([eE][-+]?\d+)?$|[-+]?\d+[eE][-+]?\d+$")
_Core.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
_Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true$|false$"), list("tf"))
