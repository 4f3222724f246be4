"""Python's parser kept whole in a worker, where a framework has threads and finalizers.

Until CPython's issue 106905 was fixed (3.11 has it, 3.12 not), all threads counted the depth of the
tree that they make in one variable. The garbage collector may run while a tree is made, and with it
finalizers and other threads; if those parse too, the count is off and a SystemError says "AST
constructor recursion depth mismatch", whatever the text. TensorFlow parses each function that it
traces.
"""

from __future__ import annotations

import ast
import gc
from functools import wraps
from threading import RLock
from typing import Any


def keep_parsing_whole() -> None:
    """Let `ast.parse` run without the garbage collector, one at a time, from now on."""
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
