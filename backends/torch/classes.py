"""A routine as an `nn.Module` class: constructor and forward, which read top to bottom."""

from __future__ import annotations

import re
from collections.abc import Callable

from netspec import syntax
from netspec.backends.source.names import Names
from netspec.backends.source.plan import (
    CallWhat,
    GroupWhat,
    Item,
    JoinWhat,
    Loop,
    OpWhat,
    Routine,
    ShareWhat,
    Split,
    Step,
    Unroll,
    Val,
)
from netspec.backends.source.program import all_items
from netspec.backends.source.python import identifier, literal
from netspec.backends.source.site import OpSite
from netspec.backends.source.text import WIDTH, block, docstring, is_call
from netspec.backends.torch.children import Owner, child_names, is_plain
from netspec.backends.torch.layer import Join, lowering
from netspec.backends.torch.modules import Modules, only_index, same_everywhere

INLINE = 64  # a longer expression gets a line of its own
TYPES = {
    "int": "int",
    "float": "float",
    "bool": "bool",
    "text": "str",
    "list": "Sequence[Any]",
    "axes": "int | Sequence[int]",
}


class ClassWriter:
    """Writes one routine as a class."""

    def __init__(
        self,
        routine: Routine,
        reads: dict[int, int],
        class_names: Callable[[Routine], str],
        helpers: set[str],
        reserved: frozenset[str],
        sweeps: Callable[[ClassWriter], bool],
    ) -> None:
        self.routine = routine
        self.sweeps = sweeps
        self.has_exceptions = False
        self.reads = reads
        self.class_names = class_names
        self.helpers = helpers
        taken = reserved | {"self", "x", "out"}
        self.names = Names(routine, reserved | {"self"}, "in_channels")
        routine.names = self.names
        for loop in all_items(routine.items):
            if isinstance(loop, Loop):  # the spec's names come before the names of variables
                for name in (loop.index, *loop.names):
                    self.names.spell(name)
        self.modules = Modules(routine, self.names, reads, class_names, helpers)
        self.init: list[str] = []
        self.forward: list[str] = []
        self.training: list[str] = []
        self.pending: dict[int, str] = {}  # expressions of values without a line yet
        self.atoms: set[int] = set()  # of these, the ones that are one term
        self.flags: dict[str, str] = {}
        self.children: dict[int, str] = {}  # code that reads a step's module, for `share`
        self.containers: dict[int, Owner] = {}  # of groups that are no modules of their own
        self.attributes = child_names(routine)
        self.local = Names(routine, frozenset(taken), "in_channels")  # names in forward
        self.named: set[int] = set()  # values that have a variable of their own
        self.running = "x"
        self.nameless: list[str] = []  # variables whose names mean nothing
        self.shape: tuple[int, ...] = ()

    # -- the class --------------------------------------------------------------------------

    def write(self) -> list[str]:
        """The class as lines."""
        items = self.routine.items
        chain = (
            len(self.routine.inputs) == 1
            and not self._is_named()
            and len(self.routine.outputs) <= 1
            and self.modules.is_chain(items, self.routine.inputs[0], False)
        )
        base = "nn.Sequential" if chain else "nn.Module"
        if chain:
            self._chain(items)
            forward: list[str] = []
        else:
            self._body()
            forward = self._forward()
        exceptions = self.modules.exceptions
        self.has_exceptions = bool(exceptions.lines)
        if self.routine.block is None:
            # The model's own exceptions come after the sweep, in its constructor.
            lines, exceptions.lines, exceptions.saved = exceptions.direct(), [], {}
            self.has_exceptions = False
            self.init += [*(["self.apply(initialize)"] if self.sweeps(self) else []), *lines]
        self.init += exceptions.saved.values()
        method = block(exceptions.method(), 1)
        head = [f"class {self.class_names(self.routine)}({base}):"]
        head += docstring(self._doc(), 1)
        lets = self._lets()
        signature = self._signature()
        body: list[str] = []
        if signature or self.init or lets:
            body += ["", *block([f"def __init__(self{signature}) -> None:"], 1)]
            if not chain or not (self.init and self.init[0].startswith("super()")):
                body += block(["super().__init__()"], 2)
            body += block([*lets, *self.init], 2)
        if not chain and not body:
            body = []
        parts = [part for part in (method, forward) if part]
        return [*head, *body, *(line for part in parts for line in ("", *part))]

    def _is_named(self) -> bool:
        body = self.routine.block.body if self.routine.block else None
        return body.named if body is not None else self.routine.model_named

    def _doc(self) -> str:
        return self.routine.doc or f"Block `{self.routine.name}`."

    def _chain(self, items: list[Item]) -> None:
        flat = self.modules.flat(items)
        out: list[str] = []
        if all(isinstance(i, Step) and i.condition is None for i in flat):
            code = self.modules.sequence(items, False, out, "layers")
            if code.startswith("nn.Sequential(") and not out:
                self.init = [f"super().__init__({code[len('nn.Sequential(') : -1]})"]
                return
            out = []
        self.modules.fill("self", items, False, out)
        self.init = out

    def _lets(self) -> list[str]:
        """Statements for the lets that code mentions, in order; they may mention earlier ones."""
        context, builder = self.routine.context, self.routine.builder
        lines: list[str] = []
        for let in reversed(self.routine.lets):
            if let.name not in self.routine.used or let.name not in self.routine.visible:
                continue
            expr = builder.expr(let.value, context, self.routine.visible)
            name, code = self.names.spell(let.name), self.names.code(expr)
            if name != code:
                lines.insert(0, f"{name} = {code}")
        return lines

    def _signature(self) -> str:
        parts = []
        if self.routine.uses_input:
            parts.append("in_channels: int")
        used = [p for p in self.routine.params if self._is_argument(p)]
        required = [p for p in used if p.default is None and self.routine.block is not None]
        optional = [p for p in used if p not in required]
        for param in (*required, *optional):
            text = f"{self.names.spell(param.name)}: {TYPES[param.type]}"
            parts.append(text if param in required else f"{text} = {self._default(param)}")
        return "".join(f", {part}" for part in parts)

    def _is_argument(self, param: syntax.ParamDecl) -> bool:
        return param.name in self.routine.used and param.name in self.routine.visible

    def _default(self, param: syntax.ParamDecl) -> str:
        if self.routine.block is None:  # the model's defaults are its present values
            return literal(self.routine.context.envs[0][param.name])
        assert param.default is not None
        value = self.routine.builder.expr(param.default, self.routine.context, set())
        text = self.names.code(value)
        return f"{text}.0" if param.type == "float" and re.fullmatch(r"-?\d+", text) else text

    # -- the body ---------------------------------------------------------------------------

    def _body(self) -> None:
        routine = self.routine
        single = len(routine.inputs) == 1
        shared = single and self.reads.get(routine.inputs[0].serial, 0) != 1
        for value in routine.inputs:
            name = "x" if single else self.local.new(value.label)
            self.pending[value.serial] = name
            self.atoms.add(value.serial)
            value.label = name
        if shared or not single:
            self.named |= {v.serial for v in routine.inputs}
        self.running = "out" if shared or not single else "x"
        self.items(routine.items, Owner("self"), self.forward, self.running)

    def _forward(self) -> list[str]:
        inputs = ", ".join(f"{v.label}: torch.Tensor" for v in self.routine.inputs)
        outputs = self.routine.outputs
        if not outputs:
            lines = _returned(self.forward, self.use(self.routine.result))
            return self._def(inputs, "torch.Tensor", lines)
        inference = [(n, v) for n, v, training in outputs if not training]
        name = self.class_names(self.routine)
        lines = []
        results = {v.serial: self.use(v) for _, v, _ in outputs}
        kind = "torch.Tensor"
        if len(inference) == 1:
            returned = results[inference[0][1].serial]
        else:
            kind = f"{name}{'Inference' if len(inference) < len(outputs) else ''}Outputs"
            returned = f"{kind}({', '.join(results[v.serial] for _, v in inference)})"
        lines = list(self.forward)
        if len(inference) < len(outputs):
            everything = ", ".join(results[v.serial] for _, v, _ in outputs)
            training = [*self.training, f"return {name}Outputs({everything})"]
            lines += ["if self.training:", *(f"    {line}" for line in training)]
            kind = f"{kind} | {name}Outputs"
            return self._def(inputs, kind, [*lines, f"return {returned}"])
        return self._def(inputs, kind, _returned(lines, returned))

    def _def(self, inputs: str, kind: str, lines: list[str]) -> list[str]:
        for name in self.nameless:
            lines = _renamed(lines, name, self.running)
        return [*block([f"def forward(self, {inputs}) -> {kind}:"], 1), *block(lines, 2)]

    def items(self, items: list[Item], owner: Owner, out: list[str], running: str) -> None:
        for item in items:
            if isinstance(item, Loop):
                self.loop(item, owner, out, running)
            elif item.training:
                self.step(item, owner, self.training, "")
            else:
                self.step(item, owner, out, running)

    # -- expressions ------------------------------------------------------------------------

    def use(self, value: Val) -> str:
        """The expression of a value; one that is read once is consumed."""
        text = self.pending[value.serial]
        if self.reads.get(value.serial, 0) <= 1 and value.serial not in self.named:
            del self.pending[value.serial]
        return text

    def use_atom(self, value: Val) -> str:
        is_atom = value.serial in self.atoms
        text = self.use(value)
        return text if is_atom else f"({text})"

    def define(
        self, value: Val, text: str, out: list[str], running: str, *, is_atom: bool = True
    ) -> None:
        """Give a value its expression, in a line of its own where it is long or read again."""
        several = self.reads.get(value.serial, 0) > 1
        if not several and running and len(text) <= INLINE:
            self.pending[value.serial] = text
            if is_atom:
                self.atoms.add(value.serial)
            return
        name = running
        if several or not running:
            name = self.local.new(value.label or "value")
            self.named.add(value.serial)
            if value.serial not in self.routine.referenced:
                self.nameless.append(name)
        else:
            self.flush(running, out)
        line = f"{name} = {text}"
        out.append(f"{line}{self._shape_comment(value, len(line))}")
        self.pending[value.serial] = name
        self.atoms.add(value.serial)

    def _shape_comment(self, value: Val, width: int) -> str:
        """The value's shape as a comment, where the model's changes and the line has room."""
        shape = value.types[0].shape
        comment = f"  # {' x '.join(map(str, shape))}"
        room = WIDTH - 8 - width
        if self.routine.block is not None or shape == self.shape or 0 <= room < len(comment):
            return ""
        self.shape = shape
        return comment

    def flush(self, running: str, out: list[str]) -> None:
        """Give lines to the values whose expressions mention a variable that is about to change."""
        for serial, text in list(self.pending.items()):
            if serial not in self.named and _uses(running, text):
                name = self.local.new("value")
                out.append(f"{name} = {text}")
                self.pending[serial] = name
                self.atoms.add(serial)
                self.named.add(serial)

    # -- steps ------------------------------------------------------------------------------

    def step(self, step: Step, owner: Owner, out: list[str], running: str) -> None:
        match step.what:
            case OpWhat():
                self.op(step, owner, out, running)
            case CallWhat():
                self.child(step, owner, out, running)
            case GroupWhat():
                self.group(step, step.what, owner, out, running)
            case JoinWhat():
                self.join(step, step.what, owner, out, running)
            case ShareWhat():
                self.share(step, step.what, out, running)

    def op(self, step: Step, owner: Owner, out: list[str], running: str) -> None:
        assert step.result is not None
        layer = self.modules.layer(step)
        if layer.is_parameter:
            same_everywhere(step)
            name = self._name(step)
            path = ".".join(self.modules.name_of(s) for s in (*self.modules.around, step))
            self.modules.exceptions.add(step, path)
            self.init.append(owner.set_parameter(name, layer.module))
            text = (layer.function or "{x}").replace("{x}", owner.get_parameter(name))
            self.define(step.result, text, out, running)
            return
        shared = id(step) in self.routine.shared
        if layer.function is not None and step.condition is None and not shared:
            assert step.read is not None
            text = layer.function.replace("{x}", self.use_atom(step.read))
            self.define(step.result, text, out, running)
            return
        self.child(step, owner, out, running)

    def child(self, step: Step, owner: Owner, out: list[str], running: str) -> None:
        """A registered module and its application; one left out by `when` is the identity."""
        assert step.read is not None and step.result is not None
        before: list[str] = []
        with self.modules.uncertain(step, True):
            module = self.modules.module(step, before, self.modules._label(step))
        if step.condition is not None:
            if not self._keyed(step) and step.numbers[0] != "":
                same_everywhere(step)  # a number left out would move the numbers after it
            if before:
                same_everywhere(step)
            module = f"{module} if {self.modules.condition(step)} else nn.Identity()"
        self.init += before
        name = self._name(step)
        self.init.append(owner.set(name, module))
        applied = owner.get(name)
        self.children[id(step)] = applied
        self.define(step.result, f"{applied}({self.use(step.read)})", out, running)

    def _keyed(self, step: Step) -> bool:
        return step.key is not None

    def _name(self, step: Step) -> str:
        """The child's name, which all lanes share."""
        if step.key is not None:
            if step.key.text is None:
                raise Split(step.inner, step.numbers)
            return step.key.text
        there = [step.numbers[lane] for lane in _lanes(step)]
        if not all(name == there[0] for name in there):
            raise Split(step.inner, there)
        return there[0]

    def group(
        self, step: Step, what: GroupWhat, owner: Owner, out: list[str], running: str
    ) -> None:
        chain = not what.inline and self.modules.is_chain(what.items, step.read, what.named)
        if chain:
            self.child(step, owner, out, running)
            return
        same_everywhere(step)
        inner = owner
        if not what.inline and any(_registers(item) for item in what.items):
            name = self._name(step)
            has_parameter = any(_is_parameter(item) for item in what.items)
            self.init.append(owner.set(name, "nn.Module()" if has_parameter else "nn.ModuleDict()"))
            inner = Owner(owner.get(name), container=not has_parameter)
        self.containers[id(step)] = inner
        if not what.inline:
            self.modules.around.append(step)
        self.items(what.items, inner, out, running)
        if not what.inline:
            self.modules.around.pop()

    def join(self, step: Step, what: JoinWhat, owner: Owner, out: list[str], running: str) -> None:
        assert step.result is not None
        for branch in what.branches:
            if branch.items:
                variable = self._branch_variable(branch.value)
                self.items(branch.items, owner, out, variable)
        operands = [self.use_atom(branch.value) for branch in what.branches]
        site = OpSite(what, step.inner, None, self.names, self.routine.builder)
        made = lowering(site.kind)(site)
        assert isinstance(made, Join)
        mixed = {_is_constant(branch.value) for branch in what.branches}
        if made.mixed is not None and len(mixed) == 2:
            self.helpers.update(made.mixed_helpers)
            text = made.mixed(operands)
        else:
            text = made.expression(operands)
        is_atom = is_call(text)
        if step.condition is not None:
            assert step.read is not None
            flag = self.flag(step)
            otherwise = self.use(step.read)
            text, is_atom = f"{text} if {flag} else {otherwise}", False
        self.define(step.result, text, out, running, is_atom=is_atom)

    def _branch_variable(self, value: Val) -> str:
        return self.local.new(value.label if value.label.isidentifier() else "branch")

    def flag(self, step: Step) -> str:
        """An attribute that keeps a condition for forward."""
        code = self.modules.condition(step)
        if code not in self.flags:
            label = step.key.text if step.key is not None and step.key.text else "branch"
            name = self._attribute(code if code.isidentifier() else f"has_{label}")
            self.flags[code] = f"self.{name}"
            self.init.append(f"self.{name} = {code}")
        return self.flags[code]

    def share(self, step: Step, what: ShareWhat, out: list[str], running: str) -> None:
        """Apply an earlier step's module again, or the modules of its group one by one."""
        same_everywhere(step)
        assert step.read is not None and step.result is not None
        applied = self.children.get(id(what.target))
        if applied is not None:
            text = f"{applied}({self.use(step.read)})"
        else:
            text = self._again(what.target, self.use(step.read), out)
        self.define(step.result, text, out, running)

    def _again(self, target: Step, given: str, out: list[str]) -> str:
        """Write a group's forward once more, reading `given`; its modules are made already."""
        group = target.what
        assert isinstance(group, GroupWhat) and target.read is not None
        saved, init, lines = dict(self.pending), self.init, list(self.modules.exceptions.lines)
        start = self.local.new("value")
        out.append(f"{start} = {given}")
        self.pending[target.read.serial] = start
        self.atoms.add(target.read.serial)
        named = set(self.named)
        self.named -= {item.result.serial for item in all_items(group.items) if item.result}
        self.named.add(target.read.serial)
        self.init = []
        self.items(group.items, self.containers[id(target)], out, self.local.new("value"))
        text = self.pending[group.result.serial]
        self.pending, self.init, self.modules.exceptions.lines = saved, init, lines
        self.named = named
        return text

    # -- loops ------------------------------------------------------------------------------

    def loop(self, loop: Loop, owner: Owner, out: list[str], running: str) -> None:
        """A loop whose copies are named by their index runs as a loop in forward as well."""
        steps = self.modules.flat(loop.items)
        fits = (
            owner.path == "self"
            and running != ""
            and not loop.training
            and self.modules.is_chain(loop.items, loop.carried, True)
            and all(
                isinstance(s, Step) and s.key is not None and only_index(s.key, loop) for s in steps
            )
            and all(isinstance(s, Step) and not _inline(s) for s in steps)
        )
        if not fits:
            raise Unroll(loop.syntax)
        assert loop.result is not None
        applied: list[str] = []
        index = self.local.name(loop.index)

        def body(items: list[Item], inside: list[str]) -> None:
            for item in self.modules.flat(items):
                assert isinstance(item, Step) and item.key is not None
                module = self.modules.module(item, inside, self.modules._label(item))
                if item.condition is not None:
                    module = f"{module} if {self.modules.condition(item)} else nn.Identity()"
                key = self.names.template(item.key.parts)
                inside.append(f"self.add_module({key}, {module})")
                applied.append(
                    f"{running} = getattr(self, {self.local.template(item.key.parts)})({running})"
                )

        with self.modules.uncertain(loop, True):
            self.modules.loop(loop, self.init, body)
        count = self._count_attribute(loop)
        self.init.append(f"self.{count} = {self.modules.count(loop)}")
        start = self.use(loop.start)
        self.flush(running, out)
        if start != running:
            out.append(f"{running} = {start}")
        out.append(f"for {index} in range(self.{count}):")
        out += [f"    {line}" for line in applied]
        self.pending[loop.result.serial] = running
        self.atoms.add(loop.result.serial)
        if self.reads.get(loop.result.serial, 0) > 1:
            name = self.local.new(loop.result.label or "value")
            out.append(f"{name} = {running}")
            self.pending[loop.result.serial] = name
            self.named.add(loop.result.serial)

    def _count_attribute(self, loop: Loop) -> str:
        step = self.modules.flat(loop.items)[0]
        return self._attribute(f"{self.modules._label(step)}_count")

    def _attribute(self, wanted: str) -> str:
        """The name of an attribute that is no child's and means nothing else on a module."""
        base = identifier(wanted, frozenset())
        base = name = f"of{base}" if base.startswith("_") else base
        number = 2
        while name in self.attributes or not is_plain(name):
            name, number = f"{base}_{number}", number + 1
        self.attributes.add(name)
        return name


def _returned(lines: list[str], result: str) -> list[str]:
    """Lines with a return at the end, of the last line's expression where that is the result."""
    if lines and lines[-1].startswith(f"{result} = "):
        return [*lines[:-1], f"return {lines[-1].partition('  # ')[0][len(result) + 3 :]}"]
    return [*lines, f"return {result}"]


def _renamed(lines: list[str], name: str, running: str) -> list[str]:
    """Lines with `name` called `running` as well, if that is free while `name` lives."""
    uses = [at for at, line in enumerate(lines) if _uses(name, line)]
    if len(uses) < 2 or not lines[uses[0]].startswith(f"{name} = "):
        return lines
    start, end = uses[0], uses[-1]
    inside = lines[start + 1 : end + 1]
    if any(line.startswith((" ", "for ", "if ")) for line in inside):
        return lines
    targets = [
        line.partition(" = ")[2] if line.startswith(f"{running} = ") else line for line in inside
    ]
    if any(_uses(running, line) for line in targets):
        return lines
    if any(line.startswith(f"{running} = ") for line in inside[:-1]):
        return lines
    after = next((line for line in lines[end + 1 :] if _uses(running, line)), None)
    assigned = inside[-1].startswith(f"{running} = ")
    if after is not None and not assigned:
        return lines
    word = _variable(name)
    renamed = [
        word.sub(lambda found: running if found[1] else found[0], line)
        for line in lines[start : end + 1]
    ]
    return [*lines[:start], *renamed, *lines[end + 1 :]]


def _uses(name: str, line: str) -> bool:
    """Whether code mentions a variable, and not an attribute, an argument or a text of its name."""
    return any(found[1] for found in _variable(name).finditer(line))


def _variable(name: str) -> re.Pattern[str]:
    return re.compile(rf"""(?<![\w.])({name})\b(?!=)|"[^"]*"|'[^']*'""")


def _lanes(step: Step) -> list[int]:
    if step.condition is None:
        return list(range(len(step.numbers)))
    return list(step.inner.up)


def _inline(step: Item) -> bool:
    return isinstance(step, Step) and isinstance(step.what, GroupWhat) and step.what.inline


def _registers(item: Item) -> bool:
    """Whether an item registers anything under the group that it stands in."""
    if isinstance(item, Loop):
        return True
    if isinstance(item.what, JoinWhat):
        return any(_registers(i) for branch in item.what.branches for i in branch.items)
    return not isinstance(item.what, ShareWhat)


def _is_parameter(item: Item) -> bool:
    if isinstance(item, Loop):
        return any(_is_parameter(i) for i in item.items)
    match item.what:
        case OpWhat(node):
            return node.op.arity[1] == 0
        case JoinWhat(_, _, branches):
            return any(_is_parameter(i) for branch in branches for i in branch.items)
        case GroupWhat(items, _, True):
            return any(_is_parameter(i) for i in items)
    return False


def _is_constant(value: Val) -> bool:
    """Whether a value is made of parameters alone, and so has a batch of 1."""
    step = value.step
    if not isinstance(step, Step):
        return False
    if _is_parameter(step) and isinstance(step.what, OpWhat):
        return True
    if isinstance(step.what, JoinWhat):
        return all(_is_constant(branch.value) for branch in step.what.branches)
    return isinstance(step.what, OpWhat) and step.read is not None and _is_constant(step.read)
