"""What other packages bring: modules that they name under an entry-point group.

Looking for them costs more than checking a spec, so it is done when something is missing.
"""

from __future__ import annotations

from functools import cache

from netspec.ops import Op
from netspec.zoo import UsageError

OPS = "netspec.ops"


def import_ops() -> bool:
    """Import the modules that define ops of other packages; whether there are new ops now.

    Raises:
        UsageError: one of them cannot be imported.
    """
    before = len(Op.registry)
    import_group(OPS)
    return len(Op.registry) > before


@cache
def import_group(group: str) -> None:
    """Import every module that an installed package names in a group, once.

    Raises:
        UsageError: one of them cannot be imported.
    """
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=group), key=lambda point: point.value):
        try:
            point.load()
        except Exception as error:  # whatever it is, it is not the spec's mistake
            message = f"{point.value}, which is installed as {group}, cannot be imported: {error}"
            raise UsageError(message) from error
