"""The ops. Importing this package defines every op that netspec ships."""

from __future__ import annotations

import importlib
import os

from netspec.ops.base import Attribute, Case, Op, OpError, Param

# `pkgutil` would find them too, and take as long for it as `netspec check` has for a small spec.
for _file in sorted(os.listdir(__path__[0])):
    _name, _suffix = os.path.splitext(_file)
    if _suffix == ".py" and _name != "__init__":
        importlib.import_module(f"{__name__}.{_name}")

__all__ = ["Attribute", "Case", "Op", "OpError", "Param"]
