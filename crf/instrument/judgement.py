"""What a form's answers mean as they stand: which items are shown, what expressions see, which
checks are broken.

One pass in the order of the form: a condition may look back only (publishing refuses one that looks
ahead). What a hidden item still holds is kept in the entry, but counts as unanswered for everything
after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crf.conditions import compile, decide, known
from crf.instrument.items import Check, DateItem, DecimalItem, Instrument, Item

FULL_DATE = len("2026-05-03")


@dataclass(frozen=True)
class Judgement:
    """`shown` are item codes; `context` is what expressions saw; `broken` are the checks that found
    something.
    """

    shown: frozenset[str]
    context: Mapping[str, Any]
    broken: tuple[Check, ...]


def judge(
    instrument: Instrument, answers: Mapping[str, Any], facts: Mapping[str, Any]
) -> Judgement:
    """`answers` as stored, without those marked missing or with null for them; `facts` as in
    `conditions.FACTS`.
    """
    context = known(facts)
    context |= dict.fromkeys((item.code for item in instrument.items), None)
    shown: set[str] = set()
    for item in instrument.items:
        if item.when is None or decide(compile(item.when), context) is True:
            shown.add(item.code)
            context[item.code] = operand(item, answers.get(item.code))
    broken = tuple(
        check for check in instrument.checks if decide(compile(check.ok), context) is False
    )
    return Judgement(frozenset(shown), context, broken)


def operand(item: Item, value: Any) -> Any:
    """A stored answer as expressions see it: decimals as doubles, a date known only in part as
    unknown.
    """
    if value is None or value == "" or value == []:
        return None
    if isinstance(item, DecimalItem):
        return float(value)
    if isinstance(item, DateItem):
        return value if len(value) == FULL_DATE else None
    return value
