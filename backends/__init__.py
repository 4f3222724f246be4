"""The compilers from a graph to a framework: one folder each, one lowering per op."""
