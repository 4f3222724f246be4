"""Python's parser kept whole while threads run.

Until CPython's issue 106905 was fixed (3.11 has it, 3.12 not), all threads counted the depth of the
tree that they make in one variable. The garbage collector may run while a tree is made, and with it
finalizers and other threads; if those parse too, the count is off and a SystemError says "AST
constructor recursion depth mismatch", whatever the text. TensorFlow parses each function that it
traces, NumPy the header of each array that it loads, netspec what generated source copies.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from threading import RLock
from typing import Any


@contextmanager
def whole_parsing() -> Iterator[None]:
    """Let `ast.parse` run without the garbage collector, and one at a time."""
    parse, lock = ast.parse, RLock()

    @wraps(parse)
    def whole(*args: Any, **kwargs: Any) -> Any:
        with lock:
            collecting = gc.isenabled()
            gc.disable()
            try:
                return parse(*args, **kwargs)
            finally:
                if collecting:
                    gc.enable()

    ast.parse = whole
    try:
        yield
    finally:
        ast.parse = parse
