"""What is the same for every entry of a form in one version and language, worked out once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _

from crf.conditions import compile
from crf.definitions import definition_of
from crf.display import MISSING_LABELS
from crf.instrument import (
    ChoiceItem,
    CodeItem,
    DateItem,
    DecimalItem,
    Group,
    Instrument,
    IntegerItem,
    Item,
    LongTextItem,
    MultiItem,
    TextItem,
    YesNoItem,
)

Field = dict[str, Any]

KEYS = 9  # options that a digit key can choose where their codes are words


@lru_cache(maxsize=512)
def layout_of(version_id: int, instrument_code: str, lang: str) -> dict[str, Field]:
    """Item → what is the same for every entry of this version, in this language."""
    instrument = definition_of(version_id).instrument(instrument_code)
    drives = _drivers(instrument)
    row_of = {
        item.code: number
        for section in instrument.sections
        for group in section.items
        if isinstance(group, Group)
        for number, copy in enumerate(group.copies, start=1)
        for item in copy
    }
    layout: dict[str, Field] = {}
    number = 0
    for item in instrument.items:
        in_row = item.code in row_of
        number += not in_row
        label = item.label.get(lang)
        layout[item.code] = {
            "code": item.code,
            "kind": item.kind,
            "widget": _widget(item),
            # A label of a licensed form brings its own number.
            "number": "" if in_row or label[:1].isdigit() else str(number),
            "row": row_of.get(item.code, 0),
            "label": _without_row(label, row_of.get(item.code, 0)),
            "help": item.help.get(lang) if item.help else "",
            "unit": item.unit.get(lang) if item.unit else "",
            "required": item.required,
            "critical": item.critical,
            "choices": _choices(item, lang),
            "reasons": [(code, str(MISSING_LABELS[code])) for code in item.missing],
            "limit": item.max_length if isinstance(item, TextItem | LongTextItem) else None,
            "partial": isinstance(item, DateItem) and item.partial,
            "list": item.list if isinstance(item, CodeItem) else "",
            "drives": item.code in drives,
            "levels": len(item.options) if isinstance(item, ChoiceItem) else 0,
            "ends": _ends(item, lang),
            "grouped": isinstance(item, ChoiceItem | MultiItem | YesNoItem | DateItem)
            and _widget(item) != "list",
        }
    return layout


def _drivers(instrument: Instrument) -> set[str]:
    """Items on which something else depends: other questions, checks, scores."""
    drives = {item for use in instrument.scores for item in use.items}
    for item in instrument.items:
        if item.when:
            drives |= compile(item.when).variables
    for check in instrument.checks:
        drives |= compile(check.ok).variables
    return drives


def _widget(item: Item) -> str:
    match item:
        case ChoiceItem():
            numbers = all(isinstance(option.code, int) for option in item.options)
            bare = numbers and all(option.label.ko == str(option.code) for option in item.options)
            return "scale" if bare and item.display == "tiles" else item.display
        case YesNoItem():
            return "tiles"
        case IntegerItem() | DecimalItem():
            return "number"
    return item.kind


def _choices(item: Item, lang: str) -> list[dict[str, Any]]:
    """The answers to choose from: code, label, and the digit key that chooses it."""
    if isinstance(item, YesNoItem):
        return [
            {"code": "yes", "label": _("yes"), "key": "1", "word": _("yes")},
            {"code": "no", "label": _("no"), "key": "2", "word": _("no")},
        ]
    if not isinstance(item, ChoiceItem | MultiItem):
        return []
    choices = []
    for position, option in enumerate(item.options, start=1):
        label = option.label.get(lang)
        numeric = isinstance(option.code, int)
        key = str(option.code) if numeric else str(position) if position <= KEYS else ""
        word = "" if label == str(option.code) else label
        choices.append({"code": option.code, "label": label, "key": key, "word": word})
    return choices


def _ends(item: Item, lang: str) -> tuple[str, str] | None:
    """The words at both ends of a scale, where it has words."""
    if not isinstance(item, ChoiceItem) or item.display != "scale":
        return None
    first, last = item.options[0], item.options[-1]
    return tuple(f"{end.code} — {end.label.get(lang)}" for end in (first, last))  # type: ignore[return-value]


def _without_row(label: str, row: int) -> str:
    return label.removesuffix(f" {row}") if row else label
