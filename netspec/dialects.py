"""What other frameworks and languages call things, for hints. Loaded when a spec has a mistake.

Each table has netspec's word for a foreign one, or advice (which has spaces) where no word is the
same. Words are compared as `plain` leaves them: `nn.Conv2d`, `Conv2D` and `conv_2d` are `conv`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_FOLLOWS = "leave it out: it follows from what the op reads"
_TRAINING = "leave it out: a spec says what is computed, not how it is trained or run"
_NO_OP = "netspec has no such op"
_CHANNELS = "leave it out: the axis is that of the channels"

OPS = {
    "activation": "write the activation itself, such as `relu`",
    "averagepooling": "avg_pool",
    "batchnormalization": "batch_norm",
    "bn": "batch_norm",
    "cat": "concat",
    "concatenate": "concat",
    "convolution": "conv",
    "deconv": "conv_transpose",
    "deconvolution": "conv_transpose",
    "dense": "linear",
    "depthwiseconv": "write `conv` with `groups` and `out` both the channels that it reads",
    "droppath": "stochastic_depth",
    "eltwise": "add",
    "fc": "linear",
    "fullyconnected": "linear",
    "gemm": "linear",
    "globalaveragepool": "global_avg_pool",
    "globalaveragepooling": "global_avg_pool",
    "input": "inputs stand under `inputs:` of the file, and a node reads one with `from:`",
    "interpolate": "resize",
    "layernormalization": "layer_norm",
    "localresponsenormalization": "local_response_norm",
    "lrn": "local_response_norm",
    "maxpooling": "max_pool",
    "multiply": "mul",
    "output": "outputs stand under `outputs:` of the file",
    "permute": "axes keep their places: channels come first everywhere",
    "rescaling": "affine",
    "reshape": "`flatten` makes a vector of a map, `unflatten` a map of a vector",
    "separableconv": "write two: a `conv` with as many `groups` as channels, one with `kernel: 1`",
    "sequential": "a list of nodes is a group by itself",
    "minus": "sub",
    "plus": "add",
    "product": "mul",
    "subtract": "sub",
    "sum": "add",
    "times": "mul",
    "matmul": "write `linear`, or `conv` with `kernel: 1`",
    "adaptivemaxpool": "write `max_pool` with a `kernel` that gives this size",
    "globalmaxpool": "write `max_pool` with the map's size as its `kernel`",
    "globalmaxpooling": "write `max_pool` with the map's size as its `kernel`",
    "logsigmoid": "write `sigmoid`; the loss takes the logarithm",
    **dict.fromkeys(
        (
            *("celu", "glu", "hardshrink", "hardtanh", "selu", "softmin", "softshrink", "softsign"),
            *("groupnorm", "groupnormalization", "instancenorm", "instancenormalization"),
            *("depthtospace", "pixelshuffle", "pixelunshuffle", "spacetodepth"),
            *("constant", "cropping", "einsum", "maxunpool", "split", "threshold", "transpose"),
            *("attention", "embedding", "gru", "lstm", "multiheadattention", "rnn"),
        ),
        _NO_OP,
    ),
    "swish": "silu",
    "upsampling": "upsample",
    "view": "`flatten` makes a vector of a map, `unflatten` a map of a vector",
    "zeropad": "pad",
    "zeropadding": "pad",
}

ATTRIBUTES = {
    "activation": "write the activation as a node of its own, after this one",
    "affine": "leave it out; `scale: false` leaves a batch norm without its weight",
    "alpha": "slope",
    "axis": _CHANNELS,
    "biasinitializer": "bias_init",
    "channels": "out",
    "device": _TRAINING,
    "dilationrate": "dilation",
    "dilations": "dilation",
    "dim": _CHANNELS,
    "dropprob": "rate",
    "dtype": _TRAINING,
    "epsilon": "eps",
    "features": "out",
    "filters": "out",
    "group": "groups",
    "inchannels": _FOLLOWS,
    "infeatures": _FOLLOWS,
    "inplace": _TRAINING,
    "inplanes": _FOLLOWS,
    "inputshape": _FOLLOWS,
    "interpolation": "mode",
    "kernelinitializer": "weight_init",
    "kernelregularizer": _TRAINING,
    "kernelshape": "kernel",
    "kernelsize": "kernel",
    "name": "the key of a node is its name: `NAME: {...}`",
    "negativeslope": "slope",
    "normalizedshape": _FOLLOWS,
    "numfeatures": _FOLLOWS,
    "numfilters": "out",
    "numgroups": "groups",
    "outchannels": "out",
    "outfeatures": "out",
    "outplanes": "out",
    "outputchannels": "out",
    "outputsize": "size",
    "p": "rate",
    "poolsize": "kernel",
    "paddingmode": "leave it out: what is padded is zero",
    "pads": "padding",
    "prob": "rate",
    "scalefactor": "scale",
    "size": "kernel",
    "trackrunningstats": "leave it out: a batch norm always has its statistics",
    "trainable": _TRAINING,
    "units": "out",
    "usebias": "bias",
    "weightdecay": _TRAINING,
    "weightinitializer": "weight_init",
}

INITIALISERS = {
    "glorotnormal": "write {variance_scaling: {mode: fan_avg}}",
    "glorotuniform": "xavier_uniform",
    "henormal": "write {variance_scaling: {scale: 2}}",
    "heuniform": "kaiming_uniform",
    "lecunnormal": "write `variance_scaling`",
    "lecununiform": "write {variance_scaling: {distribution: uniform}}",
    "randomnormal": "normal",
    "randomuniform": "uniform",
    "truncnormal": "truncated_normal",
}

INITIALISER_ARGUMENTS = {
    "a": "low",
    "b": "high",
    "gain": "write {variance_scaling: {scale: ...}}, which takes the square of the gain",
    "maxval": "high",
    "mean": "leave it out: it is 0",
    "minval": "low",
    "nonlinearity": "leave it out: it is that of `relu`",
    "seed": _TRAINING,
    "stddev": "std",
    "val": "value",
}

TYPES = {
    "array": "list",
    "boolean": "bool",
    "double": "float",
    "integer": "int",
    "number": "float",
    "str": "text",
    "string": "text",
    "tuple": "list",
}

VALUES = {
    "none": "leave it out, as there is no `None`",
    "valid": "write 0, which is no padding",
}

FUNCTIONS = {
    "ceiling": "ceil",
    "divmod": "write `a // b` and `a % b`",
    "float": "leave it out: `/` gives a float",
    "int": "write `floor(x)`, or `a // b` for a quotient of ints",
    "length": "len",
    "list": "leave it out: `range` gives a list",
    "makedivisible": "make_divisible",
    "maximum": "max",
    "minimum": "min",
    "pow": "write `a ** b`",
    "prod": "write `a * b`",
    "size": "len",
    "str": "leave it out: names take ints as they are",
}

# What other languages write in expressions, where it cannot be read as a formula.
EXPRESSIONS = (
    (r"^\s*=", "one `=` is enough"),
    (r"\$\{|\{\{|\$\(|\$", "a name is written as it is, without `$` and braces"),
    (r"&&", "write `and`"),
    (r"\|\|", "write `or`"),
    (r"!(?!=)", "write `not`"),
    (r"<>", "write `!=`"),
    (r"\?", "write `a if condition else b`"),
    (r"(?<![=<>!/*+-])=(?![=<>])", "write `==` to compare"),
    (r"=>", "write `>=`"),
    (r"=<", "write `<=`"),
    (r"[×·]|\b(?<=[ )\]])x(?=[ (\d])", "write `*`"),  # noqa: RUF001 - signs that people write
    (r"÷", "write `/` or `//`"),
    (r"\b(?:AND|OR|NOT|IF|ELSE)\b", "write it in small letters"),
    (r"\bis\b", "write `==`"),
    (r"\bthen\b", "write `a if condition else b`"),
    (r"\b\d+[A-Za-z_]\w*", "write `*` between factors"),
    (r";", "leave it out"),
)

# The same, where Python would read it: by the names of its tree.
SYNTAX = {
    "BitAnd": "write `and`",
    "BitOr": "write `or`",
    "BitXor": "write `**` for a power",
    "LShift": "write `* 2 ** n`",
    "RShift": "write `// 2 ** n`",
    "In": "write `x == a or x == b`",
    "NotIn": "write `x != a and x != b`",
    "GeneratorExp": "write it as a list, in `[ ]`",
    "Tuple": "a list is written `[a, b]`",
    "Set": "a name is written as it is, without braces",
    "Dict": "write a table as a list of rows, under `let:`",
    "JoinedStr": "names of nodes take {formula} parts by themselves",
}


def plain(word: str) -> str:
    """A word without its module, case, underscores and number of dimensions."""
    word = word.rpartition(".")[2].removesuffix("()").lower()
    return re.sub(r"[_-]|(?<=[a-z_])[123]d", "", word)


def advice(word: str, known: Collection[str], table: Mapping[str, str]) -> str | None:
    """What to write instead of a foreign word; None if the word is in no dialect."""
    short = plain(word)
    found = table.get(short, "")
    if " " in found:
        return found
    if found not in known:
        found = next((name for name in known if plain(name) == short), "")
    return f"did you mean `{found}`?" if found else None


def expression(text: str) -> tuple[int, int, str] | None:
    """The first stretch of an expression that another language would read, and what to write."""
    blank = re.sub(r"'[^']*'|\"[^\"]*\"", lambda quoted: " " * len(quoted[0]), text)
    found = [(m.start(), m.end(), say) for p, say in EXPRESSIONS for m in re.finditer(p, blank)]
    return min(found, default=None)


def enclosed(text: str) -> str | None:
    """What other languages' templates enclose: the `x` of `${x}`, `{{ x }}`, `$x` or `<x>`."""
    match = re.fullmatch(r"(?:\$\{|\$\(|\{\{|[{$<%])\s*(.+?)\s*(?:\}\}|[})>%])?", text)
    return match[1] if match else None
