"""A routine as an `nn.Module` class: constructor and forward, which read top to bottom."""

from __future__ import annotations

from collections.abc import Callable

from netspec.backends.source.names import Names
from netspec.backends.source.plan import Item, Loop, Routine, Step, Val, all_items
from netspec.backends.source.signature import let_lines, parameters
from netspec.backends.source.text import block, docstring, returned
from netspec.backends.torch.body import Body
from netspec.backends.torch.children import Owner
from netspec.backends.torch.initialisation import Sweep
from netspec.backends.torch.modules import Modules
from netspec.backends.torch.values import Values


class ClassWriter:
    """Writes one routine as a class; `helpers` collects the snippets that its code uses."""

    def __init__(
        self,
        routine: Routine,
        reads: dict[int, int],
        class_names: Callable[[Routine], str],
        helpers: set[str],
        reserved: frozenset[str],
        sweep: Sweep,
    ) -> None:
        self.routine = routine
        self.name = class_names(routine)
        self.sweep = sweep
        self.names = Names(routine, reserved | {"self"})
        routine.names = self.names
        for loop in all_items(routine.items):
            if isinstance(loop, Loop):  # the spec's names come before the names of variables
                for name in (loop.index, *loop.names):
                    self.names.spell(name)
        taken = reserved | {"self", "x", "out"}
        local = Names(routine, taken, parameters=False)
        self.modules = Modules(routine, self.names, reads, class_names, helpers, sweep)
        self.values = Values(routine, reads, local)
        self.body = Body(routine, self.modules, self.names, local, self.values)

    def write(self) -> list[str]:
        """The class as lines."""
        items, inputs = self.routine.items, self.routine.inputs
        chain = (
            len(inputs) == 1
            and not self._is_named()
            and len(self.routine.outputs) <= 1
            and self.modules.is_chain(items, inputs[0], False)
        )
        if chain:
            init, forward = self._chain(items), []
        else:
            self.values.receive()
            several = len(self.routine.outputs) > 1
            for label, value, _ in self.routine.outputs:
                if several and value.step is not None:
                    value.label = label
            self.body.items(items, Owner("self"), self.body.forward, self.values.running)
            init, forward = self.body.init, self._forward()
        if not init[:1] or not init[0].startswith("super()"):
            init = ["super().__init__()", *init]
        init += self._initial_values()
        method = block(self.modules.exceptions.method(), 1)
        head = [f"class {self.name}({'nn.Sequential' if chain else 'nn.Module'}):"]
        if self.routine.doc:
            head += [*docstring(self.routine.doc, 1), ""]
        parts = [part for part in (self._constructor(init), method, forward) if part]
        return [*head, *"\n\n".join("\n".join(part) for part in parts).split("\n")]

    def _is_named(self) -> bool:
        body = self.routine.block.body if self.routine.block else None
        return body.named if body is not None else self.routine.model_named

    # -- the constructor --------------------------------------------------------------------

    def _constructor(self, init: list[str]) -> list[str]:
        lets = let_lines(self.routine, self.names)
        takes = [f"{self.names.in_channels}: int"] if self.routine.uses_input else []
        makers = {code for kinds in self.routine.kinds.values() for code in kinds.values()}
        partial = any("(" in code for code in makers)
        maker = "Callable[..., nn.Module]" if partial else "type[nn.Module]"
        takes += parameters(self.routine, self.names, maker)
        if not takes and init == ["super().__init__()"]:
            return []
        head = f"def __init__({', '.join(['self', *takes])}) -> None:"
        if lets and init[0] != "super().__init__()":  # it has the arguments, which lets compute
            return [*block([head], 1), *block([*lets, *init], 2)]
        return [*block([head], 1), *block([init[0], *lets, *init[1:]], 2)]

    def _chain(self, items: list[Item]) -> list[str]:
        """Statements that make an `nn.Sequential` of this class, in one expression if they can."""
        flat = self.modules.flat(items)
        out: list[str] = []
        if all(isinstance(i, Step) and i.condition is None for i in flat):
            code = self.modules.sequence(items, False, out, "layers")
            if code.startswith("nn.Sequential(") and not out:
                return [f"super().__init__({code[len('nn.Sequential(') : -1]})"]
            out = []
        self.modules.fill("self", items, False, out)
        return out

    def _initial_values(self) -> list[str]:
        """What the constructor ends with: of the model, the sweep over all modules."""
        exceptions = self.modules.exceptions
        if self.routine.block is None:
            return [*self.sweep.lines(exceptions.local), *exceptions.here]
        if exceptions.later:
            self.sweep.own.append(self.name)
        return [*exceptions.saved.values(), *exceptions.here]

    # -- forward ----------------------------------------------------------------------------

    def _forward(self) -> list[str]:
        use = self.values.use
        outputs = self.routine.outputs
        if not outputs:
            lines = returned(self.body.forward, use(self.routine.result))
            return self._def("torch.Tensor", lines)
        inference = [v for _, v, training in outputs if not training]
        results = {v.serial: use(v) for _, v, _ in outputs}
        lines = list(self.body.forward)
        if len(inference) < len(outputs):
            for value in inference:  # they are returned in training and in evaluation
                results[value.serial] = self._variable(value, results[value.serial], lines)
        kind = "torch.Tensor"
        if len(inference) == 1:
            result = results[inference[0].serial]
        else:
            kind = f"{self.name}{'Inference' if len(inference) < len(outputs) else ''}Outputs"
            result = f"{kind}({', '.join(results[v.serial] for v in inference)})"
        if len(inference) == len(outputs):
            return self._def(kind, returned(lines, result))
        everything = ", ".join(results[v.serial] for _, v, _ in outputs)
        training = [*self.body.training, f"return {self.name}Outputs({everything})"]
        lines += ["if self.training:", *(f"    {line}" for line in training)]
        return self._def(f"{kind} | {self.name}Outputs", [*lines, f"return {result}"])

    def _variable(self, value: Val, text: str, lines: list[str]) -> str:
        """A name for a value's code."""
        if text.isidentifier():
            return text
        name = self.body.local.new(value.label)
        lines.append(f"{name} = {text}")
        return name

    def _def(self, kind: str, lines: list[str]) -> list[str]:
        inputs = ", ".join(f"{v.label}: torch.Tensor" for v in self.routine.inputs)
        lines = self.values.settled(lines)
        return [*block([f"def forward(self, {inputs}) -> {kind}:"], 1), *block(lines, 2)]
