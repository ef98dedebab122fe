"""What each line of a list would do to the forms: new, changed, unchanged, or refused and why.

The plan is what a person sees before they say yes, and what is written then: each row carries the
values that it found, and a save that finds others is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from crf.definitions import definition_of
from crf.imports.mapping import SUBJECT, VISIT, Mapping, plain, visit_names
from crf.imports.sheet import Sheet
from crf.instrument import ChoiceItem, Instrument, Item, MultiItem, YesNoItem, judge
from crf.models import Entry, Lock, Signature
from crf.services.entries import entry_facts, missing_reasons, not_open
from crf.values import Invalid, parse
from crf.workflow import State, state_of
from registry.identity import normal
from registry.models import Participant, ProtocolVersion, Visit
from registry.services import versions_at
from sites.models import Site

NEW, CHANGED, UNCHANGED, REFUSED = "new", "changed", "unchanged", "refused"
STATES = (NEW, CHANGED, UNCHANGED, REFUSED)
_YES_NO = {
    "yes": ("yes", "y", "예", "네", "o", "있음"),
    "no": ("no", "n", "아니요", "아니오", "x", "없음"),
}


@dataclass
class Row:
    """One form that one line is about. `old` and `new`: item → value, or {"missing": reason}."""

    line: int
    state: str
    subject: str = ""
    visit: str = ""
    form: str = ""
    sentence: str = ""
    entry: Entry | None = None
    old: dict[str, Any] = field(default_factory=dict)
    new: dict[str, Any] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    complete: bool = False
    signed: bool = False

    def as_data(self) -> dict[str, Any]:
        """What is kept until it is written, and what the digest of a plan covers."""
        return {
            "line": self.line,
            "state": self.state,
            "subject": self.subject,
            "visit": self.visit,
            "form": self.form,
            "sentence": self.sentence,
            "entry": self.entry.pk if self.entry else None,
            "old": self.old,
            "new": self.new,
            "complete": self.complete,
            "signed": self.signed,
        }


@dataclass
class Plan:
    rows: list[Row]

    @property
    def counts(self) -> dict[str, int]:
        return {state: sum(row.state == state for row in self.rows) for state in STATES}

    @property
    def digest(self) -> str:
        """Of everything that is shown: it goes along with the yes, and must still fit then."""
        content = [row.as_data() for row in self.rows]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def touches(self) -> list[Row]:
        """Rows that change a completed or signed form."""
        return [
            row for row in self.rows if row.state in (NEW, CHANGED) and (row.complete or row.signed)
        ]


def make_plan(
    sheet: Sheet,
    mapping: Mapping,
    sites: Sequence[Site],
    done: Dictionary[int, set[str]] | None = None,
) -> Plan:
    """What the list would do at these sites, read in a handful of statements.

    `done`: line → questions that an earlier import of the same file has written already.
    """
    known = _Known(sheet, mapping, sites)
    rows: list[Row] = []
    seen: set[tuple[int, str]] = set()
    for line, cells in sheet.lines:
        for row in known.rows(line, cells):
            _refuse_twice(row, seen)
            _refuse_again(row, (done or {}).get(line, set()))
            rows.append(row)
    return Plan(rows)


def _refuse_twice(row: Row, seen: set[tuple[int, str]]) -> None:
    """The second of two lines about one question."""
    if row.entry is None or row.state == REFUSED:
        return
    mine = {(row.entry.pk, item) for item in row.new}
    if mine & seen:
        row.state = REFUSED
        row.sentence = _("An earlier line answers the same question of this form.")
    seen |= mine


def _refuse_again(row: Row, done: set[str]) -> None:
    """The same file never changes the same answer a second time."""
    again = [item for item in row.new if f"{row.form}.{item}" in done]
    if row.state in (NEW, CHANGED) and again:
        row.state = REFUSED
        row.sentence = _(
            "This line was imported before, and the answer was changed since then. Please correct"
            " it in the form."
        )


class _Known:
    """Participants, visits and forms of a list, read at once, and the rows that follow."""

    def __init__(self, sheet: Sheet, mapping: Mapping, sites: Sequence[Site]) -> None:
        self._sites = {site.pk: site for site in sites}
        self._mapping = mapping
        self._at_subject = sheet.column(mapping.heading(SUBJECT) or "")
        visit = mapping.heading(VISIT)
        self._at_visit = sheet.column(visit) if visit else None
        self._columns: dict[str, list[tuple[int, Any]]] = {}
        for name, target in mapping.questions:
            self._columns.setdefault(target.form, []).append((sheet.column(name), target))
        self._missing = {plain(word): reason for word, reason in mapping.missing.items()}
        self._read({normal(cells[self._at_subject]) for _line, cells in sheet.lines})

    def _read(self, numbers: set[str]) -> None:
        here = list(self._sites)
        people = Participant.objects.filter(
            site_id__in=here, subject_number__in=sorted(numbers)
        ).annotate(signed=Exists(Signature.objects.filter(participant=OuterRef("pk"))))
        self._people = {each.subject_number: each for each in people}
        ids = [each.pk for each in self._people.values()]
        # The newest of two rows with one code is the one that is on the schedule.
        visits = Visit.objects.filter(participant_id__in=ids, voided_at=None).order_by("pk")
        self._visits = {(each.participant_id, each.code): each for each in visits}
        entries = Entry.objects.filter(
            participant_id__in=ids, instrument__in=list(self._columns), voided_at=None
        ).exclude(visit=None)
        self._entries = {(each.visit_id, each.instrument): each for each in entries}
        locks = Lock.objects.filter(site_id__in=here, released_at=None)
        self._locked = set(locks.values_list("site_id", flat=True))
        self._versions = versions_at(self._sites.values())
        self._visit_names: dict[str, str] = {}
        for version in sorted(set(self._versions.values())):
            self._visit_names |= visit_names(definition_of(version))

    def rows(self, line: int, cells: Sequence[str]) -> list[Row]:
        """A row for every form that the line answers something of."""
        subject = normal(cells[self._at_subject])
        said = self._mapping.visit if self._at_visit is None else cells[self._at_visit]
        code = self._visit_names.get(plain(said), "")
        if not subject:
            return [Row(line, REFUSED, sentence=_("There is no subject number."))]
        person = self._people.get(subject)
        if person is None:
            sentence = _("Nobody here has this subject number.")
            return [Row(line, REFUSED, subject, said, sentence=sentence)]
        visit = self._visits.get((person.pk, code))
        if visit is None:
            sentence = (
                _("The participant has no such visit.")
                if code
                else _("“%(visit)s” is no visit of the protocol.") % {"visit": said[:40]}
            )
            return [Row(line, REFUSED, subject, said, sentence=sentence)]
        found = []
        for form, columns in self._columns.items():
            given = [(target, cells[at]) for at, target in columns if cells[at].strip()]
            if given:
                found.append(self._row(line, person, visit, form, given))
        return found or [
            Row(line, UNCHANGED, subject, code, sentence=_("The line has no answers."))
        ]

    def _row(
        self,
        line: int,
        person: Participant,
        visit: Visit,
        form: str,
        given: Iterable[tuple[Any, str]],
    ) -> Row:
        row = Row(line, REFUSED, str(person.subject_number), visit.code, form)
        entry = self._entries.get((visit.pk, form))
        if entry is None:
            row.sentence = _("This form is not asked for at this visit.")
            return row
        site = self._sites[entry.site_id]
        entry.participant, entry.visit, entry.site = person, visit, site
        person.site = site
        row.entry = entry
        row.complete = state_of(entry) is State.COMPLETE
        row.signed = bool(person.signed)  # type: ignore[attr-defined]
        if entry.site_id in self._locked:
            row.sentence = _("The data of this site are locked.")
        else:
            row.sentence = not_open(entry) or ""
        if not row.sentence:
            self._compare(row, entry, given)
        return row

    def _compare(self, row: Row, entry: Entry, given: Iterable[tuple[Any, str]]) -> None:
        instrument = self._instrument(entry)
        why, refused = missing_reasons(entry), []
        for target, cell in given:
            if instrument is None or not instrument.has(target.item):
                refused.append(_("This form has no question “%(item)s”.") % {"item": target.item})
                continue
            item = instrument.item(target.item)
            try:
                value = self._value(item, target, cell, entry)
            except Invalid as invalid:
                refused.append(f"{target.item}: {invalid}")
                continue
            before = entry.answers.get(item.code)
            if item.code in why:
                before = {"missing": why[item.code]}
            if before != value:
                row.old[item.code], row.new[item.code] = before, value
        if refused:
            row.old, row.new, row.sentence = {}, {}, " ".join(refused)
            return
        row.state = UNCHANGED
        if row.new:
            row.state = NEW if all(old is None for old in row.old.values()) else CHANGED
            assert instrument is not None
            row.checks = _questions(entry, instrument, row.new)

    def _instrument(self, entry: Entry) -> Instrument | None:
        """The form as it will be written: one that nobody began takes the version in force."""
        version = entry.version_id
        if entry.started_at is None:
            newest = self._versions.get(entry.site_id, version)
            if entry.instrument in definition_of(newest).instruments:
                version = newest
        return definition_of(version).instruments.get(entry.instrument)

    def _value(self, item: Item, target: Any, cell: str, entry: Entry) -> Any:
        text = target.values.get(cell.strip(), cell)
        reason = self._missing.get(plain(text))
        if reason is not None:
            if reason not in item.missing:
                raise Invalid(_("This question can't be marked as missing in this way."))
            return {"missing": reason}
        return parse(item, _coded(item, text), today=entry.site.today())


def _coded(item: Item, text: str) -> Any:
    """Codes for what a list writes in words: the label of an option, yes or no."""
    if isinstance(item, YesNoItem):
        word = normal(text).casefold()
        return next((code for code, words in _YES_NO.items() if word in words), text)
    if isinstance(item, MultiItem):
        return [_option(item, each) for each in text.split(";") if each.strip()]
    return _option(item, text) if isinstance(item, ChoiceItem) else text


def _option(item: ChoiceItem | MultiItem, text: str) -> str:
    word = plain(text)
    for option in item.options:
        if normal(text) == str(option.code):
            return str(option.code)
        if word and word in (plain(option.label.ko), plain(option.label.en)):
            return str(option.code)
    return normal(text)


def _questions(entry: Entry, instrument: Instrument, new: Dictionary[str, Any]) -> list[str]:
    """The soft checks that the new answers would break and the old ones don't."""
    facts = entry_facts(entry)
    after = {
        item: value
        for item, value in {**entry.answers, **new}.items()
        if not isinstance(value, dict)
    }
    before = {check.code for check in judge(instrument, entry.answers, facts).broken}
    broken = [check for check in judge(instrument, after, facts).broken if check.code not in before]
    return [check.code for check in broken]


def versions_of(sites: Iterable[Site]) -> ProtocolVersion | None:
    """The newest version in force at one of these sites: whose questions a mapping may name."""
    ids = set(versions_at(sites).values())
    found = ProtocolVersion.objects.filter(pk__in=ids).defer("content").order_by("number")
    return found.last()
