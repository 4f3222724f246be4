"""Load generated source and give it its weights, in a worker."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from netspec.backends.keras.snippet_text import snippet_names as keras_snippets
from netspec.backends.torch.snippet_text import snippet_names as torch_snippets
from netspec.ops.base import FLOAT32_MAX, f32

SNIPPETS = {"torch": torch_snippets, "keras": keras_snippets}  # by the framework's package
ROUND = "_netspec_rounded"
MOMENTUM = "momentum"  # no ONNX file holds it, and torch's is 1 less Keras's: rounded they differ


def load_model(source: str, weights: str, dtype: str = "float32") -> Any:
    """The model that the source file builds, with the weights of a safetensors file.

    For float64, the floats that ops are given are first rounded to float32: attributes are, in
    ONNX and in the references, and a difference of 1e-8 in an epsilon would hide others. The
    framework is to be set to float64 before.
    """
    module = module_of(source, rounded=dtype == "float64")
    model = module.build_model()
    module.load_weights(model, weights)
    return model


def by_name(results: Any, names: Sequence[str]) -> dict[str, Any]:
    """What a model returned, under the spec's output names.

    A single tensor, a mapping by name, or a sequence in the spec's order.

    Raises:
        ValueError: there are not as many results as names.
    """
    if isinstance(results, Mapping):
        return {name: results[name] for name in names if name in results}
    if hasattr(results, "_fields"):  # a namedtuple: its fields may be renamed, its order is not
        results = tuple(results)
    values: Iterable[Any] = results if isinstance(results, (list, tuple)) else [results]
    return dict(zip(names, values, strict=True))


def round_attributes(layers: Iterable[Any]) -> None:
    """Round the floats that layers keep, such as a framework's own default of an epsilon."""
    for layer in layers:
        for name, value in list(vars(layer).items()):
            if type(value) is float and name != MOMENTUM:
                setattr(layer, name, _rounded(value))


def module_of(source: str, *, rounded: bool = False) -> ModuleType:
    """The source file as a module; with `rounded`, what it gives to ops is rounded to float32."""
    path = Path(source)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if rounded:
        tree = ast.fix_missing_locations(_Rounding(tree).visit(tree))
    name = f"netspec_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    vars(module)[ROUND] = _rounded_all
    exec(compile(tree, str(path), "exec"), vars(module))
    return module


class _Rounding(ast.NodeTransformer):
    """Rounds the arguments of calls to a framework or a snippet, and a snippet's own constants.

    Arithmetic of the spec's formulas, and what one block gives to another, stays as it is: a
    formula's value is rounded once, where an op takes it.
    """

    def __init__(self, tree: ast.Module) -> None:
        imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        self._frameworks = {
            alias.asname or alias.name.partition(".")[0]
            for node in imports
            for alias in node.names
            if (getattr(node, "module", None) or alias.name).partition(".")[0] in SNIPPETS
        }
        self._snippets: set[str] = set()
        for framework, names in SNIPPETS.items():
            if framework in self._frameworks:
                self._snippets |= names()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._definition(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        root = node.func
        while isinstance(root, ast.Attribute):
            root = root.value
        known = self._snippets if root is node.func else self._frameworks
        if isinstance(root, ast.Name) and root.id in known:
            node.args = [a if isinstance(a, ast.Starred) else _call(a) for a in node.args]
            for keyword in node.keywords:
                if keyword.arg not in (None, MOMENTUM):
                    keyword.value = _call(keyword.value)
        return node

    def _definition(self, node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
        if node.name not in self._snippets:
            return self.generic_visit(node)
        kept = {id(default) for default in _defaults_of(node, MOMENTUM)}
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, float):
                part.value = part.value if id(part) in kept else _rounded(part.value)
        return node


def _defaults_of(node: ast.AST, name: str) -> Iterator[ast.expr]:
    """The defaults that parameters of this name have in the definitions within a node."""
    for arguments in (part for part in ast.walk(node) if isinstance(part, ast.arguments)):
        positional = [*arguments.posonlyargs, *arguments.args]
        pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
        pairs += [
            (a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d
        ]
        yield from (default for argument, default in pairs if argument.arg == name)


def _call(argument: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(ROUND, ast.Load()), [argument], [])


def _rounded_all(value: Any) -> Any:
    if type(value) is float:
        return _rounded(value)
    return type(value)(map(_rounded_all, value)) if type(value) in (list, tuple) else value


def _rounded(value: float) -> float:
    return f32(value) if abs(value) <= FLOAT32_MAX else value
