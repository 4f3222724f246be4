"""The words of which specs are made, and the small choices between them."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.fuzz.place import Place, Yaml

NAMES = """
    conv bn relu a b c left right tower stem fc head pool features layer class forward train
    type self x out 1x1 0 7 12 a-b block1-0 lambda None True def name layers keras add torch F
    nn append pop keys items values eval half _modules _x __init__ T_destination print len math
    in_channels channels stride value branch super return getattr is body from when repeat share
    inline on no true input_ input-1 mul sigmoid pad shift identity Model initialize weight bias
    running_mean dropout nn-x count index Sequence clear update copy load_state_dict zero_grad
    to cpu float double device build inputs outputs kernel_size data shape grad bn1 conv1 conv2
    up0 enc0
""".split()
PARAMS = """
    n m w width out depth stride_ lambda self def x torch name layers np keras k class_ inputs
    nn F math in_channels channels getattr getattr_ rate act kind groups growth each list str
    None_ is_ value branch super index i_ row type init shape kernel tuple print Any model aux
    training
""".split()
INDICES = "i j s stage level t d idx lambda_ u x2".split()
ACTIVATIONS = """
    relu relu6 sigmoid hard_sigmoid silu hard_swish gelu tanh abs softplus mish leaky_relu elu
    identity
""".split()
INITS: list[Yaml] = [
    "zeros",
    "ones",
    {"constant": 0.5},
    {"normal": 0.3},
    {"normal": {"std": 0.2}},
    {"uniform": {"low": -1, "high": 0.5}},
    {"truncated_normal": {"std": 0.5, "low": -1, "high": 1.5}},
]
FAN_INITS: list[Yaml] = [
    {"kaiming_normal": {"mode": "fan_out"}},
    "kaiming_uniform",
    "xavier_normal",
    "xavier_uniform",
    {"variance_scaling": {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform"}},
    "fan_in_uniform",
]


class Choices:
    """Makes the choices that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.tokens = 0

    def maybe(self, chance: float) -> bool:
        return self.rng.random() < chance

    def token(self) -> int:
        self.tokens += 1
        return self.tokens

    def name(self, place: Place) -> str:
        """A name that no sibling has."""
        for _ in range(20):
            name = self.rng.choice(NAMES)
            if name not in place.taken:
                return name
        return self._numbered(lambda n: f"v{n}", place.taken)

    def formula_name(self, place: Place, words: list[str]) -> str:
        for _ in range(20):
            name = self.rng.choice(words)
            if name not in place.formula_names:
                break
        else:
            name = self._numbered(lambda n: f"p{n}", place.formula_names)
        place.formula_names.add(name)
        return name

    def _numbered(self, name: Callable[[int], str], taken: set[str]) -> str:
        return next(name(n) for n in range(1000) if name(n) not in taken)
