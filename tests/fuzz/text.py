"""YAML text of plain data, in many of the forms that mean the same."""

from __future__ import annotations

import json
import random
import re

from tests.fuzz.place import Yaml

_SAFE = re.compile(r"=?[A-Za-z_][A-Za-z0-9_.]*|=[A-Za-z_0-9 +*/().<>%-]*[A-Za-z_0-9)]")
_RISKY = frozenset("true false null on no".split())


def dumped(value: Yaml, rng: random.Random, indent: int = 0, flow: bool = False) -> str:
    """YAML text of plain data, in flow or block style at random."""
    pad = "  " * indent
    if isinstance(value, dict) and not value:
        return "{}"
    flow = flow or (isinstance(value, (dict, list)) and rng.random() < 0.25 and indent > 1)
    if isinstance(value, dict) and flow:
        pairs = [f"{_key(k)}: {dumped(v, rng, 0, True)}" for k, v in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list) and (flow or not value):
        return "[" + ", ".join(dumped(v, rng, 0, True) for v in value) + "]"
    if isinstance(value, dict):
        lines = []
        for key, inner in value.items():
            text = dumped(inner, rng, indent + 1)
            lines.append(f"{pad}{_key(key)}:{text if text.startswith(chr(10)) else ' ' + text}")
        return "\n" + "\n".join(lines)
    if isinstance(value, list):
        lines = []
        for inner in value:
            text = dumped(inner, rng, indent + 1)
            if text.startswith("\n"):
                text = text[1:].replace("  " * (indent + 1), "", 1)
            lines.append(f"{pad}- {text}")
        return "\n" + "\n".join(lines)
    return _scalar(value)


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z_][\w-]*", text) else json.dumps(text)


def _scalar(value: Yaml) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and _SAFE.fullmatch(value) and value.lower() not in _RISKY:
        return value
    return json.dumps(value)
