"""Conditions and edit checks: what an expression of the protocol means.

Expressions are CEL (Common Expression Language), compiled once and evaluated on the server alone.
What this module decides:

- **Three values.** An answer that is not there (unanswered, marked missing, hidden) is unknown, and
  so is what depends on it: `nrs >= 5`, `nrs == 5` and `nrs != 5` are all undecided while `nrs` is
  null. What does not depend on it is decided all the same: `age < 19 || nrs < 5` is true at 17. CEL
  alone would call `null != 5` true, and an exclusion criterion nobody has answered would then let a
  participant in; so unknown names are withheld from it, and its own error absorption gives the
  logic.
- **Asking whether something was answered** is the one exception: a name that the expression
  compares with null (`lot != null`) is given as null.
- **Undecided means**: an item with an undecided `when` is not shown, a form with an undecided
  `when` is not due, an edit check that is undecided is not broken, a criterion that is undecided
  neither admits nor excludes.
- **Dates are ISO strings.** They compare as strings in the order of the calendar, they are what is
  stored, and `days(a, b)` gives the days from a to b. A date known only in part is unknown to an
  expression: '2026-05' would sort before every day of that May.
- **Decimals are doubles**, so `volume > 10` works; in a sum the other number must be a double too
  (`volume + 0.5`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import cel

# What an expression may use beside the items of its form.
FACTS: dict[str, str] = {
    "cohort": "code",
    "arm": "code",
    "sex": "code",
    "age": "integer",
    "birth_year": "integer",
    "consent_date": "date",
    "visit": "code",
    "visit_date": "date",
    "visit_day": "integer",
    "today": "date",
}
_FUNCTIONS = "contains days double duration endsWith int matches size startsWith string timestamp"
# Names that CEL takes for itself, or that would hide one of its functions or types.
_TAKEN = """
    all as bool break bytes const continue dyn else exists exists_one false filter for function has
    if import in let list loop map max min namespace null null_type package return true type uint
    var void while
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
RESERVED = FUNCTIONS | frozenset(_TAKEN.split())

_NAME = r"[A-Za-z_]\w*"
_LITERAL = r"'[^']*'|\"[^\"]*\"|-?\d+(?![\w.])"
_TOKEN = re.compile(rf"(?P<text>'[^']*'|\"[^\"]*\")|(?<![\w.])(?P<name>{_NAME})(?!\w|\s*\()")
_BOUND = re.compile(rf"\.(?:all|exists|exists_one|map|filter)\(\s*({_NAME})\s*,")
_NULL = re.compile(rf"(?<![\w.])({_NAME})\s*[!=]=\s*null\b|\bnull\s*[!=]=\s*({_NAME})(?![\w.(])")
_EQUAL = re.compile(
    rf"(?<![\w.])(?P<left>{_NAME})\s*[!=]=\s*(?P<one>{_LITERAL})"
    rf"|(?P<first>{_LITERAL})\s*(?:[!=]=|\bin)\s*(?P<right>{_NAME})(?![\w.(])"
    rf"|(?<![\w.])(?P<member>{_NAME})\s+in\s+\[(?P<many>[^\]]*)\]"
)


class Invalid(ValueError):
    """The expression can't be compiled; the message is a sentence for its author."""


@dataclass(frozen=True, slots=True)
class Condition:
    source: str
    variables: frozenset[str]
    nullable: frozenset[str]
    functions: frozenset[str]
    program: cel.Program


@lru_cache(maxsize=8192)
def compile(source: str) -> Condition:
    try:
        program = cel.compile(source)
    except ValueError as error:
        said = re.search(r"<input>:\d+:(\d+): (?:Syntax error: )?([^\n]*)", str(error))
        why = (
            f"at character {said[1]}, {said[2].split(' expecting ')[0]}"
            if said
            else "it can't be read"
        )
        raise Invalid(f"“{source}” is not a valid expression: {why}.") from None
    bound = set(_BOUND.findall(source))
    return Condition(
        source=source,
        variables=frozenset(program.variables()) - bound,
        nullable=frozenset(a or b for a, b in _NULL.findall(source)) - bound,
        functions=frozenset(name for name in program.functions() if name[0].isalpha()),
        program=program,
    )


def decide(condition: Condition, context: Mapping[str, Any]) -> bool | None:
    """True, false, or None while it is undecided. A name that the context lacks is a mistake of the
    caller.
    """
    given: dict[str, Any] = {}
    for name in condition.variables:
        value = context[name]
        if value is not None or name in condition.nullable:
            given[name] = value
    try:
        result = evaluate(condition, given)
    except (TypeError, RuntimeError, ArithmeticError, LookupError, ValueError):
        # Something it needs is unknown. Wrong types can't come here: publishing tried samples.
        return None
    return result if isinstance(result, bool) else None


def evaluate(condition: Condition, given: dict[str, Any]) -> Any:
    """What CEL says, with its errors."""
    return condition.program.execute(
        {**given, "days": _days} if "days" in condition.functions else given
    )


def known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as a context: what is not given, or empty, is unknown."""
    return {name: None if facts.get(name) == "" else facts.get(name) for name in FACTS}


def compared(source: str) -> list[tuple[str, int | str]]:
    """(name, constant) wherever a name is compared with one, so that a misspelt option code can be
    told.
    """
    found: list[tuple[str, int | str]] = []
    for match in _EQUAL.finditer(source):
        name = match["left"] or match["right"] or match["member"]
        text = match["one"] or match["first"] or match["many"]
        found += [(name, _constant(each)) for each in re.findall(_LITERAL, text)]
    return found


def rename(source: str, names: Mapping[str, str]) -> str:
    """The expression with its variables renamed; what stands in quotes stays."""
    return _TOKEN.sub(
        lambda match: match[0] if match["text"] else names.get(match["name"], match["name"]), source
    )


def _constant(literal: str) -> int | str:
    return literal[1:-1] if literal[0] in "'\"" else int(literal)


def _days(first: str, last: str) -> int:
    return (date.fromisoformat(last) - date.fromisoformat(first)).days
