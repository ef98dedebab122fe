"""Filling in a form as somebody might: by the kind of each question, its conditions and its checks.

What a person feels (numbered answers, and whatever a score is made of) follows the severity of the
case; everything else is drawn. A form is drawn again while a soft check objects, except by somebody
careless, whose form is the source of a query.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from crf import codelists
from crf.conditions import compile, decide, known
from crf.instrument import (
    ChoiceItem,
    CodeItem,
    DateItem,
    DecimalItem,
    Instrument,
    IntegerItem,
    Item,
    MultiItem,
    YesNoItem,
    judge,
)
from crf.instrument.judgement import operand
from crf.scoring import SCORES
from registry.simulation import plausible
from registry.simulation.plausible import Case

DRAWS = 8  # forms drawn before one is taken as it is
CARELESS, UNANSWERED = 0.07, 0.012
INVENTED = "모의 자료"  # what a text says that no table knows


@dataclass
class Filled:
    """Answers as typed, and why others are missing."""

    answers: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def fill(
    instrument: Instrument, facts: Mapping[str, Any], case: Case, *, part: float = 1.0
) -> Filled:
    """One form; `part` is the share of its questions after which somebody stopped."""
    careless = case.chance(CARELESS)
    drawn = (_drawn(instrument, facts, case, part) for _attempt in range(DRAWS))
    for filled in drawn:
        if bool(judge(instrument, filled.answers, facts).broken) == careless:
            return filled
    return _drawn(instrument, facts, case, part)


def _drawn(instrument: Instrument, facts: Mapping[str, Any], case: Case, part: float) -> Filled:
    filled = Filled()
    levels = _levels(instrument, case)
    context = known(facts) | dict.fromkeys((item.code for item in instrument.items), None)
    given, case.given = case.given, dict(case.given)
    try:
        for item in instrument.items[: max(1, round(len(instrument.items) * part))]:
            if item.when and decide(compile(item.when), context) is not True:
                continue
            if item.required and item.missing and case.chance(UNANSWERED):
                filled.missing[item.code] = case.rng.choice(item.missing)
                continue
            value = _value(item, case, levels)
            if value is not None:
                filled.answers[item.code] = case.given[item.code] = value
                context[item.code] = operand(item, value)
    finally:
        case.given = given
    return filled


def _levels(instrument: Instrument, case: Case) -> dict[str, float]:
    """Item → how far up its scale the answer lies, for what a score is made of."""
    levels = {}
    for use in instrument.scores:
        better = SCORES[use.score].outputs[0].higher_is == "better"
        for code in use.items:
            level = case.severity * plausible.REACH.get(use.score, 1.0)
            if better and use.score not in plausible.REACH:
                level = 0.45 + 0.5 * case.relief
            levels[code] = level + case.trait(code)
    return levels


def _value(item: Item, case: Case, levels: Mapping[str, float]) -> Any:
    often = plausible.OPTIONAL.get(item.code, 0.85 if item.code in levels else plausible.SELDOM)
    if not item.required and not case.chance(often):
        return None
    draw = plausible.known(item.code)
    if draw is not None and item.code not in levels:
        value = draw(case)
        if _offered(item, value):
            return value
    return _by_kind(item, case, levels.get(item.code))


def _offered(item: Item, value: Any) -> bool:
    """Whether a value that a table knows by name fits this question: another study's may differ."""
    if isinstance(item, ChoiceItem | MultiItem):
        codes = {option.code for option in item.options}
        return set(value if isinstance(value, list) else [value]) <= codes
    if isinstance(item, YesNoItem):
        return value in ("yes", "no")
    if isinstance(item, CodeItem):
        return codelists.find(item.list, value) is not None
    return not isinstance(value, list)


def _by_kind(item: Item, case: Case, level: float | None) -> Any:
    rng = case.rng
    match item:
        case ChoiceItem():
            return _chosen(item, case, level)
        case MultiItem():
            codes = [option.code for option in item.options]
            if "none" in codes and case.chance(0.4):
                return ["none"]
            plain = [code for code in codes if code not in ("none", "other")] or codes
            picked = rng.sample(plain, min(len(plain), 1 + case.chance(0.3)))
            return [code for code in codes if code in picked]
        case YesNoItem():
            return "yes" if case.chance(0.25) else "no"
        case IntegerItem():
            low, high = _ends(item.min, item.max)
            if level is not None:
                return int(low + _within(level, case) * (high - low))
            return round(rng.triangular(low, high, low + (high - low) / 10))
        case DecimalItem():
            low, high = _ends(item.min, item.max)
            drawn = rng.triangular(low, high, low + (high - low) / 10)
            return f"{drawn:.{item.places}f}"
        case DateItem():
            return (case.day - dt.timedelta(days=rng.choice((0, 0, 0, 1)))).isoformat()
        case CodeItem():
            return rng.choice(codelists.codes(item.list))
        case _:
            return INVENTED


def _chosen(item: ChoiceItem, case: Case, level: float | None) -> int | str:
    codes = [option.code for option in item.options]
    if level is not None or all(isinstance(code, int) for code in codes):
        at = _within(case.severity + case.trait(item.code) if level is None else level, case)
        return codes[round(at * (len(codes) - 1))]
    weights = [0.05 if code == "other" else 1 / (place + 2) for place, code in enumerate(codes)]
    return case.rng.choices(codes, weights)[0]


def _within(level: float, case: Case) -> float:
    return min(1.0, max(0.0, level + case.rng.gauss(0, 0.05)))


def _ends(low: int | Decimal | None, high: int | Decimal | None) -> tuple[float, float]:
    least = float(low if low is not None else 0)
    return least, float(high if high is not None else least + 100)
