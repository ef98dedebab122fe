"""What is due, overdue, missing or waiting for somebody: the one definition.

Every list starts from a partial index on open work (visits neither held nor missed, forms that
wait, queries not closed), which holds what it is counted and sorted by, and is asked as of a day;
without one, today is each site's own day.
What an entry is shown as is `crf.workflow.status_of`; here is the same for a visit and for what is
to be done next with a participant.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import connection
from django.db.models import Exists, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext_lazy as _

from crf.models import Entry, Signature
from crf.workflow import Around, State, Status, due_state, state_of
from registry.models import Consent, Participant, Visit
from registry.protocol import ConsentDefinition, ConsentVersion
from registry.services import protocol_of, versions_at
from sites.models import Site

SOON = dt.timedelta(days=7)  # a visit whose window opens within these days is due soon
NO_LONGER = ("visits", "use")  # scopes of a withdrawal after which nobody is asked anything
DUE_SOON = "due_soon"
VISIT_STATUS: dict[str, Any] = {**dict(Status.choices), DUE_SOON: _("due soon")}
# What `Participant.state` is called.
STATES: dict[str, Any] = {
    "consented": _("in screening"),
    "screened": _("eligible"),
    "failed": _("screen failure"),
    "enrolled": _("in the study"),
    "ended": _("study ended"),
    "void": _("void"),
}


def void_at(sites: Collection[int]) -> QuerySet[Participant, Any]:
    """The ids of participants entered in error, whom every list leaves out."""
    return Participant.objects.void(sites).values("pk")


class Number(Subquery):
    """How many rows a list has, beside others in one statement."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS listed)"
    output_field = IntegerField()


# Visits -----------------------------------------------------------------------------------------


def overdue(sites: Collection[Site], on: dt.date | None = None) -> QuerySet[Visit]:
    """Expected visits whose window has closed, the longest overdue first."""
    return _open_visits(_each_day(sites, on, lambda day: Q(closes_on__lt=day)), sites)


def due(sites: Collection[Site], on: dt.date | None = None) -> QuerySet[Visit]:
    """Expected visits whose window is open, the first to close first."""
    open_now = _each_day(sites, on, lambda day: Q(closes_on__gte=day, opens_on__lte=day))
    return _open_visits(open_now, sites)


def due_soon(sites: Collection[Site], on: dt.date | None = None) -> QuerySet[Visit]:
    """Expected visits whose window opens in the next days."""
    opening = _each_day(
        sites, on, lambda day: Q(closes_on__gte=day, opens_on__gt=day, opens_on__lte=day + SOON)
    )
    return _open_visits(opening, sites)


def _open_visits(condition: Q, sites: Iterable[Site]) -> QuerySet[Visit]:
    return (
        Visit.objects.open()
        .filter(condition)
        .exclude(participant_id__in=void_at([site.pk for site in sites]))
        .select_related("participant")
        .order_by("closes_on", "id")
    )


def _each_day(sites: Iterable[Site], on: dt.date | None, condition: Any) -> Q:
    """`condition` of the day, at the sites where it is that day."""
    by_day: dict[dt.date, list[int]] = defaultdict(list)
    for site in sites:
        by_day[on or site.today()].append(site.pk)
    found = Q(pk__in=[])
    for day, ids in by_day.items():
        found |= Q(condition(day), site_id__in=ids)
    return found


def visit_status(visit: Visit, on: dt.date, tally: Tally | None = None, around: Any = None) -> str:
    """What a visit is shown as, from its acts and, once it was held, from its forms.

    A status of `crf.workflow.Status`, or `due_soon`.
    """
    if visit.voided_at:
        return Status.VOID
    if visit.missed_at:
        return Status.MISSED
    if visit.happened_on:
        return _held_status(tally or Tally(), around)
    if visit.cancelled_at:
        return Status.NOT_DUE
    if around and around.locked:
        return Status.LOCKED
    state = due_state(visit, on)
    if state == Status.EXPECTED and visit.opens_on and visit.opens_on <= on + SOON:
        return DUE_SOON
    return state


@dataclass
class Tally:
    """How far the forms of a visit are, and how many queries about them are not closed."""

    forms: int = 0
    started: int = 0
    complete: int = 0
    verified: int = 0
    queries: int = 0


def _held_status(tally: Tally, around: Around | None) -> Status:
    if tally.complete < tally.forms:
        return Status.STARTED if tally.started else Status.DUE
    if around and around.signature is False:
        return Status.STALE
    if around and around.locked:
        return Status.LOCKED
    if around and around.signature:
        return Status.SIGNED
    return Status.VERIFIED if 0 < tally.forms == tally.verified else Status.COMPLETE


# Written out: Django takes longer to word this for each page than PostgreSQL to answer it.
_TALLIES = """
SELECT entry.visit_id, count(*), count(entry.started_at), count(entry.completed_at),
  count(*) FILTER (WHERE entry.completed_at IS NOT NULL AND EXISTS (
    SELECT FROM crf_verification
    WHERE entry_id = entry.id AND crf_verification.digest = entry.digest)),
  coalesce(sum(asked.queries), 0)
FROM crf_entry AS entry
LEFT JOIN (
  SELECT entry_id, count(*) AS queries FROM crf_query
  WHERE participant_id = ANY(%(people)s) AND state <> 'closed' GROUP BY entry_id
) AS asked ON asked.entry_id = entry.id
WHERE entry.participant_id = ANY(%(people)s) AND entry.visit_id IS NOT NULL
  AND entry.voided_at IS NULL AND entry.cancelled_at IS NULL
GROUP BY entry.visit_id
"""


def tallies(participants: Sequence[int]) -> dict[int, Tally]:
    """Visit id → tally, in one statement however many participants there are."""
    with connection.cursor() as cursor:
        cursor.execute(_TALLIES, {"people": list(participants)})
        return {visit: Tally(*counts) for visit, *counts in cursor.fetchall()}


# Forms, signatures, screening -------------------------------------------------------------------


def unfinished(sites: Iterable[Site]) -> QuerySet[Entry]:
    """Forms that can be filled in now and are not complete, the longest waiting first."""
    ids = [site.pk for site in sites]
    return (
        Entry.objects.waiting()
        .filter(site_id__in=ids)
        .exclude(participant_id__in=void_at(ids))
        .select_related("participant", "visit")
        .defer("answers", "meta", "scores")
        .order_by("due_from", "id")
    )


def undecided(sites: Iterable[Site]) -> QuerySet[Participant]:
    """Consented, and neither found eligible nor a screen failure; or eligible and not enrolled."""
    return (
        Participant.objects.valid()
        .filter(
            site_id__in=[site.pk for site in sites],
            failed_criteria__isnull=True,
            enrolled_at=None,
            ended_on=None,
        )
        .exclude(withdrawals__scope__in=NO_LONGER)
        .order_by("consented_on", "id")
    )


def unsigned(sites: Iterable[Site]) -> QuerySet[Participant]:
    """Enrolled, with nothing open any more, and never signed."""
    open_entries = (
        Entry.objects.incomplete()
        .filter(participant=OuterRef("pk"))
        .exclude(visit__missed_at__isnull=False)
    )
    return (
        Participant.objects.enrolled()
        .filter(site_id__in=[site.pk for site in sites])
        .exclude(Exists(Visit.objects.open().filter(participant=OuterRef("pk"))))
        .exclude(Exists(open_entries))
        .exclude(Exists(Signature.objects.filter(participant=OuterRef("pk"))))
        .order_by("site_id", "subject_number")
    )


@dataclass(frozen=True)
class Renewal:
    """A consent form in a new version, and the participants who have not been asked to sign it."""

    consent: ConsentDefinition
    version: ConsentVersion
    participants: QuerySet[Participant]


def reconsent(sites: Iterable[Site], on: dt.date | None = None) -> list[Renewal]:
    """Who agreed to an older version of a consent form than the one in force at their site.

    Somebody who answered the new version, whichever way, is not asked again; neither is who failed
    screening, left the study, or withdrew.
    """
    sites_of: dict[tuple[int, str, str], list[int]] = defaultdict(list)
    found = {}
    sites = list(sites)
    versions = versions_at(sites, on) if sites else {}
    for site in sites:
        day, version_id = on or site.today(), versions.get(site.pk)
        if version_id is None:
            continue
        for consent in protocol_of(version_id).consents:
            in_force = consent.valid_on(day)
            if in_force and in_force != consent.versions[0]:
                key = (version_id, consent.kind, in_force.version)
                sites_of[key].append(site.pk)
                found[key] = (consent, in_force)
    return [
        Renewal(consent, version, _signed_older(sites_of[key], consent.kind, version.version))
        for key, (consent, version) in found.items()
    ]


def _signed_older(sites: list[int], kind: str, version: str) -> QuerySet[Participant]:
    signed = Consent.objects.filter(participant=OuterRef("pk"), kind=kind, voided_at=None)
    return (
        Participant.objects.valid()
        .filter(site_id__in=sites, ended_on=None, failed_criteria__isnull=True)
        .exclude(withdrawals__scope__in=NO_LONGER)
        .filter(Exists(signed.filter(given=True)))
        .exclude(Exists(signed.filter(form_version=version)))
        .order_by("site_id", "consented_on", "id")
    )


def renewal(
    person: Participant, consent: ConsentDefinition, latest: Consent | None, on: dt.date
) -> ConsentVersion | None:
    """The version for which somebody who signed `latest` is to be asked; see `reconsent`."""
    in_force = consent.valid_on(on)
    if in_force is None or latest is None or not latest.given:
        return None
    asked = person.state in ("consented", "screened", "enrolled")
    return in_force if asked and latest.form_version != in_force.version else None


# What next --------------------------------------------------------------------------------------


class Step(StrEnum):
    """What is to be done next with a participant."""

    SCREEN = "screen"  # fill in the screening form
    DECIDE = "decide"  # decide on eligibility
    ENROL = "enrol"
    ALLOCATE = "allocate"
    VISIT = "visit"  # record a visit, or mark it as missed
    FILL = "fill"  # complete a form
    ANSWER = "answer"  # answer queries
    END = "end"  # record the end of the study
    SIGN = "sign"
    WAIT = "wait"  # until the window of a visit opens
    NOTHING = "nothing"


@dataclass(frozen=True)
class Next:
    step: Step
    visit: Visit | None = None
    entry: Entry | None = None
    number: int = 0


def next_step(
    participant: Participant,
    visits: Sequence[Visit],
    entries: Sequence[Entry],
    *,
    on: dt.date,
    allocated: bool = True,
    queries: int = 0,
    signature: bool | None = None,
) -> Next:
    """The first thing to do, in the order in which a participant goes through the study.

    `visits` and `entries` are those of the participant in their order, `allocated` is true where a
    study has no arms, `signature` says whether there is one and whether it still fits.
    """
    if participant.state in ("void", "failed"):
        return Next(Step.NOTHING)
    screening = protocol_of(participant.version_id).screening
    if participant.state == "consented":
        form = next((e for e in entries if e.instrument == screening and not e.voided_at), None)
        complete = form is not None and state_of(form) is State.COMPLETE
        return Next(Step.DECIDE if complete else Step.SCREEN, entry=form)
    if participant.state == "screened":
        return Next(Step.ENROL)
    if not allocated and participant.state == "enrolled":
        return Next(Step.ALLOCATE)
    for visit in visits:
        found = _of_visit(visit, entries, on)
        if found:
            return found
    for entry in entries:
        if entry.visit_id is None and state_of(entry) in (State.EXPECTED, State.STARTED):
            return Next(Step.FILL, entry=entry)
    if queries:
        return Next(Step.ANSWER, number=queries)
    waiting = next((visit for visit in visits if _is_open(visit)), None)
    if waiting:
        return Next(Step.WAIT, visit=waiting)
    if participant.state == "enrolled":
        return Next(Step.END)
    return Next(Step.NOTHING if signature else Step.SIGN)


def _is_open(visit: Visit) -> bool:
    return not (visit.happened_on or visit.missed_at or visit.voided_at or visit.cancelled_at)


def _of_visit(visit: Visit, entries: Sequence[Entry], on: dt.date) -> Next | None:
    if _is_open(visit):
        late_or_due = due_state(visit, on) in (Status.DUE, Status.OVERDUE)
        return Next(Step.VISIT, visit=visit) if late_or_due else None
    if not visit.happened_on or visit.voided_at:
        return None
    for entry in entries:
        if entry.visit_id == visit.pk and state_of(entry) in (State.EXPECTED, State.STARTED):
            return Next(Step.FILL, visit=visit, entry=entry)
    return None
