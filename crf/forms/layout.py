"""What is the same for every entry of a form in one version and language, worked out once."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _

from crf import codelists
from crf.conditions import compile, decide
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
    Line,
    LongTextItem,
    MultiItem,
    TextItem,
    YesNoItem,
)

Field = dict[str, Any]

SHORT = 60  # a list of so many codes is tried through
ANYTHING = "\uffff"  # an answer that no condition names
KEYS = 9  # options that a digit key can choose where their codes are words


@lru_cache(maxsize=512)
def layout_of(version_id: int, instrument_code: str, lang: str) -> dict[str, Field]:
    """Item → what is the same for every entry of this version, in this language."""
    instrument = definition_of(version_id).instrument(instrument_code)
    drives = _drivers(instrument)
    reveals = _reveals(instrument)
    beside = _beside(instrument)
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
        number += not in_row and item.code not in beside
        label = item.label.get(lang)
        layout[item.code] = {
            "code": item.code,
            "kind": item.kind,
            "widget": _widget(item),
            # A label of a licensed form brings its own number.
            "number": "" if in_row or item.code in beside or label[:1].isdigit() else str(number),
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
            "reveals": json.dumps(reveals[item.code]) if item.code in reveals else "",
            "levels": len(item.options) if isinstance(item, ChoiceItem) else 0,
            "ends": _ends(item, lang),
            "grouped": isinstance(item, ChoiceItem | MultiItem | YesNoItem | DateItem)
            and _widget(item) != "list",
        }
    return layout


def _beside(instrument: Instrument) -> set[str]:
    """Items that stand in a line behind its first, whose number is the line's."""
    lines = (each for section in instrument.sections for each in section.items)
    return {item.code for line in lines if isinstance(line, Line) for item in line.items[1:]}


def _reveals(instrument: Instrument) -> dict[str, dict[str, list[str]]]:
    """Item → its answers → the questions that such an answer makes apply; "*" is any answer.

    Worked out here, for questions that hang on this one item alone, so that the page can go on to
    them before the server has answered. Whether they apply is still what the server says.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for item in instrument.items:
        names = compile(item.when).variables if item.when else frozenset()
        if len(names) != 1 or not instrument.has(name := next(iter(names))):
            continue
        for answer in _answers(instrument.item(name)):
            value = [answer] if isinstance(instrument.item(name), MultiItem) else answer
            if decide(compile(item.when or ""), {name: value}) is True:
                key = "*" if answer == ANYTHING else str(answer)
                found.setdefault(name, {}).setdefault(key, []).append(item.code)
    return found


def _answers(item: Item) -> list[Any]:
    """Answers to try a condition with: every option, or something that is in no list."""
    match item:
        case YesNoItem():
            return ["yes", "no"]
        case ChoiceItem() | MultiItem():
            return [option.code for option in item.options]
        case CodeItem() if len(codelists.codes(item.list)) <= SHORT:
            return [ANYTHING, *codelists.codes(item.list)]
        case CodeItem() | TextItem() | LongTextItem():
            return [ANYTHING]
    return []


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
