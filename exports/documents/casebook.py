"""Everything that is recorded of one participant, as it is read on paper.

One snapshot of the database is told in the order of the protocol: who and where, the visits with
their forms, the logs, adverse events, signatures, and at the end the whole trail. What is void is
there and struck through. Who the person is never is: no name, birth date or chart number (D01).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Max
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.casebook import score_texts
from crf.definitions import definition_of, instrument_of
from crf.display import answer_text
from crf.forms.layout import layout_of
from crf.history import Change, histories, participant_changes
from crf.instrument import ChoiceItem, Instrument, Item, MultiItem, judge
from crf.models import Entry, Lock, Query, QueryMessage, Signature
from crf.services import entry_facts, signature_digest, signatures_of
from crf.services.entries import missing_reasons
from crf.services.queries import message_text, question_text
from crf.workflow import Around, State, Status, state_of, status_of
from registry.display import visit_title
from registry.models import Allocation, Participant, Visit
from registry.protocol import Protocol
from safety.display import LABELS, text_of
from safety.history import changes_of
from safety.models import AdverseEvent, AEReview
from sites.audit import source_word


@dataclass(frozen=True)
class Printed:
    """For whom a document is made, when it was asked for, and why: it stands on every page.

    The moment is that of the request and not of the run, so that the same request makes the same
    bytes again.
    """

    by: str
    at: dt.datetime
    reason: str = ""
    see_arm: bool = False


@dataclass(frozen=True)
class Thread:
    """A query with everything that was said in it."""

    number: int
    about: str
    query: Query
    question: str
    messages: list[tuple[QueryMessage, str]]


@dataclass(frozen=True)
class Answer:
    """One question with its answer; `state` is missing, open, optional, odd or empty.

    open: asked and not answered; optional: so, and need not be; odd: answered, but not to be asked.
    """

    item: Item
    number: str
    label: str
    text: str
    code: str
    source: str
    state: str
    threads: list[Thread]


@dataclass(frozen=True)
class Form:
    """One form as a page of the casebook."""

    entry: Entry
    title: str
    instrument: Instrument
    status: str
    version: str
    sections: list[tuple[str, list[Answer]]]
    scores: list[tuple[str, str]]
    threads: list[Thread]
    verifications: list[tuple[Any, bool]]  # with whether it still fits

    @property
    def void(self) -> bool:
        return self.entry.voided_at is not None


@dataclass
class Chapter:
    """A visit, or (`visit` None) forms that belong to the participant, with what was begun."""

    title: str
    visit: Visit | None = None
    status: str = ""
    forms: list[Form] = field(default_factory=list)
    not_begun: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Event:
    """An adverse event with what reviewers decided and asked."""

    event: AdverseEvent
    facts: list[tuple[str, str]]
    reviews: list[tuple[AEReview, bool]]
    threads: list[Thread]


@dataclass(frozen=True)
class Casebook:
    person: Participant
    protocol: Protocol
    printed: Printed
    facts: list[tuple[str, str]]
    chapters: list[Chapter]
    events: list[Event]
    signatures: list[Signature]
    changes: list[Change]
    trail: dict[str, dict[str, int]]
    digest: str  # of the data, as a signature covers them

    @property
    def acts(self) -> list[tuple[Change, list[Change]]]:
        """The trail by acts: what one person changed in one record at one moment."""
        found: list[tuple[Change, list[Change]]] = []
        for change in self.changes:
            if found and _act(found[-1][0]) == _act(change):
                found[-1][1].append(change)
            else:
                found.append((change, [change]))
        return found

    @property
    def trail_rows(self) -> int:
        return sum(each["rows"] for each in self.trail.values())

    @property
    def trail_digest(self) -> str:
        return hashlib.sha256(json.dumps(self.trail, sort_keys=True).encode()).hexdigest()


def _act(change: Change) -> tuple[Any, ...]:
    return (change.at, change.who, change.role, change.subject, change.captured_at, change.source)


def casebook(person: Participant, printed: Printed) -> Casebook:
    """All of one participant; needs the site's context, and one moment of the database."""
    protocol = definition_of(person.version_id).protocol
    signatures = signatures_of(person)
    around = Around(
        today=printed.at.astimezone(ZoneInfo(person.site.timezone)).date(),
        locked=Lock.objects.filter(site=person.site_id, released_at=None).exists(),
        signature=signatures[0].fits if signatures else None,  # type: ignore[attr-defined]
    )
    threads = _threads(person)
    return Casebook(
        person=person,
        protocol=protocol,
        printed=printed,
        facts=_facts(person, protocol, printed),
        chapters=_chapters(person, protocol, around, threads),
        events=[_event(event, threads) for event in _events(person)],
        signatures=signatures[::-1],
        changes=_changes(person, printed),
        trail=_trail(person),
        digest=signature_digest(person),
    )


def told(book: Casebook) -> dict[str, Any]:
    """What the template is given beside the casebook itself."""
    person, protocol = book.person, book.protocol
    consents = {each.kind: each.label for each in protocol.consents}
    reasons = {each.code: each.label for each in protocol.end_of_study.reasons}
    language = get_language() or "ko"
    return {
        "book": book,
        "consents": [
            (each, consents[each.kind].get(language) if each.kind in consents else each.kind)
            for each in person.consents.order_by("signed_on", "pk")
        ],
        "failed": [protocol.criterion(code) for code in person.failed_criteria or ()],
        "withdrawals": list(person.withdrawals.order_by("withdrawn_on", "pk")),
        "end_reason": reasons.get(person.end_reason),
    }


# Who and where ----------------------------------------------------------------------------------


def _facts(person: Participant, protocol: Protocol, printed: Printed) -> list[tuple[str, str]]:
    language = get_language() or "ko"
    cohorts = protocol.cohort
    cohort = {each.code: each.label for each in cohorts.options} if cohorts else {}
    facts = [
        (_("Screening number"), person.screening_number),
        (_("Subject number"), person.subject_number or "—"),
        (_("Sex"), person.get_sex_display()),
        (_("Born"), str(person.birth_year)),
        (_("Age at consent"), str(person.age)),
        (_("Consent"), person.consented_on.isoformat()),
        (_("Enrolment"), person.enrolled_on.isoformat() if person.enrolled_on else "—"),
    ]
    if cohorts and person.cohort in cohort:
        facts.append((cohorts.label.get(language), cohort[person.cohort].get(language)))
    if protocol.arms and printed.see_arm:
        given = Allocation.objects.filter(participant=person).first()
        arm = protocol.arm(given.arm).label.get(language) if given else "—"
        facts.append((_("Arm"), arm))
    return facts


def _trail(person: Participant) -> dict[str, dict[str, int]]:
    """Where the trail of this participant stands: per table the newest row and their number."""
    tables: dict[str, Any] = {model._meta.label: rows for model, rows in histories(person)} | {
        "crf.Query": Query.history.filter(participant_id=person.pk),
        "crf.QueryMessage": QueryMessage.history.filter(
            query_id__in=Query.objects.filter(participant=person).values("pk")
        ),
        "safety.AdverseEvent": AdverseEvent.history.filter(participant_id=person.pk),
        "safety.AEReview": AEReview.history.filter(
            adverse_event_id__in=AdverseEvent.objects.filter(participant=person).values("pk")
        ),
    }
    found = {}
    for name, rows in sorted(tables.items()):
        told = rows.order_by().aggregate(last=Max("history_id"), rows=Count("history_id"))
        found[name] = {"last": told["last"] or 0, "rows": told["rows"]}
    return found


def _changes(person: Participant, printed: Printed) -> list[Change]:
    changes = participant_changes(person, see_arm=printed.see_arm)
    for event in person.adverse_events.all():
        event.site = person.site
        subject = f"{_('Adverse event')} {event.number}"
        changes += [replace(each, subject=subject) for each in changes_of(event)]
    return sorted(changes, key=lambda each: (each.at, each.order))


# Queries ----------------------------------------------------------------------------------------


def _threads(person: Participant) -> list[Thread]:
    """Every query of the participant, numbered in the order in which they were asked."""
    queries = Query.objects.filter(participant=person).order_by("opened_at", "pk")
    found = queries.select_related("entry__version", "opened_by").prefetch_related("messages__by")
    numbers = count(1)
    return [
        Thread(
            number=next(numbers),
            about=_about(query),
            query=query,
            question=question_text(query),
            messages=[(message, message_text(message)) for message in query.messages.all()],
        )
        for query in found
    ]


def _about(query: Query) -> str:
    if query.entry is None:
        return str(LABELS.get(query.item, "")) if query.item else _("The whole event")
    instrument = instrument_of(query.entry)
    if not instrument.has(query.item):
        return _("The whole form")
    return instrument.item(query.item).label.get(get_language() or "ko")


# Forms ------------------------------------------------------------------------------------------


def _chapters(
    person: Participant, protocol: Protocol, around: Around, threads: list[Thread]
) -> list[Chapter]:
    """The screening form, the visits by their days, then one chapter for each log."""
    language = get_language() or "ko"
    visits = list(person.visits.order_by("day", "happened_on", "number", "pk"))
    begun: dict[Any, list[Form]] = {}
    waiting: dict[int, list[tuple[str, str]]] = {}
    for entry in _entries(person, visits, protocol):
        verified = [each.digest == entry.digest for each in entry.verifications.all()]
        status = status_of(entry, entry.visit, replace(around, verified=any(verified)))
        if entry.started_at or entry.voided_at:
            form = _form(entry, status, [t for t in threads if t.query.entry_id == entry.pk])
            begun.setdefault(entry.visit_id or entry.instrument, []).append(form)
        elif entry.visit_id and state_of(entry) is State.EXPECTED:
            title = instrument_of(entry).short.get(language)
            waiting.setdefault(entry.visit_id, []).append((title, str(status.label)))
    logs = {log.instrument: log.label.get(language) for log in protocol.logs}
    own = {key: forms for key, forms in begun.items() if isinstance(key, str)}
    first = [
        Chapter(forms[0].instrument.short.get(language), forms=forms)
        for code, forms in own.items()
        if code not in logs
    ]
    between = [
        Chapter(
            visit_title(protocol, visit),
            visit,
            _visit_status(visit),
            begun.get(visit.pk, []),
            waiting.get(visit.pk, []),
        )
        for visit in visits
    ]
    last = [Chapter(title, forms=own[code]) for code, title in logs.items() if code in own]
    return [*first, *between, *last]


def _entries(person: Participant, visits: list[Visit], protocol: Protocol) -> list[Entry]:
    by_key = {visit.pk: visit for visit in visits}
    order = {code: place for place, code in enumerate(protocol.instruments)}
    entries = list(
        person.entries.select_related("version", "completed_by")
        .prefetch_related("verifications__verified_by")
        .order_by("number", "pk")
    )
    for entry in entries:
        entry.participant, entry.site = person, person.site
        entry.visit = by_key.get(entry.visit_id) if entry.visit_id else None
    return sorted(entries, key=lambda entry: (order.get(entry.instrument, len(order)), entry.pk))


def _visit_status(visit: Visit) -> str:
    if visit.voided_at:
        return _("void")
    if visit.happened_on:
        return _("held")
    if visit.missed_at:
        return _("missed")
    return _("no longer due") if visit.cancelled_at else _("not held yet")


def _form(entry: Entry, status: Status, threads: list[Thread]) -> Form:
    language = get_language() or "ko"
    instrument = instrument_of(entry)
    title = instrument.title.get(language)
    return Form(
        entry=entry,
        title=f"{title} {entry.number}" if instrument.repeating else title,
        instrument=instrument,
        status=str(status.label),
        version=entry.version.label,
        sections=_sections(entry, instrument, threads),
        scores=score_texts(instrument, entry.scores, language) if entry.scores else [],
        threads=threads,
        verifications=[
            (each, each.digest == entry.digest)
            for each in sorted(entry.verifications.all(), key=lambda each: each.verified_at)
        ],
    )


def _sections(
    entry: Entry, instrument: Instrument, threads: list[Thread]
) -> list[tuple[str, list[Answer]]]:
    """Questions that apply, and every one that holds anything, in the order of the form."""
    missing = missing_reasons(entry)
    answers = {code: value for code, value in entry.answers.items() if code not in missing}
    shown = judge(instrument, answers, entry_facts(entry)).shown
    layout = layout_of(entry.version_id, entry.instrument, get_language() or "ko")
    sections = []
    for section in instrument.sections:
        told = []
        for item in section.flat:
            number = layout[item.code]["number"]
            held = entry.answers.get(item.code) is not None or item.code in missing
            if held or (item.code in shown and _worth_asking(item)):
                told.append(_answer(entry, item, number, missing, shown, threads))
        if told:
            sections.append((section.title.get(get_language() or "ko"), told))
    return sections


def _worth_asking(item: Item) -> bool:
    """Whether an empty place says something: the next, empty row of a repeating group does not."""
    return item.required or item.when is None


def _answer(
    entry: Entry,
    item: Item,
    number: str,
    missing: Mapping[str, str],
    shown: Iterable[str],
    threads: list[Thread],
) -> Answer:
    value, why = entry.answers.get(item.code), missing.get(item.code)
    state = "missing" if why else ""
    if value is None and not why:
        state = "open" if item.required else "optional"
    return Answer(
        item=item,
        number=number,
        label=item.label.get(get_language() or "ko"),
        text=answer_text(item, value, why),
        code="" if why else _code(item, value),
        source=source_word(entry.meta.get(item.code, {}).get("source", "")),
        state=state if item.code in shown else "odd",
        threads=[thread for thread in threads if thread.query.item == item.code],
    )


def _code(item: Item, value: Any) -> str:
    """The stored code, where the text does not show it."""
    if isinstance(item, ChoiceItem) and isinstance(value, str):
        return value
    if isinstance(item, MultiItem) and value:
        return ", ".join(str(each) for each in value)
    return ""


# Adverse events ---------------------------------------------------------------------------------


def _events(person: Participant) -> list[AdverseEvent]:
    events = person.adverse_events.select_related("reported_by", "site").order_by("number")
    return list(events.prefetch_related("reviews__reviewed_by"))


def _event(event: AdverseEvent, threads: list[Thread]) -> Event:
    told = ((str(label), text_of(event, name)) for name, label in LABELS.items())
    return Event(
        event=event,
        facts=[(label, text or "—") for label, text in told],
        reviews=[(each, each.digest == event.digest) for each in event.reviews.all()],
        threads=[thread for thread in threads if thread.query.adverse_event_id == event.pk],
    )
