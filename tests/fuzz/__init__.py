"""Random networks as spec text, valid by construction as far as that is cheap to arrange.

`model.network(seed)` writes one. A `Writer` is layers of a class, each in a module: small choices,
formulas, layers, calls, blocks, the model. A `Body` puts nodes one after the other.
"""
