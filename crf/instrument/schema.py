"""The answers to an instrument as JSON Schema, for programs that write them.

Made of the same items as the page and the dataset. It says what can be kept: types, formats and the
ends of scales. What JSON Schema has no word for stands under names that begin with `x-`: conditions
and checks as CEL source, which the server alone decides, and why an answer may be missing.
"""

from typing import Any

from crf import codelists
from crf.instrument.items import (
    Check,
    ChoiceItem,
    CodeItem,
    DateItem,
    DecimalItem,
    Instrument,
    IntegerItem,
    Item,
    LongTextItem,
    MultiItem,
    Option,
    ScoreUse,
    TextItem,
    YesNoItem,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DAY = r"\d{4}-\d{2}-\d{2}"


def answers_schema(instrument: Instrument, lang: str) -> dict[str, Any]:
    """What `answers` of an entry of this instrument look like, as they are read and written."""
    return {
        "$schema": DIALECT,
        "title": instrument.title.get(lang),
        "type": "object",
        "additionalProperties": False,
        "properties": {item.code: _item(item, lang) for item in instrument.items},
        "x-instrument": instrument.code,
        "x-repeating": instrument.repeating,
        "x-checks": [_check(check, lang) for check in instrument.checks],
        "x-scores": [_score(use) for use in instrument.scores],
    }


def _item(item: Item, lang: str) -> dict[str, Any]:
    about: dict[str, Any] = {"title": item.label.get(lang), **_kind(item, lang)}
    if item.help:
        about["description"] = item.help.get(lang)
    if item.unit:
        about["x-unit"] = item.unit.get(lang)
    if item.when:
        about["x-when"] = item.when
    return about | {
        "x-required": item.required,
        "x-critical": item.critical,
        "x-missing": list(item.missing),
    }


def _kind(item: Item, lang: str) -> dict[str, Any]:
    match item:
        case ChoiceItem():
            return _options(item.options, lang)
        case MultiItem():
            return {
                "type": "array",
                "items": _options(item.options, lang),
                "uniqueItems": True,
                "minItems": 1,
            }
        case YesNoItem():
            return {"enum": ["yes", "no"]}
        case IntegerItem():
            return {"type": "integer", **_ends(item)}
        case DecimalItem():
            places = rf"\d{{1,12}}(\.\d{{1,{item.places}}})?"
            ends = {f"x-{name}": str(value) for name, value in _ends(item).items()}
            return {"type": "string", "pattern": rf"^[+-]?{places}$", **ends}
        case DateItem():
            partial = r"\d{4}(-\d{2}(-\d{2})?)?"
            pattern = partial if item.partial else DAY
            return {
                "type": "string",
                "pattern": f"^{pattern}$",
                "x-partial": item.partial,
                "x-not-future": item.not_future,
            }
        case CodeItem():
            version = codelists.version(item.list)
            return {"type": "string", "x-list": item.list, "x-list-version": version}
        case TextItem() | LongTextItem():
            return {"type": "string", "minLength": 1, "maxLength": item.max_length}
    raise AssertionError(item)


def _options(options: tuple[Option, ...], lang: str) -> dict[str, Any]:
    return {"oneOf": [{"const": each.code, "title": each.label.get(lang)} for each in options]}


def _ends(item: IntegerItem | DecimalItem) -> dict[str, Any]:
    ends = {"minimum": item.min, "maximum": item.max}
    return {name: value for name, value in ends.items() if value is not None}


def _check(check: Check, lang: str) -> dict[str, Any]:
    return {
        "code": check.code,
        "ok": check.ok,
        "items": list(check.items),
        "message": check.message.get(lang),
    }


def _score(use: ScoreUse) -> dict[str, Any]:
    return {"score": use.score, "items": list(use.items), "settings": use.settings}
