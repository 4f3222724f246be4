"""A routine as a function of tensors in Keras's functional style."""

from __future__ import annotations

import re
from collections.abc import Callable

from netspec.backends.keras.layer import Join, Layer, lowering, stock
from netspec.backends.keras.naming import Naming, Place, branches_of, numbered, quoted
from netspec.backends.keras.snippet_text import needs_sizes
from netspec.backends.keras.statements import (
    For,
    If,
    Line,
    Only,
    Region,
    Renderer,
    made_first,
    token,
)
from netspec.backends.keras.values import Shared, Values
from netspec.backends.lowering import NotLowered
from netspec.backends.source.kinds import codes_of, maker_code, maker_name
from netspec.backends.source.loop_text import loop_header
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
    all_items,
    same_everywhere,
)
from netspec.backends.source.python import names_in
from netspec.backends.source.signature import let_lines, parameters
from netspec.backends.source.site import OpSite
from netspec.backends.source.text import block, docstring, returned
from netspec.formula import Expr, Unary

# What lowerings answer for the activations that Keras knows by name, and for the identity.
ACTIVATION = re.compile(
    r"layers\.(?:Activation\((?P<name>\"\w+\"), |Identity\()name=\{name\}\)\(\{x\}\)"
)
# What makes maps of one element, and what leaves them as small.
GLOBAL_POOL = "layers.GlobalAveragePooling"
ELEMENTWISE = frozenset(
    "batch_norm dropout hard_sigmoid hard_swish identity relu relu6 sigmoid silu tanh".split()
)
LINEAR = '"linear"'
LOCAL = frozenset({"x", "layer", "inputs", "outputs", "name", "aux", "_", "l", "O", "I"})


class FunctionWriter:
    """Writes one routine; `helpers` collects the snippets that its code uses."""

    def __init__(
        self,
        routine: Routine,
        functions: Callable[[Routine], str],
        helpers: set[str],
        reserved: frozenset[str],
    ) -> None:
        self.routine = routine
        self.functions = functions
        self.helpers = helpers
        self.names = _names(routine, reserved | LOCAL)
        routine.names = self.names
        self.naming = Naming(self.names, lambda text: self.emit(Line(text)))
        self.values = Values()
        self.out = Region()
        self.training = Region()  # what only outputs for training need
        self.in_training = False
        self.loops: list[Loop] = []
        self.shared: dict[int, Shared] = {}
        self.any_size = 0  # steps around that are shared by maps of several sizes
        self.named: set[int] = set()  # values that have variables of their own
        self.single: set[int] = set()  # values of one element a map, whatever parameters are
        self.apart = routine.block is None and not _inference_shares_training(routine)

    def emit(self, statement: Line | If | For | Only) -> None:
        self.out.statements.append(statement)

    def define(self, text: str, label: str = "") -> int:
        """A new value, which `text` computes."""
        value = self.values.new(label)
        self.emit(Line(text, [value]))
        return value

    # -- blocks -----------------------------------------------------------------------------

    def block(self) -> list[str]:
        """The function of a block: `def fire(x, squeeze, expand, *, name): ... return x`."""
        routine = self.routine
        entry = self.values.new("inputs")
        self.values.bind(routine.inputs[0], entry)
        self.items(routine.items, Place.of("{name}-", routine.items))
        self.emit(Line(f"return {token(self.values.of(routine.result))}"))
        renderer = self.renderer()
        received = renderer.receive(entry, "inputs")
        *before, last = renderer.lines()
        lines = returned(before, last.removeprefix("return "))
        lines = self.with_lets(lines, f"{received}.shape[-1]")
        parts = [f"{received}: keras.KerasTensor", *self.parameters(), "*", "name: str"]
        head = f"def {self.functions(routine)}({', '.join(parts)}) -> keras.KerasTensor:"
        doc = routine.block.doc if routine.block is not None else ""
        return [*block([head]), *(docstring(doc, 1) if doc else []), *block(made_first(lines), 1)]

    def renderer(self) -> Renderer:
        for shared in self.values.closed:
            shared.finish()
        labels = {n: _word(label) for n, label in self.values.labels.items()}
        return Renderer(self.out, labels, self.names.new, self.named)

    def with_lets(self, lines: list[str], channels: str | None = None) -> list[str]:
        """The lines after definitions of the lets that they mention; notes which names are used.

        `channels` is the code of those that a block receives.
        """
        routine, mentioned = self.routine, names_in(lines)
        routine.used = {n for n, spelt in self.names.known.items() if spelt in mentioned}
        lets = let_lines(routine, self.names)
        if channels is not None and (self.names.in_channels in mentioned or routine.uses_input):
            lets.insert(0, f"{self.names.in_channels} = {channels}")
        return [*lets, *lines]

    def parameters(self) -> list[str]:
        """The parameters that code mentions, with their types and defaults."""
        return parameters(self.routine, self.names, "str")

    # -- the model --------------------------------------------------------------------------

    def model(self, title: str) -> list[str]:
        """`build_model` of the whole network, which makes its inputs and the `keras.Model`."""
        routine = self.routine
        inputs = []
        for value in routine.inputs:
            assert value.channels is not None
            spatial = "".join(f"{size}, " for size in value.types[0].spatial)
            shape = f"({spatial}{self.names.code(value.channels)}{'' if spatial else ','})"
            made = self.define(f"keras.Input({shape}, name={quoted(value.label)})", value.label)
            self.values.bind(value, made)
            inputs.append(token(made))
        self.items(routine.items, Place.of("", routine.items))
        self.outputs(inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]", title)
        lines = self.with_lets(self.renderer().lines())
        heads = any(training for _, _, training in routine.outputs)
        parts = [*self.parameters(), *(["*", "aux: bool = False"] if heads else [])]
        head = f"def build_model({', '.join(parts)}) -> keras.Model:"
        return [*block([head]), *docstring(self.about(), 1), *block(made_first(lines), 1)]

    def outputs(self, inputs: str, title: str) -> None:
        """The return statement; outputs for training are added if `aux`."""
        all_outputs = [(self.values.of(v), training) for _, v, training in self.routine.outputs]
        self.named.update(value for value, _ in all_outputs)
        inference = [token(value) for value, training in all_outputs if not training]
        result = inference[0] if len(inference) == 1 else f"[{', '.join(inference)}]"
        if len(inference) < len(all_outputs):
            everything = ", ".join(token(value) for value, _ in all_outputs)
            self.training.statements.append(Line(f"outputs = [{everything}]"))
            self.emit(Line(f"outputs = {result}"))
            self.emit(Only("aux", self.training))
            result = "outputs"
        self.emit(Line(f"return keras.Model({inputs}, {result}, name={quoted(title)})"))

    def about(self) -> str:
        """The docstring of `build_model`."""
        names = [name for name, _, training in self.routine.outputs if not training]
        heads = [name for name, _, training in self.routine.outputs if training]
        text = "The network with freshly initialised weights."
        if len(names) > 1:
            text += f"\n\nIt returns {_listed(names)}."
        if heads:
            verb = "which is" if len(heads) == 1 else "which are"
            text += f"\n\nWith `aux` it also returns {_listed(heads)}, {verb} for training only."
        return text

    # -- items ------------------------------------------------------------------------------

    def items(self, items: list[Item], place: Place) -> None:
        for item in items:
            if not self.apart or self.in_training or not _for_training(item):
                self.item(item, place)
                continue
            # It is computed after everything else, so nothing may depend on the order.
            for loop in (*self.loops[-1:], place.loop):
                if loop is not None:
                    raise Unroll(loop.syntax)
            outer, self.out, self.in_training = self.out, self.training, True
            self.item(item, place)
            self.out, self.in_training = outer, False

    def item(self, item: Item, place: Place) -> None:
        self.naming.reach(item, place)
        if isinstance(item, Loop):
            self.loop(item, place)
        elif item.condition is None:
            self.always(item, place)
        else:
            self.sometimes(item, place)

    def always(self, step: Step, place: Place) -> None:
        assert step.result is not None
        if isinstance(step.what, ShareWhat):
            made = self.share_again(step, step.what, place)
        elif id(step) in self.routine.shared:
            made = self.apply_shared(step, place)
        else:
            made = self.apply(step, place)
        self.values.bind(step.result, made)

    def sometimes(self, step: Step, place: Place) -> None:
        """A step that some copies have; elsewhere its result is what it would have read."""
        assert step.result is not None and step.read is not None and step.condition is not None
        if id(step) in self.routine.shared or isinstance(step.what, ShareWhat):
            same_everywhere(step)
        otherwise = self.values.of(step.read)
        region, outer = Region(), self.out
        self.out = region
        region.result = self.apply(step, place)
        self.out = outer
        result = self.values.new(step.result.label)
        condition = self.names.code(step.condition)
        negation = self.names.code(Unary("not", step.condition))
        self.emit(If(condition, negation, region, result, Region(result=otherwise)))
        self.values.bind(step.result, result)

    def apply(self, step: Step, place: Place) -> int:
        """Write what a step computes."""
        assert step.result is not None
        label = step.result.label
        match step.what:
            case OpWhat():
                name = self.naming.layer(step, place, self.naming.child(step, place))
                return self.define(self.op(step, step.what, name), label or step.what.node.op.kind)
            case KindWhat():
                name = self.naming.layer(step, place, self.naming.child(step, place))
                return self.define(self.choice(step, step.what, name), label or "activation")
            case CallWhat(routine):
                name = quoted(place.prefix + self.naming.child(step, place))
                return self.define(self.call(step, step.what, name), label or routine.name)
            case JoinWhat():
                return self.join(step, step.what, place)
            case GroupWhat(items, result, inline):
                if not inline:
                    prefix = place.prefix + self.naming.child(step, place)
                    place = Place.of(f"{self.naming.fixed(prefix, 'group')}-", items)
                self.items(items, place)
                if result.serial in self.single:
                    self.single.add(step.result.serial)
                return self.values.of(result)
        raise AssertionError(step.what)

    def op(self, step: Step, what: OpWhat, name: str) -> str:
        site = OpSite(what, step.inner, step.read, self.names)
        layer = lowering(site.kind)(site)
        assert isinstance(layer, Layer)
        self.helpers.update(layer.helpers)
        self.note_sizes(any(map(needs_sizes, layer.helpers)), site.kind)
        reads_nothing = what.node.op.arity[1] == 0
        read = self.routine.inputs[0] if reads_nothing else step.read
        assert read is not None and step.result is not None
        x = token(self.values.of(read))
        single = read.serial in self.single
        if layer.call.startswith(GLOBAL_POOL) or (single and what.node.op.kind in ELEMENTWISE):
            self.single.add(step.result.serial)
        if layer.before and not (layer.reorders and single):
            x = token(self.define(layer.prepare(x)))
        return layer.apply(x, name)

    def choice(self, step: Step, what: KindWhat, name: str) -> str:
        """An activation by the name that a parameter holds.

        Raises:
            Split: some copies name an op that is no activation of Keras's.
        """
        assert step.read is not None
        kinds = {}
        for kind, (op, context) in what.calls.items():
            layer = lowering(kind)(OpSite(op, context, step.read, self.names))
            assert isinstance(layer, Layer)
            activation = ACTIVATION.fullmatch(layer.call)
            if activation is None:
                raise Split(step.inner, what.kinds)
            kinds[kind] = activation["name"] or LINEAR
        codes_of(self.routine, what.param, step.inner).update(kinds)
        code = maker_name(self.names, what.param, step.inner)
        layer = Layer(stock("Activation", code))
        return layer.render(token(self.values.of(step.read)), name)

    def call(self, step: Step, what: CallWhat, name: str) -> str:
        """A block's call; parameters that its code does not mention are left out."""
        assert step.read is not None
        callee = what.routine
        self.note_sizes(callee.sized, f"block {callee.name}")
        arguments = [token(self.values.of(step.read))]
        for param in callee.params:
            if param.name in what.args and param.name in callee.used:
                value = what.args[param.name]
                if param.name in callee.open:
                    code = self.kind_code(step, callee.kinds[param.name], value)
                else:
                    code = self.names.code(value)
                arguments.append(f"{callee.names.spell(param.name)}={code}")
        return f"{self.functions(callee)}({', '.join([*arguments, f'name={name}'])})"

    def kind_code(self, step: Step, kinds: dict[str, str], value: Expr) -> str:
        """The argument for a block's parameter that holds the name of an activation."""

        def agree(name: str) -> None:
            codes_of(self.routine, name, step.inner).update(kinds)

        return maker_code(value, kinds, self.names, step.inner, agree)

    def join(self, step: Step, what: JoinWhat, place: Place) -> int:
        assert step.result is not None
        child = self.naming.child(step, place)
        if numbered(branches_of(step)):
            child = self.naming.fixed(child, "index")  # its number comes before its branches'
        for branch in what.branches:
            self.items(branch.items, place)
        site = OpSite(what, step.inner, None, self.names)
        made = lowering(site.kind)(site)
        assert isinstance(made, Join)
        operands = [self.values.of(branch.value) for branch in what.branches]
        if sum(branch.value.step is not None for branch in what.branches) > 1:
            self.named.update(operands)  # to say which is which
        text = made.render([*map(token, operands)], self.naming.layer(step, place, child))
        return self.define(text, step.result.label or site.kind)

    # -- sharing ----------------------------------------------------------------------------

    def apply_shared(self, step: Step, place: Place) -> int:
        """A step that is applied again later becomes a model, so that its layers are made once."""
        assert step.read is not None and step.result is not None
        read = self.values.of(step.read)
        child = self.naming.child(step, place)
        child = self.naming.fixed(child, "group")
        shape = f"{token(read)}.shape[1:]"
        any_size = self.sizes_differ(step)
        if any_size:
            rank = step.read.types[0].rank
            shape = f"({'None, ' * rank}{token(read)}.shape[-1])"
        entry = self.define(f"keras.Input({shape})", "shared_input")
        name = f"name={quoted(f'{place.prefix}{child}--shared')}"
        model = Line("", [self.values.new(f"{step.result.label or 'shared'}_model")])
        begin = len(self.out.statements)
        shared = Shared(self.out, begin, model, name, entry)
        shared.inside[step.read.serial] = entry
        self.values.open.append(shared)
        self.any_size += any_size
        shared.result = self.apply_named(step, place, child)
        self.any_size -= any_size
        self.values.open.pop()
        self.values.closed.append(shared)
        self.emit(model)
        self.shared[id(step)] = shared
        return self.application(shared, read, step.result.label)

    def sizes_differ(self, step: Step) -> bool:
        """Whether a shared step is applied to maps of other sizes as well."""
        assert step.read is not None
        for again in all_items(self.routine.items):
            if not isinstance(again, Step) or not isinstance(again.what, ShareWhat):
                continue
            if again.what.target is step and again.read is not None:
                types = self.routine.formulas.types
                here, there = (types(read, again.inner) for read in (step.read, again.read))
                if [t.spatial for t in here] != [t.spatial for t in there]:
                    return True
        return False

    def note_sizes(self, needed: bool, what: str) -> None:
        """Note that code needs the sizes of maps.

        Raises:
            NotLowered: it stands in what is shared by maps of several sizes.
        """
        if needed and self.any_size:
            raise NotLowered(f"{what} that is shared by maps of several sizes", "keras")
        self.routine.sized |= needed

    def apply_named(self, step: Step, place: Place, child: str) -> int:
        """`apply` for a step whose own part of the name is written already."""
        fixed = Place(place.prefix, 1, index=child)
        keyless = Step(
            step.syntax,
            None,
            step.numbers,
            step.condition,
            step.inner,
            step.read,
            step.what,
            step.training,
            step.result,
            step.names,
        )
        return self.apply(keyless, fixed)

    def share_again(self, step: Step, what: ShareWhat, place: Place) -> int:
        assert step.read is not None and step.result is not None
        if step.key is None and place.counter:
            self.emit(Line(f"next({place.counter})"))
        elif step.key is None:
            self.naming.child(step, place)
        shared = self.shared[id(what.target)]
        return self.application(shared, self.values.of(step.read), step.result.label)

    def application(self, shared: Shared, read: int, label: str) -> int:
        result = self.values.new(label)
        line = Line("", [result])
        shared.applications.append((line, read))
        self.emit(line)
        return result

    # -- loops ------------------------------------------------------------------------------

    def loop(self, loop: Loop, place: Place) -> None:
        assert loop.result is not None
        start, carried = self.values.of(loop.start), self.values.new()
        region, outer = Region(), self.out
        self.values.bind(loop.carried, carried)
        self.loops.append(loop)
        self.out = region
        self.items(loop.items, place)
        region.result = self.values.of(loop.last)
        self.out = outer
        self.loops.pop()
        result = self.values.new(loop.result.label)
        self.emit(
            For(lambda names: loop_header(loop, self.names, names), region, start, carried, result)
        )
        self.values.bind(loop.result, result)


def _names(routine: Routine, reserved: frozenset[str]) -> Names:
    """The routine's names; what it has itself comes before local variables."""
    names = Names(routine, reserved)
    loops = [item for item in all_items(routine.items) if isinstance(item, Loop)]
    for name in (n for loop in loops for n in (loop.index, *loop.names)):
        names.spell(name)
    return names


def _listed(names: list[str]) -> str:
    """`a, b and c`."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def _word(label: str) -> str:
    """A label as a wish for a variable's name."""
    text = re.sub(r"\W|-", "_", label)
    return f"x_{text}" if text[:1].isdigit() else text


def _for_training(item: Item) -> bool:
    """Whether inference needs nothing of an item."""
    if isinstance(item, Loop):
        return bool(item.items) and all(_for_training(inner) for inner in item.items)
    return item.training


def _inference_shares_training(routine: Routine) -> bool:
    steps = [item for item in all_items(routine.items) if isinstance(item, Step)]
    shares = [s for s in steps if isinstance(s.what, ShareWhat) and not s.training]
    return any(s.what.target.training for s in shares if isinstance(s.what, ShareWhat))
