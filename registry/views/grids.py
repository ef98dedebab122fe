"""Grids: participants by visits, and the visits of one participant by forms.

Everything that a cell says is settled here from a fixed number of statements, so that the
templates only loop.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import definition_of, instrument_of
from crf.models import Entry
from crf.services import signature_state
from crf.workflow import Around, Status, status_of
from registry.display import visit_title
from registry.models import Participant, Visit
from registry.services import protocol_of, versions_until
from registry.work import STATES, VISIT_STATUS, Tally, tallies, visit_status
from sites.access import Request
from sites.models import Site

NO_FORMS = Tally()
SHOWN = (
    "pk", "participant_id", "code", "due_on", "opens_on", "closes_on",
    "happened_on", "missed_at", "cancelled_at", "voided_at",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One link of a grid: glyph and word of its status, a few figures, queries not closed."""

    status: str
    label: str
    url: str
    note: str = ""
    queries: int = 0


@dataclass(frozen=True)
class Column:
    code: str
    label: str
    when: str = ""


@dataclass(frozen=True)
class PersonRow:
    participant: Participant
    number: str
    site: Site
    state: str
    url: str
    cells: list[Cell | None]  # none at all before enrolment


def words() -> dict[str, str]:
    """Status → word in the reader's language, looked up once for a whole grid."""
    return {status: str(label) for status, label in VISIT_STATUS.items()}


@functools.cache
def base_of(name: str, study: str) -> str:
    """The address of the pages `name` without key and slash: hundreds of reverse() would cost."""
    return reverse(name, args=[study, 0]).removesuffix("0/")


def visit_columns(people: Sequence[Participant]) -> list[Column]:
    """The planned visits of these participants, by day, whatever version they are under."""
    planned = {
        visit.code: visit
        for newest in sorted({person.version_id for person in people})
        for version in versions_until(newest)
        for visit in protocol_of(version).visits
    }
    language = get_language() or "ko"
    return [
        Column(
            visit.code, visit.label.get(language), window_text(visit.day, visit.before, visit.after)
        )
        for visit in sorted(planned.values(), key=lambda visit: visit.day)
    ]


def window_text(day: int, before: int, after: int) -> str:
    """Day 28 ± 7, or day 0 (−0, +1) where the window is not even."""
    around = f"± {before}" if before == after else f"−{before}/+{after}"
    return _("day %(day)d") % {"day": day} + ("" if not before and not after else f" {around}")


def visit_rows(
    request: Request, people: Sequence[Participant], columns: Sequence[Column]
) -> list[PersonRow]:
    """A row for each participant; `site_locked` must be annotated."""
    ids = [person.pk for person in people if person.enrolled_at]
    visits: dict[int, dict[str, Any]] = defaultdict(dict)
    if ids:
        planned = Visit.objects.filter(participant_id__in=ids, voided_at=None).order_by("pk")
        for visit in planned.values_list(*SHOWN, named=True):  # cheaper than hundreds of models
            visits[visit.participant_id][visit.code] = visit
    progress, signatures = (tallies(ids), signature_state(ids)) if ids else ({}, {})
    today = {site.pk: site.today() for site in request.sites.values()}
    label, states = words(), {state: str(text) for state, text in STATES.items()}
    person_url = base_of("participant", request.study.code)
    visit_url = base_of("visit", request.study.code)
    found = []
    for person in people:
        day = today[person.site_id]
        around = Around(day, person.site_locked, signature=signatures.get(person.pk))  # type: ignore[attr-defined]
        cells: list[Cell | None] = []
        for column in columns if person.enrolled_at else ():
            held = visits[person.pk].get(column.code)
            if held is None:
                cells.append(None)
                continue
            tally = progress.get(held.pk, NO_FORMS)
            status = visit_status(held, day, tally, around)
            cells.append(
                Cell(
                    status,
                    label[status],
                    f"{visit_url}{held.pk}/",
                    _note(held, status, tally),
                    tally.queries,
                )
            )
        found.append(
            PersonRow(
                person,
                person.number,
                request.sites[person.site_id],
                states[person.state],
                f"{person_url}{person.pk}/",
                cells,
            )
        )
    return found


def _note(visit: Visit, status: str, tally: Tally) -> str:
    if visit.happened_on:
        return f"{tally.complete}/{tally.forms}" if tally.forms else ""
    if status in (Status.DUE, Status.OVERDUE):
        return f"~{visit.closes_on:%m-%d}"
    return f"{visit.due_on:%m-%d}" if visit.due_on and not visit.missed_at else ""


# One participant --------------------------------------------------------------------------------


@dataclass(frozen=True)
class VisitRow:
    visit: Visit
    label: str
    status: str
    word: str
    cells: list[list[Cell]]


@dataclass(frozen=True)
class FormGrid:
    columns: list[str]
    rows: list[VisitRow]


def form_cell(request: Request, entry: Entry, around: Around, label: dict[str, str]) -> Cell:
    """One form; `verified` and `open_queries` must be annotated."""
    about = Around(around.today, around.locked, entry.verified, around.signature)  # type: ignore[attr-defined]
    status = str(status_of(entry, entry.visit, about))
    visit = entry.visit
    if visit and status == Status.EXPECTED:
        status = visit_status(visit, around.today)
    waits = visit is not None and not visit.happened_on and entry.started_at is None
    name, key = ("visit", entry.visit_id) if waits else ("entry", entry.pk)
    url = f"{base_of(name, request.study.code)}{key}/"
    return Cell(status, label[status], url, queries=entry.open_queries)  # type: ignore[attr-defined]


def form_grid(
    request: Request, visits: Sequence[Visit], entries: Sequence[Entry], around: Around
) -> FormGrid:
    """Visits by forms. A form that is no longer due is shown while it holds data."""
    label = words()
    shown = [
        entry
        for entry in entries
        if entry.visit_id and not entry.voided_at and (entry.started_at or not entry.cancelled_at)
    ]
    order = {code: n for visit in visits for n, code in enumerate(_instruments(visit))}
    codes = sorted(
        {entry.instrument for entry in shown}, key=lambda code: order.get(code, len(order))
    )
    titles = {entry.instrument: instrument_of(entry).short for entry in shown}
    by_place: dict[tuple[int | None, str], list[Cell]] = defaultdict(list)
    for entry in shown:
        by_place[entry.visit_id, entry.instrument].append(form_cell(request, entry, around, label))
    tally = _tally(shown)
    found = []
    for visit in visits:
        if visit.voided_at:
            continue
        status = visit_status(visit, around.today, tally[visit.pk], around)
        found.append(
            VisitRow(
                visit,
                visit_title(protocol_of(visit.participant.version_id), visit),
                status,
                label[status],
                [by_place[visit.pk, code] for code in codes],
            )
        )
    language = get_language() or "ko"
    return FormGrid([titles[code].get(language) for code in codes], found)


@dataclass(frozen=True)
class OwnForms:
    """The forms of a participant outside visits: the screening form, or one of the logs."""

    instrument: str
    label: str
    repeats: bool
    rows: list[tuple[Entry, Cell]]


def own_forms(
    request: Request, person: Participant, entries: Sequence[Entry], around: Around
) -> list[OwnForms]:
    """The screening form, and from enrolment on each log, with what is written in them."""
    protocol, label = protocol_of(person.version_id), words()
    language = get_language() or "ko"
    screening = definition_of(person.version_id).instrument(protocol.screening)
    kinds = [(protocol.screening, screening.short, False)]
    if person.enrolled_at:
        kinds += [(log.instrument, log.label, True) for log in protocol.logs]
    # What an earlier version asked for and this one doesn't stays in sight.
    kept = {e.instrument: instrument_of(e) for e in entries if e.visit_id is None}
    present = {code for code, _label, _repeats in kinds}
    kinds += [(code, of.short, False) for code, of in kept.items() if code not in present]
    return [
        OwnForms(
            code,
            text.get(language),
            repeats,
            [
                (entry, form_cell(request, entry, around, label))
                for entry in entries
                if entry.visit_id is None and entry.instrument == code and not entry.voided_at
            ],
        )
        for code, text, repeats in kinds
    ]


def form_title(entry: Entry) -> str:
    return instrument_of(entry).short.get(get_language() or "ko")


def visit_forms(
    request: Request, visit: Visit, entries: Sequence[Entry], around: Around
) -> list[tuple[str, Cell]]:
    """The forms of one visit by their names, void ones too where the visit itself is void."""
    label, language = words(), get_language() or "ko"
    return [
        (
            instrument_of(entry).title.get(language),
            form_cell(request, entry, around, label),
        )
        for entry in entries
        if entry.visit_id == visit.pk
        and (visit.voided_at or not entry.voided_at)
        and (entry.started_at or not entry.cancelled_at)
    ]


def _instruments(visit: Visit) -> tuple[str, ...]:
    return protocol_of(visit.participant.version_id).instruments


def tally_of(entries: Sequence[Entry], visit: Visit) -> Tally:
    return _tally([each for each in entries if not each.voided_at])[visit.pk]


def _tally(entries: Sequence[Entry]) -> dict[Any, Tally]:
    found: dict[Any, Tally] = defaultdict(Tally)
    for entry in entries:
        if entry.cancelled_at:
            continue
        tally = found[entry.visit_id]
        tally.forms += 1
        tally.started += entry.started_at is not None
        tally.complete += entry.completed_at is not None
        tally.verified += bool(entry.completed_at and entry.verified)  # type: ignore[attr-defined]
        tally.queries += entry.open_queries  # type: ignore[attr-defined]
    return found
