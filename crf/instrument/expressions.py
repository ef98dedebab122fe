"""Whether an expression of a definition can be relied on at its place: that it compiles, uses names
it may use there, compares them with codes that exist, and gives true or false for answers of the
right kind. Each is tried on samples, so that comparing a number with a word is found here and not
at a participant's visit.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, TypeAlias

from crf.conditions import FUNCTIONS, Condition, Invalid, compared, compile, evaluate
from crf.instrument.items import (
    ChoiceItem,
    DateItem,
    DecimalItem,
    Instrument,
    IntegerItem,
    Item,
    MultiItem,
    YesNoItem,
)

TRIES = 512


@dataclass(frozen=True)
class Name:
    """What an expression may call by this name: samples of its values, and its codes where they are
    listed.
    """

    samples: tuple[Any, ...]
    codes: frozenset[int | str] | None = None


Names: TypeAlias = Mapping[str, Name]


def names_of(instrument: Instrument) -> dict[str, Name]:
    return {item.code: name_of(item) for item in instrument.items}


def name_of(item: Item) -> Name:
    match item:
        case ChoiceItem():
            codes = [option.code for option in item.options]
            return Name((codes[0], codes[-1]), frozenset(codes))
        case MultiItem():
            codes = [option.code for option in item.options]
            return Name((codes[:1], codes), frozenset(codes))
        case YesNoItem():
            return Name(("yes", "no"), frozenset(("yes", "no")))
        case IntegerItem():
            return Name((1, 60))
        case DecimalItem():
            return Name((0.5, 60.0))
        case DateItem():
            return Name(("2026-02-27", "2026-03-01"))
        case _:
            return Name(("M54.5", "S33.5"))


def faults(source: str, names: Names, later: Iterable[str] = ()) -> Iterator[str]:
    try:
        condition = compile(source)
    except Invalid as error:
        yield str(error)
        return
    problem = False
    for name in sorted(condition.variables - names.keys()):
        problem = True
        reason = "comes later in the form" if name in set(later) else "can't be used here"
        yield f"“{name}” {reason}: {source}"
    for name in sorted(condition.functions - FUNCTIONS):
        problem = True
        yield f"There is no function “{name}”: {source}"
    for name, constant in compared(source):
        codes = names[name].codes if name in names else None
        if codes is not None and constant not in codes:
            problem = True
            yield f"“{constant}” is not a value of “{name}”: {source}"
    if not problem:
        yield from _tried(condition, names)


def _tried(condition: Condition, names: Names) -> Iterator[str]:
    variables = sorted(condition.variables)
    values = [
        (*names[name].samples, None) if name in condition.nullable else names[name].samples
        for name in variables
    ]
    for combination in islice(product(*values), TRIES):
        try:
            result = evaluate(condition, dict(zip(variables, combination, strict=True)))
        except (TypeError, RuntimeError, ValueError, LookupError):
            yield f"This mixes kinds that don't go together: {condition.source}"
            return
        except ArithmeticError:
            continue
        if not isinstance(result, bool):
            yield f"This gives {result!r} instead of true or false: {condition.source}"
            return
