"""Ops of several inputs."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.backends.lowering import Site
from netspec.backends.torch.layer import Join, Lowering, lowers


@lowers("concat")
def concat(site: Site) -> Join:
    def cat(operands: Sequence[str]) -> str:
        return f"torch.cat([{', '.join(operands)}], 1)"

    def expanding_cat(operands: Sequence[str]) -> str:
        return f"concat({', '.join(operands)})"

    return Join(cat, expanding_cat, ("concat",))


def _infix(operator: str) -> Lowering:
    join = Join(f" {operator} ".join)
    return lambda site: join


for _kind, _operator in {"add": "+", "mul": "*", "sub": "-"}.items():
    lowers(_kind)(_infix(_operator))
