"""Blank forms for when the system is down: what a published version asks, as boxes to fill in.

Made of the same instruments as the pages, so that paper and screen can't disagree. Of a licensed
questionnaire only what the instrument itself holds is printed: the numbers of its items and short
neutral names, beside the holder's notice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf import codelists
from crf.definitions import definition_of
from crf.display import MISSING_LABELS, YES_NO
from crf.forms.layout import layout_of
from crf.instrument import (
    ChoiceItem,
    CodeItem,
    DateItem,
    DecimalItem,
    Definition,
    Group,
    Instrument,
    IntegerItem,
    Item,
    Line,
    LongTextItem,
    MultiItem,
    Section,
    YesNoItem,
)
from registry.models import ProtocolVersion
from registry.protocol import FormDue, Protocol
from safety import causality, codes, ctcae
from safety.display import LABELS

# What paper calls a missing reason, beside the question; the page's foot says what it stands for.
SHORT = {"not_done": "ND", "refused": "RF", "not_applicable": "NA", "unknown": "UK"}
MOST_DIGITS = 6
LONG = 12  # questions that no single page holds
ROWS = 6  # of a repeating group on paper; who needs more takes another sheet
_IS = re.compile(r"^\(?(\w+) == '(\w+)'\)?$")
_HAS = re.compile(r"^\(?'(\w+)' in (\w+)\)?$")
_ANSWERED = re.compile(r"^\(?(?:size\((\w+)\) > 0|(\w+) != null)\)?$")


@dataclass(frozen=True)
class Box:
    """One question with its place for an answer; `kind` says how that looks."""

    kind: str  # choice, scale, number, date, text, lines, code
    label: str
    number: str = ""
    code: str = ""
    help: str = ""
    hint: str = ""
    unit: str = ""
    options: list[tuple[str, str]] = field(default_factory=list)
    several: bool = False
    plain: bool = False  # the words say it all: their codes are not printed
    digits: str = ""  # one letter for each box: 9 for a digit, anything else is printed
    note: str = ""
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Rows:
    """A repeating group as a table: a column for each question, so many empty rows."""

    title: str
    boxes: list[Box]
    rows: list[int]


@dataclass(frozen=True)
class Sheet:
    """A form: sections with their questions and groups."""

    title: str
    code: str = ""
    when: str = ""
    recall: str = ""
    licence: str = ""
    sections: list[tuple[str, list[Box | Rows]]] = field(default_factory=list)

    @property
    def blocks(self) -> list[tuple[str, list[Rows | list[Box]]]]:
        """The sections as tables: questions that follow each other are one table."""
        found: list[tuple[str, list[Rows | list[Box]]]] = []
        for title, asked in self.sections:
            tables: list[Rows | list[Box]] = []
            for each in asked:
                if isinstance(each, Rows):
                    tables.append(each)
                elif tables and isinstance(tables[-1], list):
                    tables[-1].append(each)
                else:
                    tables.append([each])
            found.append((title, tables))
        return found

    @property
    def size(self) -> str:
        """Whether a form fits on one page, and is then not cut."""
        return "long" if sum(len(boxes) for _title, boxes in self.sections) > LONG else "short"


@dataclass(frozen=True)
class Chapter:
    """A visit, or what is not bound to one."""

    title: str
    note: str
    sheets: list[Sheet]
    visit: bool = True


@dataclass(frozen=True)
class Packet:
    version: ProtocolVersion
    protocol: Protocol
    chapters: list[Chapter]
    legend: list[tuple[str, str]]


def packet(version: ProtocolVersion) -> Packet:
    """Every form of a version in the order in which a participant meets them."""
    definition = definition_of(version.pk)
    protocol = definition.protocol
    first = Chapter(
        _("Consent and screening"),
        "",
        [_consents(protocol), _sheet(version, definition, FormDue(instrument=protocol.screening))],
        visit=False,
    )
    visits = [
        Chapter(
            _said(visit.label),
            _("day %(day)d, window %(opens)d to %(closes)d")
            % {"day": visit.day, "opens": visit.opens, "closes": visit.closes},
            [_sheet(version, definition, form) for form in visit.forms],
        )
        for visit in protocol.visits
    ]
    if protocol.unscheduled:
        forms = [_sheet(version, definition, form) for form in protocol.unscheduled]
        visits.append(Chapter(_("Unscheduled visit"), "", forms))
    logs = [
        Chapter(
            _said(log.label),
            _("one sheet for each"),
            [_sheet(version, definition, FormDue(instrument=log.instrument))],
            visit=False,
        )
        for log in protocol.logs
    ]
    last = [
        Chapter(
            _("Adverse events"), _("one sheet for each"), [_adverse_event(protocol)], visit=False
        ),
        Chapter(_("End of the study"), "", [_end(protocol)], visit=False),
    ]
    legend = [(SHORT[code], str(label)) for code, label in MISSING_LABELS.items()]
    return Packet(version, protocol, [first, *visits, *logs, *last], legend)


def _said(text: Any) -> str:
    return str(text.get(get_language() or "ko")) if text else ""


# Instruments ------------------------------------------------------------------------------------


def _sheet(version: ProtocolVersion, definition: Definition, form: FormDue) -> Sheet:
    instrument = definition.instrument(form.instrument)
    layout = layout_of(version.pk, instrument.code, get_language() or "ko")
    return Sheet(
        title=_said(instrument.title),
        code=instrument.code,
        when=_due(form.when, definition.protocol),
        recall=_said(instrument.recall),
        licence=_said(instrument.licence),
        sections=[
            (_said(section.title), list(_boxes(section, instrument, layout)))
            for section in instrument.sections
        ],
    )


def _boxes(section: Section, instrument: Instrument, layout: dict[str, Any]) -> list[Box | Rows]:
    found: list[Box | Rows] = []
    for each in section.items:
        if isinstance(each, Group):
            boxes = [_box(item, instrument, {}, group=each) for item in each.items]
            rows = list(range(1, min(each.max, ROWS) + 1))
            found.append(Rows(_said(each.title), boxes, rows))
        elif isinstance(each, Line):
            found += [_box(item, instrument, layout[item.code]) for item in each.items]
        else:
            found.append(_box(each, instrument, layout[each.code]))
    return found


def _box(
    item: Item, instrument: Instrument, about: dict[str, Any], group: Group | None = None
) -> Box:
    kind, more = _place(item)
    return Box(
        kind=kind,
        label=_said(item.label),
        number=about.get("number", ""),
        code=item.code,
        help=_said(item.help),
        hint=_hint(item.when, instrument, group),
        unit=_said(item.unit),
        missing=[SHORT[code] for code in item.missing],
        **more,
    )


def _place(item: Item) -> tuple[str, dict[str, Any]]:
    """How an answer is written: boxes to tick, digits, lines."""
    match item:
        case ChoiceItem() | MultiItem():
            options = [(str(each.code), _said(each.label)) for each in item.options]
            bare = all(code == label for code, label in options)
            scale = bare or (isinstance(item, ChoiceItem) and item.display == "scale")
            several = isinstance(item, MultiItem)
            return "scale" if scale else "choice", {"options": options, "several": several}
        case YesNoItem():
            words = [(code, str(label)) for code, label in YES_NO.items()]
            return "choice", {"options": words, "plain": True}
        case DateItem():
            return "date", {
                "digits": "9999-99-99",
                "note": _("UK in the boxes of what is not known") if item.partial else "",
            }
        case IntegerItem():
            return "number", {"digits": "9" * _wide(item.max)}
        case DecimalItem():
            return "number", {"digits": "9" * _wide(item.max) + "." + "9" * item.places}
        case CodeItem():
            return "code", {"note": codelists.version(item.list)}
        case LongTextItem():
            return "lines", {}
    return "text", {}


def _wide(most: Any) -> int:
    return len(str(int(most))) if most is not None else MOST_DIGITS


# Conditions in words ----------------------------------------------------------------------------


def _due(when: str | None, protocol: Protocol) -> str:
    """Of whom a form is asked."""
    if not when:
        return ""
    found = _IS.match(when)
    if found and found[1] == "cohort" and protocol.cohort:
        return _("only: %(group)s") % {"group": _said(protocol.cohort.option(found[2]).label)}
    if found and found[1] == "arm":
        return _("only: %(group)s") % {"group": _said(protocol.arm(found[2]).label)}
    return _("where it applies")


def _hint(when: str | None, instrument: Instrument, group: Group | None) -> str:
    """When a question is asked, for the conditions that are written every day."""
    if not when:
        return ""
    items = {item.code: item for item in instrument.items}
    items |= {item.code: item for item in group.items} if group else {}
    if (found := _ANSWERED.match(when)) and (item := items.get(found[1] or found[2])):
        return _("if “%(question)s” is answered") % {"question": _said(item.label)}
    equal, has = _IS.match(when), _HAS.match(when)
    name, code = (equal[1], equal[2]) if equal else (has[2], has[1]) if has else ("", "")
    if name == "sex":
        return _("only: %(group)s") % {"group": _("female") if code == "female" else _("male")}
    if name not in items:
        return _("where it applies")
    return _("if “%(question)s” is “%(answer)s”") % {
        "question": _said(items[name].label),
        "answer": _answer(items[name], code),
    }


def _answer(item: Item, code: str) -> str:
    if isinstance(item, YesNoItem):
        return str(YES_NO[code])
    if isinstance(item, ChoiceItem | MultiItem):
        return _said(item.option(code).label)
    coded = codelists.find(item.list, code) if isinstance(item, CodeItem) else None
    return coded.label(get_language() or "ko") if coded else code


# What is no instrument --------------------------------------------------------------------------


def _date(label: str) -> Box:
    return Box("date", label, digits="9999-99-99")


def _ticks(label: str, options: list[tuple[str, str]], *, several: bool = False) -> Box:
    return Box("choice", label, options=options, several=several, plain=True)


def _yes_no(label: str) -> Box:
    return _ticks(label, [(code, str(word)) for code, word in YES_NO.items()])


def _consents(protocol: Protocol) -> Sheet:
    person: list[Box | Rows] = [
        _ticks(_("Sex"), [("female", _("female")), ("male", _("male"))]),
        Box("number", _("Birth year"), digits="9999"),
    ]
    sections = [(_("Participant"), person)]
    for each in protocol.consents:
        given = _ticks(_said(each.label), [("yes", _("consented")), ("no", _("declined"))])
        version = Box("text", _("Consent form version"))
        told: list[Box | Rows] = [given, version, _date(_("Date"))]
        sections.append((_said(each.label), [*told, Box("text", _("Explained by"))]))
    return Sheet(_("Consent"), sections=sections)


def _adverse_event(protocol: Protocol) -> Sheet:
    language = "en" if (get_language() or "ko").startswith("en") else "ko"
    label = {name: str(text) for name, text in LABELS.items()}
    partial = _("UK in the boxes of what is not known")
    what: list[Box | Rows] = [
        Box("lines", label["symptom"]),
        Box("date", label["onset"], digits="9999-99-99", note=partial),
        Box("date", label["ended"], digits="9999-99-99", note=partial),
        Box("text", label["term"], note=f"CTCAE {protocol.safety.ctcae}"),
        _ticks(
            label["grade"],
            [(str(grade), words[language]) for grade, words in ctcae.GRADES.items()],
        ),
        _ticks(label["outcome"], codes.choices(codes.OUTCOMES, language)),
    ]
    serious: list[Box | Rows] = [
        _yes_no(label["serious"]),
        _ticks(label["seriousness"], codes.choices(codes.SERIOUSNESS, language), several=True),
        _yes_no(label["expected"]),
        _date(label["aware_on"]),
    ]
    cause: list[Box | Rows] = [
        _ticks(label["causality"], codes.choices(causality.CATEGORIES, language)),
        _ticks(label["action"], codes.choices(codes.ACTIONS, language)),
        Box("lines", label["treatment"]),
        Box("lines", label["narrative"]),
    ]
    return Sheet(
        _("Adverse event"),
        sections=[(_("What happened"), what), (_("Seriousness"), serious), (_("Cause"), cause)],
    )


def _end(protocol: Protocol) -> Sheet:
    reasons = [(each.code, _said(each.label)) for each in protocol.end_of_study.reasons]
    boxes: list[Box | Rows] = [
        _date(_("Date of the end of the study")),
        _ticks(_("Reason for the end of the study"), reasons),
        Box("lines", _("Note")),
    ]
    return Sheet(_("End of the study"), sections=[("", boxes)])
