"""Small algebra on formulas: channels as expressions, names replaced, sums collected."""

from __future__ import annotations

from collections.abc import Callable

from netspec.evaluate import Steps, evaluate
from netspec.formula import (
    Binary,
    Call,
    Choice,
    Each,
    Expr,
    FormulaError,
    Index,
    InputShape,
    ListOf,
    Literal,
    Name,
    Slice,
    Unary,
    free,
)

# What the block received; `$` keeps them apart from every name of a spec.
IN_CHANNELS = "$in"
IN_SIZES = "$sizes"


def symbol(name: str) -> Name:
    return Name(name, 0, 0)


def number(value: int) -> Literal:
    return Literal(value)


def product(a: Expr, b: int) -> Expr:
    """`a * b`, folded where it can be."""
    if b == 1:
        return a
    if isinstance(a, Literal) and isinstance(a.value, int):
        return Literal(a.value * b)
    return Binary("*", a, Literal(b), 0, 0)


def total(terms: list[Expr]) -> Expr:
    """A sum with equal terms counted and numbers added up."""
    constant = 0
    counted: list[tuple[Expr, int]] = []
    for term in terms:
        if isinstance(term, Literal) and isinstance(term.value, int):
            constant += term.value
            continue
        for at, (known, times) in enumerate(counted):
            if same(known, term):
                counted[at] = (known, times + 1)
                break
        else:
            counted.append((term, 1))
    parts = [t if n == 1 else Binary("*", Literal(n), t, 0, 0) for t, n in counted]
    if constant or not parts:
        parts.append(Literal(constant))
    result = parts[0]
    for part in parts[1:]:
        result = Binary("+", result, part, 0, 0)
    return result


def difference(a: Expr, b: Expr) -> Expr:
    """`a - b`, where `2 * b - b` is `b`."""
    if same(a, Binary("*", Literal(2), b, 0, 0)):
        return b
    if isinstance(b, Literal) and b.value == 0:
        return a
    values = [e.value for e in (a, b) if isinstance(e, Literal) and isinstance(e.value, int)]
    if len(values) == 2:
        return Literal(values[0] - values[1])
    return Binary("-", a, b, 0, 0)


Polynomial = dict[tuple[Expr, ...], int]  # the factor of each product of terms


def collected(expr: Expr) -> Expr:
    """A sum of whole numbers with equal terms counted, where that makes it shorter."""
    if not _can_be_shorter(expr):
        return expr
    made = _sum(_polynomial(expr))
    return made if size(made) < size(expr) else expr


def _can_be_shorter(expr: Expr) -> bool:
    """Whether there is a sum in it, or a product that stands in parentheses after a number."""
    match expr:
        case Binary("+" | "-") | Binary("*", Literal(), Binary("*")):
            return True
        case Binary("*", left, right):
            return _can_be_shorter(left) or _can_be_shorter(right)
    return False


def _polynomial(expr: Expr) -> Polynomial:
    match expr:
        case Literal(value) if isinstance(value, int):
            return {(): value}
        case Unary("-", operand):
            return _times({(): -1}, _polynomial(operand))
        case Binary("+", left, right):
            return _plus(_polynomial(left), _polynomial(right))
        case Binary("-", left, right):
            return _plus(_polynomial(left), _times({(): -1}, _polynomial(right)))
        case Binary("*", left, right):
            return _times(_polynomial(left), _polynomial(right))
        case _:
            return {(bare(expr),): 1}


def _plus(a: Polynomial, b: Polynomial) -> Polynomial:
    return {term: a.get(term, 0) + b.get(term, 0) for term in {**a, **b}}


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    made: Polynomial = {}
    for left, m in a.items():
        for right, n in b.items():
            term = tuple(sorted((*left, *right), key=repr))
            made[term] = made.get(term, 0) + m * n
    return made


def _sum(terms: Polynomial) -> Expr:
    """The terms that are added, what is taken away, and the number last."""
    order = sorted(terms, key=lambda term: (not term, terms[term] < 0))
    made: Expr | None = None
    for term in order:
        factor = terms[term]
        if factor == 0:
            continue
        if made is None:
            made = _term(factor, term)
        else:
            made = Binary("+" if factor > 0 else "-", made, _term(abs(factor), term), 0, 0)
    return made or Literal(0)


def _term(factor: int, term: tuple[Expr, ...]) -> Expr:
    parts = list(term) if factor == 1 and term else [Literal(factor), *term]
    made = parts[0]
    for part in parts[1:]:
        made = Binary("*", made, part, 0, 0)
    return made


def size(expr: Expr) -> int:
    """How many names, numbers and operators a formula has."""
    match expr:
        case Unary(_, operand):
            return 1 + size(operand)
        case Binary(_, left, right):
            return 1 + size(left) + size(right)
        case Call(_, arguments):
            return 1 + sum(map(size, arguments))
        case _:
            return 1


def folded(expr: Expr) -> Expr:
    """The formula with its constant parts computed where they are whole numbers or truth values."""
    match expr:
        case Unary(operator, operand):
            return _computed(Unary(operator, folded(operand)))
        case Binary("and" | "or" as operator, left, right):
            ends = folded(left), folded(right)
            decided = operator == "or"  # the value of one end that makes the other irrelevant
            for end, other in (ends, ends[::-1]):
                if isinstance(end, Literal) and isinstance(end.value, bool):
                    return end if end.value is decided else other
            return Binary(operator, *ends, 0, 0)
        case Binary(operator, left, right):
            ends = folded(left), folded(right)
            return _neutral(operator, *ends) or _computed(Binary(operator, *ends, 0, 0))
        case Choice(condition, yes, no):
            chosen, ends = folded(condition), (folded(yes), folded(no))
            if isinstance(chosen, Literal):
                return ends[0] if chosen.value else ends[1]
            return ends[0] if same(*ends) else Choice(chosen, *ends)
        case Slice(_, None, Literal(0)):
            return ListOf(())
        case Index(of, index):
            return _computed(Index(folded(of), folded(index), 0, 0))
        case ListOf(items):
            return ListOf(tuple(folded(item) for item in items))
        case Call(function, arguments):
            return _computed(Call(function, tuple(folded(a) for a in arguments), 0, 0))
        case _:
            return expr


def _neutral(operator: str, left: Expr, right: Expr) -> Expr | None:
    """The other operand where one changes nothing: `0 + x`, `x - 0`, `x * 1`."""
    neutral = {"+": 0, "-": 0, "*": 1}.get(operator)

    def is_neutral(end: Expr) -> bool:
        whole = isinstance(end, Literal) and type(end.value) is int
        return whole and end.value == neutral  # type: ignore[union-attr] # a literal

    if is_neutral(right):
        return left
    return right if operator != "-" and is_neutral(left) else None


def _computed(expr: Expr) -> Expr:
    if free(expr):
        return expr
    try:
        value = evaluate(expr, {}, None, Steps(10**6))
    except FormulaError:
        return expr  # a part that is never reached
    return Literal(value) if isinstance(value, int) else expr


def same(a: Expr, b: Expr) -> bool:
    """Whether two formulas are written alike, wherever they stand in the text."""
    return bare(a) == bare(b)


def opposite(a: Expr, b: Expr) -> bool:
    """Whether one of two conditions is `not` the other."""
    return same(a, Unary("not", b)) or same(b, Unary("not", a))


def bare(expr: Expr) -> Expr:
    """The formula without its places in the text."""
    return substitute(expr, lambda name: symbol(name.name), lambda s: InputShape(s.axis, 0, 0))


def names_of(expr: Expr) -> set[str]:
    """The names that a formula reads; `$in` and `$sizes` are the shape of what was received."""
    received = {True: IN_CHANNELS, False: IN_SIZES}
    return {n.name if isinstance(n, Name) else received[n.axis == "channels"] for n in free(expr)}


def substitute(
    expr: Expr,
    name: Callable[[Name], Expr],
    shape: Callable[[InputShape], Expr] = lambda axis: axis,
) -> Expr:
    """The formula with its free names and shapes replaced."""

    def go(e: Expr) -> Expr:
        return substitute(e, name, shape)

    match expr:
        case Name():
            return name(expr)
        case InputShape():
            return shape(expr)
        case Unary(operator, operand):
            return Unary(operator, go(operand))
        case Binary(operator, left, right):
            return Binary(operator, go(left), go(right), 0, 0)
        case Choice(condition, yes, no):
            return Choice(go(condition), go(yes), go(no))
        case ListOf(items):
            return ListOf(tuple(go(item) for item in items))
        case Index(of, index):
            return Index(go(of), go(index), 0, 0)
        case Slice(of, first, last):
            begin, end = (None if x is None else go(x) for x in (first, last))
            return Slice(go(of), begin, end, 0, 0)
        case Each(item, bound, of):
            inner = substitute(item, lambda n: n if n.name == bound else name(n), shape)
            return Each(inner, bound, go(of))
        case Call(function, arguments):
            return Call(function, tuple(go(a) for a in arguments), 0, 0)
        case _:
            return expr
