"""The ops. Importing this package defines every op that netspec ships."""

from __future__ import annotations

import importlib
import pkgutil

from netspec.ops.base import Attribute, Case, Op, OpError, Param

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Attribute", "Case", "Op", "OpError", "Param"]
