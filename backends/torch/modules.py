"""The constructor's side: expressions and statements that make modules."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager

from netspec.backends.source.kinds import codes_of, maker_code, maker_name
from netspec.backends.source.loop_text import loop_header
from netspec.backends.source.names import Names
from netspec.backends.source.plan import (
    CallWhat,
    Context,
    GroupWhat,
    Item,
    Key,
    KindWhat,
    Loop,
    OpWhat,
    Routine,
    Split,
    Step,
    Unroll,
    Val,
    same_everywhere,
)
from netspec.backends.source.python import names_in
from netspec.backends.source.site import OpSite
from netspec.backends.source.symbols import opposite
from netspec.backends.source.text import is_call
from netspec.backends.torch.children import is_plain, is_taken
from netspec.backends.torch.initialisation import Exceptions, Sweep
from netspec.backends.torch.layer import Layer, lowering
from netspec.formula import Binary, Choice, Expr, Name, free

INLINE = 80  # characters of the loop that makes a sequence's children in one expression


class Modules:
    """Makes the modules of one routine. `helpers` collects the snippets that they need."""

    def __init__(
        self,
        routine: Routine,
        names: Names,
        reads: dict[int, int],
        class_names: Callable[[Routine], str],
        helpers: set[str],
        sweep: Sweep,
    ) -> None:
        self.routine = routine
        self.names = names
        self.reads = reads
        self.class_names = class_names
        self.helpers = helpers
        self.exceptions = Exceptions(routine, names, sweep)
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
            case CallWhat() | KindWhat():
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
        return self._layer(step.what, step.inner, step.read)

    def _layer(self, what: OpWhat, context: Context, read: Val | None) -> Layer:
        site = OpSite(what, context, read, self.names)
        made = lowering(site.kind)(site)
        assert isinstance(made, Layer)
        return made

    def module(self, step: Step, out: list[str], label: str, target: str = "") -> str:
        """The constructor expression of a step's module; statements before it go to `out`.

        It is `target`, an attribute, where statements have made that the module already.
        """
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
            case KindWhat():
                return self.choice(step, step.what)
            case GroupWhat(items, _, _, named):
                self.around.append(step)
                made = self.sequence(items, named, out, label, target)
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
            channels = self.routine.formulas.channels(step.read, step.inner)
            arguments.append(self.names.code(channels))
        for param in callee.params:
            if param.name in what.args and param.name in callee.used:
                value = what.args[param.name]
                if param.name in callee.open:
                    code = self._kind_code(step, callee.kinds[param.name], value)
                else:
                    code = self.names.code(value)
                arguments.append(f"{callee.names.spell(param.name)}={code}")
        return f"{self.class_names(callee)}({', '.join(arguments)})"

    def choice(self, step: Step, what: KindWhat) -> str:
        """A call of the parameter that holds what makes one op or another.

        Raises:
            Split: their modules do not take the same arguments.
        """
        texts = {}
        for kind, (op, context) in what.calls.items():
            layer = self._layer(op, context, step.read)
            if not is_call(layer.module) or any(name.endswith("init") for name in op.args):
                raise Split(step.inner, what.kinds)
            self.helpers.update(layer.helpers)
            maker, _, arguments = layer.module.partition("(")
            texts[kind] = (maker, arguments[:-1])
        given = {a for _, a in texts.values() if mentions_names(a)} or {""}
        made = {kind: _maker(*text, min(given)) for kind, text in texts.items()}
        if len(given) > 1 or None in made.values():
            raise Split(step.inner, what.kinds)
        self._agree(step, what.param, {kind: code or "" for kind, code in made.items()}, what.kinds)
        return f"{maker_name(self.names, what.param, step.inner)}({min(given)})"

    def _kind_code(self, step: Step, kinds: dict[str, str], value: Expr) -> str:
        """The argument for a block's parameter that holds what makes an op."""
        lanes = list(range(len(step.inner.envs)))
        return maker_code(
            value, kinds, self.names, step.inner, lambda n: self._agree(step, n, kinds, lanes)
        )

    def _agree(
        self, step: Step, name: str, kinds: dict[str, str], otherwise: Sequence[Hashable]
    ) -> None:
        """Note the code of what a name makes, which is the same wherever the name is used."""
        known = codes_of(self.routine, name, step.inner)
        if any(known.setdefault(kind, code) != code for kind, code in kinds.items()):
            raise Split(step.inner, otherwise)

    def condition(self, step: Step) -> str:
        assert step.condition is not None
        return self.names.code(step.condition)

    # -- sequences --------------------------------------------------------------------------

    def sequence(
        self, items: list[Item], named: bool, out: list[str], label: str, target: str = ""
    ) -> str:
        """An `nn.Sequential`: one expression, or the name of what statements fill.

        That is `target`, an attribute, or else a variable with a name like `label`.
        """
        flat = self.flat(items)
        repeated = self._repeated(flat, named)
        if repeated is not None:
            return repeated
        children: list[str] = []
        names: list[str] = []
        for item in flat:
            if not isinstance(item, Step) or item.condition is not None:
                break
            name = self.text_of(item)
            taken, mark, before = set(self.names.taken), self.exceptions.mark(), len(out)
            module = self.module(item, out, self.label(item)) if name is not None else ""
            if name is None or len(out) > before:
                del out[before:]
                self.names.taken = taken
                self.exceptions.rewind(mark)
                break
            children.append(module)
            names.append(name)
        expression = _sequence(children, names if named else None)
        if len(children) == len(flat):
            return expression
        variable = target or self.names.new(label if self.names.is_free(label) else "layers")
        out.append(f"{variable} = {expression}")
        moving = list(self.moving)
        self.fill(variable, flat[len(children) :], named, out)
        self.moving = moving
        return variable

    def _repeated(self, flat: list[Item], named: bool) -> str | None:
        """A sequence whose children one loop makes, each in the same way, in one expression."""
        loop = flat[0]
        if len(flat) > 1 or named or not isinstance(loop, Loop) or loop.variable is not None:
            return None
        taken, moving, mark = set(self.names.taken), list(self.moving), self.exceptions.mark()
        lines: list[str] = []
        self.fill("children", flat, named, lines)
        self.moving = moving
        call = "    children.append("
        if len(lines) == 2 and lines[1].startswith(call) and sum(map(len, lines)) < INLINE:
            return f"nn.Sequential(*({lines[1][len(call) : -1]} {lines[0][:-1]}))"
        self.names.taken = taken
        self.exceptions.rewind(mark)
        return None

    def text_of(self, step: Step) -> str | None:
        """A step's name where it is the same in all lanes."""
        if step.key is not None:
            return step.key.text
        return self.name_of(step)

    def fill(self, variable: str, items: list[Item], named: bool, out: list[str]) -> None:
        """Statements that append a chain's children to a sequence."""
        before = None  # the condition under which the last lines stand
        for item in self.flat(items):
            inside: list[str] = []
            with self.uncertain(item, named):
                if isinstance(item, Loop):
                    self.loop(item, out, lambda i, o: self.fill(variable, i, named, o))
                    before = None
                    continue
                if isinstance(item.what, GroupWhat) and item.what.inline:
                    self.fill(variable, item.what.items, named, inside)
                else:
                    module = self.module(item, inside, self.label(item))
                    inside.append(self._append(variable, item, named, module))
            if item.condition is None:
                out += inside
                before = None
            elif before is not None and opposite(before, item.condition):
                out += ["else:", *(f"    {line}" for line in inside)]
                before = None
            else:
                out += [f"if {self.condition(item)}:", *(f"    {line}" for line in inside)]
                before = item.condition

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
        if not named:
            return f"{variable}.append({module})"
        if step.key is None:
            self.require_fixed()
            return f'{variable}.add_module("{self.name_of(step)}", {module})'
        return f"{variable}.add_module({self.names.template(step.key.parts)}, {module})"

    def label(self, item: Item) -> str:
        """A wish for the name of a variable that holds an item's module."""
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
            self.routine.frozen |= loop.start.given | loop.last.given
            self._update(loop.variable, loop.update, inside)
        out.append(loop_header(loop, self.names, names_in(inside)))
        out += [f"    {line}" for line in inside]

    def _update(self, variable: str, value: Expr, body: list[str]) -> None:
        """End a loop's body with the new value of the channels, if it is another."""
        match value:
            case Name(name) if self.names.spell(name) == self.names.spell(variable):
                return
            case Choice(condition, yes, Name(name)) if name == variable:
                header = f"if {self.names.code(condition)}:"
                if [line for line in body if not line.startswith(" ")][-1:] == [header]:
                    inside: list[str] = []
                    self._update(variable, yes, inside)
                    body += [f"    {line}" for line in inside]
                    return
        spelt = self.names.spell(variable)
        match value:
            case Binary("+" | "-" | "*" | "//" as operator, Name(name), by) if name == variable:
                body.append(f"{spelt} {operator}= {self.names.code(by)}")
            case _:
                body.append(f"{spelt} = {self.names.code(value)}")


def only_index(key: Key, loop: Loop) -> bool:
    """Whether a name's formulas read nothing but the loop's index."""
    for part in key.parts:
        if not isinstance(part, str) and {n.name for n in free(part)} - {loop.index}:  # type: ignore[union-attr] # shapes are replaced
            return False
    return True


def _sequence(children: list[str], names: list[str] | None) -> str:
    """An `nn.Sequential` of children, numbered or with these names."""
    if not names:
        return f"nn.Sequential({', '.join(children)})"
    if all(is_plain(name) for name in names):
        pairs = [f"{name}={child}" for name, child in zip(names, children, strict=True)]
        return f"nn.Sequential(OrderedDict({', '.join(pairs)}))"
    pairs = [f'("{name}", {child})' for name, child in zip(names, children, strict=True)]
    return f"nn.Sequential(OrderedDict([{', '.join(pairs)}]))"


def mentions_names(arguments: str) -> bool:
    """Whether a call's arguments read names of the code around it."""
    tree = ast.parse(f"f({arguments})", mode="eval")
    return sum(isinstance(node, ast.Name) for node in ast.walk(tree)) > 1


def _maker(module: str, arguments: str, given: str) -> str | None:
    """What, called with `given`, makes a module with these arguments; None if nothing does."""
    if arguments == given or module == "nn.Identity":  # which takes any arguments
        return module
    return None if given else f"partial({module}, {arguments})"
