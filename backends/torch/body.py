"""A class's constructor and forward, step by step."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.backends.source.loop_text import loop_count
from netspec.backends.source.names import Names
from netspec.backends.source.plan import (
    CallWhat,
    GroupWhat,
    Item,
    JoinWhat,
    KindWhat,
    Loop,
    OpWhat,
    Routine,
    ShareWhat,
    Split,
    Step,
    Unroll,
    Val,
    all_items,
    same_everywhere,
)
from netspec.backends.source.python import identifier
from netspec.backends.source.site import OpSite
from netspec.backends.source.symbols import names_of, opposite
from netspec.backends.source.text import is_call
from netspec.backends.torch.children import Owner, child_names, is_plain
from netspec.backends.torch.layer import Join, lowering
from netspec.backends.torch.modules import Modules, only_index
from netspec.backends.torch.values import Values
from netspec.formula import Expr

EMPTY = "nn.ModuleDict()"
ASIDE = "?"  # stands for the running variable in a branch, where each value has its own


@dataclass(frozen=True, slots=True)
class _Choice:
    """`yes if flag else no`, where `flag` reads what the constructor keeps of a condition."""

    condition: Expr
    flag: str
    yes: str
    no: str

    @property
    def text(self) -> str:
        return f"{self.yes} if {self.flag} else {self.no}"


class Body:
    """Writes the steps of one routine: `init` makes what `forward` applies.

    `training` holds the lines that only outputs for training need.
    """

    def __init__(
        self, routine: Routine, modules: Modules, names: Names, local: Names, values: Values
    ) -> None:
        self.routine = routine
        self.modules = modules
        self.names = names
        self.local = local  # names in forward
        self.values = values
        self.init: list[str] = []
        self.forward: list[str] = []
        self.training: list[str] = []
        self.flags: dict[str, str] = {}
        self.choices: dict[int, _Choice] = {}  # by value
        self.children: dict[int, str] = {}  # code that reads a step's module, for `share`
        self.containers: dict[int, Owner] = {}  # of groups that are no modules of their own
        self.attributes = child_names(routine)

    def items(self, items: list[Item], owner: Owner, out: list[str], running: str) -> None:
        for item in items:
            if isinstance(item, Loop):
                self.loop(item, owner, out, running)
            elif item.training:
                self.step(item, owner, self.training, "")
            else:
                self.step(item, owner, out, running)

    # -- steps ------------------------------------------------------------------------------

    def step(self, step: Step, owner: Owner, out: list[str], running: str) -> None:
        match step.what:
            case OpWhat():
                self.op(step, owner, out, running)
            case CallWhat() | KindWhat():
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
            self.values.define(step.result, text, out, running)
            return
        shared = id(step) in self.routine.shared
        if layer.function is not None and step.condition is None and not shared:
            assert step.read is not None
            text = self.values.fill(layer.function, {"x": step.read})
            self.values.define(step.result, text, out, running)
            return
        self.child(step, owner, out, running)

    def child(self, step: Step, owner: Owner, out: list[str], running: str) -> None:
        """A registered module and its application; one left out by `when` is the identity."""
        assert step.read is not None and step.result is not None
        before: list[str] = []
        name = self._name(step)
        applied = owner.get(name)
        target = applied if owner.path == "self" and is_plain(name) else ""
        with self.modules.uncertain(step, True):
            module = self.modules.module(step, before, self.modules.label(step), target)
        if step.condition is not None:
            if step.key is None and step.numbers[0] != "":
                same_everywhere(step)  # a number left out would move the numbers after it
            if before:
                same_everywhere(step)
            module = f"{module} if {self.modules.condition(step)} else nn.Identity()"
        self.init += before
        if module != applied:
            self.init.append(owner.set(name, module))
        self.children[id(step)] = applied
        self.values.define(step.result, f"{applied}({self.values.use(step.read)})", out, running)

    def _name(self, step: Step) -> str:
        """The child's name, which all lanes share."""
        if step.key is not None:
            if step.key.text is not None:
                return step.key.text
            for part in step.key.parts:  # an attribute's name is text, which they make now
                if not isinstance(part, str):
                    self.routine.frozen |= names_of(part)
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
            self.init.append(owner.set(name, "nn.Module()" if has_parameter else EMPTY))
            inner = Owner(owner.get(name), container=not has_parameter)
        self.containers[id(step)] = inner
        if not what.inline:
            self.modules.around.append(step)
        begin = len(self.init)
        self.items(what.items, inner, out, running)
        if not what.inline:
            self.modules.around.pop()
        if inner is not owner:
            self._fill(inner, begin)

    def _fill(self, container: Owner, begin: int) -> None:
        """Give a container its children when it is made, if statements from `begin` do no more."""
        entries = [container.entry(line) for line in self.init[begin:]]
        if container.container and entries and all(entries):
            made = f"nn.ModuleDict({{{', '.join(map(str, entries))}}})"
            self.init[begin - 1 :] = [self.init[begin - 1].replace(EMPTY, made)]

    def join(self, step: Step, what: JoinWhat, owner: Owner, out: list[str], running: str) -> None:
        assert step.result is not None
        for branch in what.branches:
            if branch.items:
                self.items(branch.items, owner, out, ASIDE)
        site = OpSite(what, step.inner, None, self.names)
        made = lowering(site.kind)(site)
        assert isinstance(made, Join)
        expression = made.expression
        mixed = {_is_constant(branch.value) for branch in what.branches}
        if made.mixed is not None and len(mixed) == 2:
            self.modules.helpers.update(made.mixed_helpers)
            expression = made.mixed
        operands = {str(at): branch.value for at, branch in enumerate(what.branches)}
        text = self.values.fill(expression([f"{{{at}}}" for at in operands]), operands)
        is_atom = is_call(text)
        if step.condition is not None:
            choice = self.choice(step, step.condition, text)
            self.choices[step.result.serial] = choice
            text, is_atom = choice.text, False
        self.values.define(step.result, text, out, running, is_atom=is_atom)

    def choice(self, step: Step, condition: Expr, text: str) -> _Choice:
        """What a join computes where it is there, and what it would have read elsewhere."""
        assert step.read is not None
        otherwise = self.values.use(step.read)
        before = self.choices.get(step.read.serial)
        nested = before is not None and otherwise == before.text
        if before is not None and nested and opposite(before.condition, condition):
            return _Choice(before.condition, before.flag, before.yes, text)
        return _Choice(condition, self.flag(step), text, otherwise)

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
            text = f"{applied}({self.values.use(step.read)})"
        else:
            text = self._again(what.target, self.values.use(step.read), out)
        self.values.define(step.result, text, out, running)

    def _again(self, target: Step, given: str, out: list[str]) -> str:
        """Write a group's forward once more, reading `given`; its modules are made already."""
        group = target.what
        assert isinstance(group, GroupWhat) and target.read is not None
        init, self.init = self.init, []
        pending, named = dict(self.values.pending), set(self.values.named)
        mark = self.modules.exceptions.mark()
        start = self.local.new("value")
        out.append(f"{start} = {given}")
        self.values.bind(target.read, start)
        self.values.named -= {item.result.serial for item in all_items(group.items) if item.result}
        self.values.named.add(target.read.serial)
        self.items(group.items, self.containers[id(target)], out, ASIDE)
        text = self.values.pending[group.result.serial]
        self.modules.exceptions.rewind(mark)
        self.values.pending, self.values.named, self.init = pending, named, init
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
        if running == ASIDE:
            running = self.local.new(loop.result.label or "value")
        applied: list[str] = []
        index = self.local.name(loop.index)

        def body(items: list[Item], inside: list[str]) -> None:
            for item in self.modules.flat(items):
                assert isinstance(item, Step) and item.key is not None
                module = self.modules.module(item, inside, self.modules.label(item))
                if item.condition is not None:
                    module = f"{module} if {self.modules.condition(item)} else nn.Identity()"
                key = self.names.template(item.key.parts)
                inside.append(f"self.add_module({key}, {module})")
                applied.append(
                    f"{running} = getattr(self, {self.local.template(item.key.parts)})({running})"
                )

        with self.modules.uncertain(loop, True):
            self.modules.loop(loop, self.init, body)
        count = loop_count(loop, self.names)
        if not count.isdecimal():
            attribute = self._attribute(f"{self.modules.label(steps[0])}_count")
            self.init.append(f"self.{attribute} = {count}")
            count = f"self.{attribute}"
        start = self.values.use(loop.start)
        self.values.flush(running, out)
        if start != running:
            line = f"{running} = {start}"
            out.append(line + self.values.shape_comment(loop.start, len(line)))
        line = f"for {index} in range({count}):"
        out.append(line + self.values.shape_comment(loop.result, len(line), "to "))
        out += [f"    {line}" for line in applied]
        self.values.bind(loop.result, running)
        if self.values.reads.get(loop.result.serial, 0) > 1:
            name = self.local.new(loop.result.label or "value")
            out.append(f"{name} = {running}")
            self.values.bind(loop.result, name)
            self.values.named.add(loop.result.serial)

    def _attribute(self, wanted: str) -> str:
        """The name of an attribute that is no child's and means nothing else on a module."""
        base = identifier(wanted, frozenset())
        base = name = f"of{base}" if base.startswith("_") else base
        number = 2
        while name in self.attributes or not is_plain(name):
            name, number = f"{base}_{number}", number + 1
        self.attributes.add(name)
        return name


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
