"""The constructor's side: expressions and statements that make modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from netspec.backends.source.names import Names
from netspec.backends.source.plan import (
    CallWhat,
    GroupWhat,
    Item,
    Key,
    Loop,
    OpWhat,
    Routine,
    Split,
    Step,
    Unroll,
    Val,
)
from netspec.backends.source.python import literal
from netspec.backends.source.site import OpSite
from netspec.backends.torch.children import is_plain, is_taken
from netspec.backends.torch.initialisation import Exceptions
from netspec.backends.torch.layer import Layer, lowering
from netspec.formula import Expr, ListOf, Name, free


class Modules:
    """Makes the modules of one routine. `helpers` collects the snippets that they need."""

    def __init__(
        self,
        routine: Routine,
        names: Names,
        reads: dict[int, int],
        class_names: Callable[[Routine], str],
        helpers: set[str],
    ) -> None:
        self.routine = routine
        self.names = names
        self.reads = reads
        self.class_names = class_names
        self.helpers = helpers
        self.exceptions = Exceptions(routine, names)
        self.around: list[Step] = []  # the groups around what is being made
        self.moving: list[Item] = []  # what makes the numbers of what is being made uncertain

    # -- what is a chain --------------------------------------------------------------------

    def is_chain(self, items: list[Item], start: Val | None, named: bool) -> bool:
        """Whether children run one after the other, so that `nn.Sequential` runs them."""
        current = start
        flat = self.flat(items)
        for at, item in enumerate(flat):
            if isinstance(item, Loop):
                if item.start is not current or not self._loop_is_chain(item, named):
                    return False
            elif item.read is not current or not self._is_link(item, named):
                return False
            current = item.result
            assert current is not None
            interior = at < len(flat) - 1
            if interior and self.reads.get(current.serial, 0) != 1:
                return False
            if id(item) in self.routine.shared:  # it is applied from outside as well
                return False
        return bool(flat)

    def _loop_is_chain(self, loop: Loop, named: bool) -> bool:
        return self.is_chain(loop.items, loop.carried, named) and not loop.training

    def _is_link(self, step: Step, named: bool) -> bool:
        if step.training:
            return False
        if named and step.key is not None and not self._can_name(step.key):
            return False
        match step.what:
            case OpWhat(node):
                return node.op.arity == (1, 1)
            case CallWhat():
                return True
            case GroupWhat(items, _, inline, group_named):
                if inline:
                    return (
                        step.condition is not None
                        and group_named == named
                        and self.is_chain(items, step.read, named)
                    )
                return self.is_chain(items, step.read, group_named)
        return False

    def _can_name(self, key: Key) -> bool:
        return key.text is None or not is_taken(key.text)

    def flat(self, items: list[Item]) -> list[Item]:
        """Items with inline groups opened, as far as they are always there."""
        found: list[Item] = []
        for item in items:
            inline = isinstance(item, Step) and isinstance(item.what, GroupWhat)
            if inline and item.what.inline and item.condition is None:  # type: ignore[union-attr] # a group
                found += self.flat(item.what.items)  # type: ignore[union-attr] # a group
            else:
                found.append(item)
        return found

    # -- modules ----------------------------------------------------------------------------

    def layer(self, step: Step) -> Layer:
        assert isinstance(step.what, OpWhat)
        site = OpSite(step.what, step.inner, step.read, self.names, self.routine.builder)
        made = lowering(site.kind)(site)
        assert isinstance(made, Layer)
        return made

    def module(self, step: Step, out: list[str], label: str) -> str:
        """The constructor expression of a step's module; statements before it go to `out`."""
        match step.what:
            case OpWhat(_, _, args):
                layer = self.layer(step)
                self.helpers.update(layer.helpers)
                if any(name.endswith("init") for name in args):
                    self.require_fixed()
                    path = ".".join(self.name_of(s) for s in (*self.around, step))
                    self.exceptions.add(step, path)
                return layer.module
            case CallWhat():
                return self.call(step, step.what)
            case GroupWhat(items, _, _, named):
                self.around.append(step)
                made = self.sequence(items, named, out, label)
                self.around.pop()
                return made
        raise AssertionError(step.what)

    def require_fixed(self) -> None:
        """Refuse a path by name where other parameters move the numbers or leave a child out.

        Raises:
            Unroll, Split: with the loop written out, or the block written twice, it is fixed.
        """
        for item in self.moving:
            if isinstance(item, Loop):
                raise Unroll(item.syntax)
            same_everywhere(item)

    def name_of(self, step: Step) -> str:
        """A step's name, which all its lanes must share.

        Raises:
            Split: they do not.
        """
        lanes = range(len(step.numbers)) if step.condition is None else step.inner.up
        there = [step.numbers[lane] for lane in lanes]
        if not step.inner.all_equal(there):
            raise Split(step.inner, there)
        return there[0]

    def call(self, step: Step, what: CallWhat) -> str:
        """A block's constructor call; parameters that its code does not mention are left out."""
        callee = what.routine
        arguments = []
        if callee.uses_input:
            assert step.read is not None
            channels = self.routine.builder.channels(step.read, step.inner)
            arguments.append(self.names.code(channels))
        for param in callee.params:
            if param.name in what.args and param.name in callee.used:
                code = self.names.code(what.args[param.name])
                arguments.append(f"{callee_name(callee, param.name)}={code}")
        return f"{self.class_names(callee)}({', '.join(arguments)})"

    def condition(self, step: Step) -> str:
        assert step.condition is not None
        return self.names.code(step.condition)

    # -- sequences --------------------------------------------------------------------------

    def sequence(self, items: list[Item], named: bool, out: list[str], label: str) -> str:
        """An `nn.Sequential`: one expression, or the name of a variable that statements fill."""
        flat = self.flat(items)
        simple = all(isinstance(i, Step) and i.condition is None for i in flat)
        if simple:
            before, taken = list(out), set(self.names.taken)
            exceptions = list(self.exceptions.lines)
            children = [self.module(i, out, self._label(i)) for i in flat]  # type: ignore[arg-type] # all steps
            keys = [i.key for i in flat if isinstance(i, Step)]
            if len(out) == len(before) and all(k is None or k.text for k in keys):
                return self._sequence_expression(children, keys, named)
            del out[len(before) :]
            self.names.taken = taken
            self.exceptions.lines = exceptions
        variable = self.names.new(label or "layers")
        out.append(f"{variable} = nn.Sequential()")
        moving = list(self.moving)
        self.fill(variable, flat, named, out)
        self.moving = moving
        return variable

    def _sequence_expression(self, children: list[str], keys: list[Key | None], named: bool) -> str:
        if not named:
            return f"nn.Sequential({', '.join(children)})"
        texts = [k.text if k is not None and k.text is not None else "" for k in keys]
        if all(is_plain(text) for text in texts):
            pairs = [f"{t}={c}" for t, c in zip(texts, children, strict=True)]
            return f"nn.Sequential(OrderedDict({', '.join(pairs)}))"
        pairs = [f'("{t}", {c})' for t, c in zip(texts, children, strict=True)]
        return f"nn.Sequential(OrderedDict([{', '.join(pairs)}]))"

    def fill(self, variable: str, items: list[Item], named: bool, out: list[str]) -> None:
        """Statements that append a chain's children to a sequence."""
        for item in self.flat(items):
            inside: list[str] = []
            with self.uncertain(item, named):
                if isinstance(item, Loop):
                    self.loop(item, out, lambda i, o: self.fill(variable, i, named, o))
                    continue
                if isinstance(item.what, GroupWhat) and item.what.inline:
                    self.fill(variable, item.what.items, named, inside)
                else:
                    module = self.module(item, inside, self._label(item))
                    inside.append(self._append(variable, item, named, module))
            if item.condition is None:
                out += inside
            else:
                out.append(f"if {self.condition(item)}:")
                out += [f"    {line}" for line in inside]

    @contextmanager
    def uncertain(self, item: Item, named: bool) -> Iterator[None]:
        """While an item is made; where children are numbered, what follows it may move as well."""
        moving = list(self.moving)
        if isinstance(item, Loop) or item.condition is not None:
            self.moving.append(item)
        yield
        if named:
            self.moving = moving

    def _append(self, variable: str, step: Step, named: bool, module: str) -> str:
        if not named or step.key is None:
            return f"{variable}.append({module})"
        return f"{variable}.add_module({self.names.template(step.key.parts)}, {module})"

    def _label(self, item: Item) -> str:
        if isinstance(item, Step) and item.key is not None:
            texts = [part for part in item.key.parts if isinstance(part, str)]
            return "".join(texts).rstrip("_-") or "layers"
        return "layers"

    # -- loops ------------------------------------------------------------------------------

    def loop(
        self, loop: Loop, out: list[str], body: Callable[[list[Item], list[str]], None]
    ) -> None:
        """A `for` statement around the body, with the running channels it carries."""
        if loop.fresh:
            assert loop.variable is not None and loop.begin is not None
            out.append(f"{self.names.spell(loop.variable)} = {self.names.code(loop.begin)}")
        inside: list[str] = []
        body(loop.items, inside)
        if loop.variable is not None and loop.update is not None:
            variable = self.names.spell(loop.variable)
            if not (isinstance(loop.update, Name) and loop.update.name == loop.variable):
                inside.append(f"{variable} = {self.names.code(loop.update)}")
        out.append(self.header(loop, inside))
        out += [f"    {line}" for line in inside]

    def header(self, loop: Loop, inside: list[str]) -> str:
        """`for i in range(n):`, `for i, (a, b) in enumerate(rows):`, with `_` for unused names."""
        text = "\n".join(inside)

        def target(name: str) -> str:
            spelt = self.names.spell(name)
            return spelt if re.search(rf"\b{spelt}\b", text) else f"_{spelt}"

        index = target(loop.index)
        if loop.times is not None:
            return f"for {index} in range({self.names.code(loop.times)}):"
        assert loop.each is not None
        rows = self.names.code(loop.each)
        row = ", ".join(target(name) for name in loop.names)
        if loop.unpack and len(loop.names) == 1:
            row += ","
        if index.startswith("_"):
            return f"for {row} in {rows}:"
        row = f"({row})" if loop.unpack else row
        return f"for {index}, {row} in enumerate({rows}):"

    def count(self, loop: Loop) -> str:
        """How many turns a loop has, as code."""
        if loop.times is not None:
            return self.names.code(loop.times)
        assert loop.each is not None
        if isinstance(loop.each, ListOf):
            return str(len(loop.each.items))
        return f"len({self.names.code(loop.each)})"


def callee_name(routine: Routine, param: str) -> str:
    """The Python name that a routine's constructor gives to a parameter."""
    names: Names = routine.names
    return names.spell(param)


def only_index(key: Key, loop: Loop) -> bool:
    """Whether a name's formulas read nothing but the loop's index."""
    for part in key.parts:
        if not isinstance(part, str) and {n.name for n in free(part)} - {loop.index}:  # type: ignore[union-attr] # shapes are replaced
            return False
    return True


def same_everywhere(step: Step) -> None:
    """Refuse a step that only some lanes have, where code cannot leave it out.

    Raises:
        Split: it is such a step.
    """
    if step.condition is not None:
        outer = step.inner.outer
        assert outer is not None
        raise Split(outer, [lane in step.inner.up for lane in range(len(outer.envs))])


__all__ = ["Expr", "Modules", "callee_name", "literal", "only_index", "same_everywhere"]
