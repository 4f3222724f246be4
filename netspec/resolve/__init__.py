"""Apply parameters to a spec: expand blocks and repeats, infer every shape, build the graph.

What was already reported flows on as `UNKNOWN`, so that one mistake is one message. Recursion
follows the nesting of the text, which is bounded; the depth of the network is a loop.
"""

from netspec.resolve.model import resolve

__all__ = ["resolve"]
