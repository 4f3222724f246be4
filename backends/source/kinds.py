"""Ops as arguments: where a formula names one, code has what makes it.

The ends of such a formula (`acts` of `a if c else b`) are names of ops, a block's own parameters of
type `kind`, and columns of the table that a loop goes over. What the code of an op's name is, the
backend says when it writes the block that takes it; a loop's table then holds that code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from netspec import syntax
from netspec.backends.source.formulas import Formulas, constant
from netspec.backends.source.names import Names
from netspec.backends.source.plan import Context, Loop, Routine, Split, Unroll
from netspec.backends.source.python import Code
from netspec.backends.source.symbols import symbol
from netspec.formula import Choice, Expr, ListOf, Literal, Name


def kind_params(routine: Routine) -> set[str]:
    """The block's own parameters that name ops or blocks."""
    if routine.block is None:
        return set()
    return {param.name for param in routine.params if param.type == "kind"}


def called_name(routine: Routine, value: syntax.Value | str, context: Context) -> str | None:
    """The parameter or the column that a formula is, if code can hold what makes an op there."""
    if not isinstance(value, syntax.Formula) or not isinstance(value.expr, Name):
        return None
    name = value.expr.name
    is_own = name in kind_params(routine) or _table_of(name, context) is not None
    return name if is_own else None


def note_maker(routine: Routine, name: str, kinds: Collection[str], context: Context) -> None:
    """Note that a parameter or a column holds what makes ops of these kinds."""
    table = _table_of(name, context)
    if table is None:
        routine.open.setdefault(name, set()).update(kinds)
    else:
        table.makers.add(name)


def kind_argument(
    formulas: Formulas,
    value: syntax.Value,
    kinds: Collection[str],
    context: Context,
    names: set[str],
) -> Expr:
    """What a block is given for a parameter that holds what makes an op of one of `kinds`.

    A formula that cannot be code is its present value.

    Raises:
        Split: that value is another one in another lane.
    """
    routine = formulas.routine
    own = kind_params(routine)
    try:
        expr = formulas.expr(value, context, names)
    except Split:
        expr = formulas.expr(value, context, names | own)
    ends = _ends(expr)
    if all(_is_maker(end, kinds, own, context) for end in ends):
        for end in ends:
            if isinstance(end, Name):
                note_maker(routine, end.name, kinds, context)
        return expr
    values = [formulas.value_in(expr, context, lane) for lane in range(len(context.envs))]
    if not context.all_equal(values):
        raise Split(context, values)
    formulas.freeze(value)
    return Literal(values[0])


def _ends(expr: Expr) -> list[Expr]:
    """What a formula may result in."""
    match expr:
        case Choice(_, yes, no):
            return [*_ends(yes), *_ends(no)]
        case _:
            return [expr]


def _is_maker(end: Expr, kinds: Collection[str], own: set[str], context: Context) -> bool:
    match end:
        case Literal(value):
            return value in kinds
        case Name(name):
            return name in own or _table_of(name, context) is not None
        case _:
            return False


def _table_of(name: str, context: Context) -> Context | None:
    """The turns of the loop that has a column of this name, if the column holds texts."""
    at: Context | None = context
    while at is not None:
        repeat = at.loop.repeat if at.loop is not None else None
        if repeat is not None and name in repeat.names:
            return at if all(isinstance(env[name], str) for env in at.envs) else None
        at = at.outer
    return None


def written_out(
    formulas: Formulas, repeat: syntax.Repeat, each: Expr, inner: Context, context: Context
) -> Expr:
    """A loop's table, whose columns of makers are read from the source as it is.

    Raises:
        Split: it is another table in another copy.
    """
    cells = [_cells(repeat, each, column) for column in inner.makers]
    if all(cell is not None for cell in cells):
        return each
    values = [formulas.value_in(each, context, lane) for lane in range(len(context.envs))]
    if not context.all_equal(values):
        raise Split(context, [repr(value) for value in values])
    formulas.freeze(repeat.each)
    return constant(values[0])


def _cells(repeat: syntax.Repeat, each: Expr, column: str) -> list[str] | None:
    """The names of ops in a column; None where the table is not written out."""
    at = repeat.names.index(column)
    cells = [_cell(row, at if repeat.unpack else None) for row in _items(each)]
    texts = [cell.value for cell in cells if isinstance(cell, Literal)]
    known = isinstance(each, ListOf) and len(texts) == len(cells)
    return [str(text) for text in texts] if known else None


def _items(expr: Expr) -> tuple[Expr, ...]:
    return expr.items if isinstance(expr, ListOf) else ()


def _cell(row: Expr, at: int | None) -> Expr | None:
    if at is None:
        return row
    return row.items[at] if isinstance(row, ListOf) else None


# -- code -----------------------------------------------------------------------------------


def codes_of(routine: Routine, name: str, context: Context) -> dict[str, str]:
    """The code by op of a parameter or a column, to which backends add what they write."""
    table = _table_of(name, context)
    if table is None:
        return routine.kinds.setdefault(name, {})
    return routine.columns.setdefault((id(table.loop), name), {})


def maker_name(names: Names, name: str, context: Context) -> str:
    """The code that reads a parameter or a column that holds what makes an op."""
    return names.code(_read(names, symbol(name), context))


def maker_code(
    value: Expr,
    kinds: Mapping[str, str],
    names: Names,
    context: Context,
    agree: Callable[[str], None],
) -> str:
    """The argument for a block's parameter that holds what makes an op.

    `agree` is told the parameters and columns that have to hold the same code of `kinds`.
    """
    for end in _ends(value):
        if isinstance(end, Name):
            agree(end.name)

    def go(expr: Expr) -> Expr:
        match expr:
            case Literal(kind):
                return Literal(Code(kinds[str(kind)]))
            case Choice(condition, yes, no):
                return Choice(condition, go(yes), go(no))
            case Name():
                return _read(names, expr, context)
        raise AssertionError(expr)

    return names.code(go(value))


def _read(names: Names, read: Name, context: Context) -> Expr:
    """A name as code; a column of makers is not noted as one that is read as a text."""
    if _table_of(read.name, context) is None:
        return read
    return Literal(Code(names.spell(read.name)))


def code_table(loop: Loop, routine: Routine) -> Expr:
    """A loop's table with the code of what makes an op in columns of makers.

    Raises:
        Unroll: such a column is read as a text too, or what makes one of its ops is not known.
    """
    assert loop.each is not None
    repeat = loop.syntax.repeat
    assert repeat is not None
    table = loop.each
    for column in repeat.names:
        kinds = routine.columns.get((id(loop.syntax), column))
        if kinds is None:
            continue
        cells = _cells(repeat, loop.each, column)
        if cells is None or column in routine.used or not set(cells) <= kinds.keys():
            raise Unroll(loop.syntax)
        at = repeat.names.index(column) if repeat.unpack else None
        codes = [Literal(Code(kinds[cell])) for cell in cells]
        rows = zip(_items(table), codes, strict=True)
        table = ListOf(tuple(_replaced(row, at, code) for row, code in rows))
    return table


def _replaced(row: Expr, at: int | None, code: Expr) -> Expr:
    if at is None:
        return code
    items = _items(row)
    return ListOf((*items[:at], code, *items[at + 1 :]))
