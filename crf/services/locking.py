"""Locking a site: what stands in the way, the lock, and its release; the database refuses writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crf.models import Entry, Lock, Query
from crf.services.review import signature_state
from registry.models import Participant, Visit
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site

SHOWN = 200  # records that one blocker lists; its count is of all


@dataclass(frozen=True)
class Blocker:
    """One kind of thing that must be done before a site can be locked, and where."""

    code: str
    title: Any
    count: int
    records: Sequence[Any]


def is_locked(site: Site) -> bool:
    return Lock.objects.filter(site=site, released_at=None).exists()


def blockers(site: Site) -> list[Blocker]:
    """Everything that stands in the way of locking a site; empty when nothing does."""
    in_study = Participant.objects.valid().filter(site=site)
    undecided = in_study.filter(screened_at=None)
    undecided_yet = in_study.filter(
        screened_at__isnull=False, failed_criteria=None, enrolled_at=None
    )
    enrolled = in_study.exclude(enrolled_at=None)
    visits = Visit.objects.open().filter(site=site, participant__voided_at=None)
    entries = (
        Entry.objects.incomplete()
        .filter(site=site, participant__voided_at=None)
        .exclude(visit__happened_on=None, visit__isnull=False)
        .select_related("participant", "visit")
    )
    queries = Query.objects.unresolved().filter(site=site, participant__voided_at=None)
    fits = signature_state(enrolled.values_list("pk", flat=True))
    unsigned = [person for person in enrolled if fits.get(person.pk) is not True]
    found = [
        ("screening", _("Screening without a decision"), undecided),
        ("enrolment", _("Eligible, not enrolled"), undecided_yet),
        ("visits", _("Visits neither held nor marked as missed"), visits),
        ("entries", _("Forms that are not complete"), entries),
        ("queries", _("Queries that are not closed"), queries),
        ("end", _("Participants without an end of study"), enrolled.filter(ended_on=None)),
        ("signatures", _("Participants without a valid signature"), unsigned),
    ]
    result = []
    for code, title, records in found:
        count = len(records) if isinstance(records, list) else records.count()
        if count:
            listed = records if isinstance(records, list) else _with_participant(records)
            result.append(Blocker(code, title, count, listed[:SHOWN]))
    return result


def _with_participant(records: Any) -> Any:
    has_participant = records.model is not Participant
    return records.select_related("participant") if has_participant else records


def lock(*, site: Site, reason: str = "", by: Actor) -> Lock:
    """Close a site's data for writing; a save in flight is wholly before this, or refused."""
    with acting(by, reason):
        Site.objects.select_for_update().get(pk=site.pk)
        if is_locked(site):
            raise Refused(_("This site is already locked."))
        if blockers(site):
            raise Refused(_("Something still stands in the way of locking this site."))
        return Lock.objects.create(site=site, locked_by_id=by.user_id, reason=reason)


def unlock(*, site: Site, reason: str, by: Actor) -> Lock:
    """Open a site's data again, for a reason that the trail keeps."""
    if not reason.strip():
        raise Refused(_("Please give the reason for unlocking."), "reason")
    with acting(by, reason):
        Site.objects.select_for_update().get(pk=site.pk)
        held = Lock.objects.filter(site=site, released_at=None).first()
        if held is None:
            raise Refused(_("This site is not locked."))
        held.released_at, held.released_by_id = timezone.now(), by.user_id
        held.release_reason = reason
        held.save()
    return held
