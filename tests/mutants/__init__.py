"""Deliberate mistakes, and whether `netspec verify` finds them and blames the right node.

`make mutants` runs all of them; `tests/test_mutants.py` some.
"""
