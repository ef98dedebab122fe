"""Locking a site: what stands in the way, the lock, its release; the database refuses writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crf.models import Entry, Lock, Query
from crf.services.review import signature_state
from registry.models import Participant, Visit
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site

UNSIGNED = gettext_lazy("Participants without a valid signature")
SHOWN = 200  # records that one blocker lists; its count is of all


@dataclass(frozen=True)
class Blocker:
    """One kind of thing that must be done before a site can be locked, and where."""

    code: str
    title: Any
    count: int
    records: QuerySet[Any]


def is_locked(site: Site) -> bool:
    return Lock.objects.filter(site=site, released_at=None).exists()


def blockers(site: Site) -> list[Blocker]:
    """Everything that stands in the way of locking a site; empty when nothing does."""
    found = []
    for code, title, records in _in_the_way([site]):
        count = records.count()
        if count:
            listed = records if records.model is Participant else _with_participant(records)
            found.append(Blocker(code, title, count, listed[:SHOWN]))
    unsigned = _unsigned([site])
    if unsigned:
        people = Participant.objects.filter(pk__in=unsigned)[:SHOWN]
        found.append(Blocker("signatures", UNSIGNED, len(unsigned), people))
    return found


def blocker_counts(sites: Collection[Site]) -> Counter[int]:
    """Site id → how many records stand in the way, in as many queries for six sites as for one."""
    counts: Counter[int] = Counter()
    for _code, _title, records in _in_the_way(sites):
        counts.update(dict(records.order_by().values_list("site_id").annotate(Count("pk"))))
    counts.update(_unsigned(sites).values())
    return counts


def _in_the_way(sites: Collection[Site]) -> list[tuple[str, Any, QuerySet[Any]]]:
    people = Participant.objects.valid().filter(site__in=sites)
    of_people = {"site__in": sites, "participant__voided_at": None}
    return [
        ("screening", _("Screening without a decision"), people.filter(screened_at=None)),
        (
            "enrolment",
            _("Eligible, not enrolled"),
            people.filter(
                screened_at__isnull=False, failed_criteria__isnull=True, enrolled_at=None
            ),
        ),
        (
            "visits",
            _("Visits neither held nor marked as missed"),
            Visit.objects.open().filter(**of_people),
        ),
        (
            "entries",
            _("Forms that are not complete"),
            Entry.objects.incomplete()
            .filter(**of_people)
            .exclude(visit__happened_on=None, visit__isnull=False),
        ),
        (
            "queries",
            _("Queries that are not closed"),
            Query.objects.unresolved().filter(**of_people),
        ),
        (
            "end",
            _("Participants without an end of study"),
            people.filter(enrolled_at__isnull=False, ended_on=None),
        ),
    ]


def _unsigned(sites: Collection[Site]) -> dict[int, int]:
    """Participant id → site id of the enrolled ones without a signature that fits."""
    enrolled = dict(
        Participant.objects.enrolled().filter(site__in=sites).values_list("pk", "site_id")
    )
    fits = signature_state(enrolled)
    return {pk: site for pk, site in enrolled.items() if fits.get(pk) is not True}


def _with_participant(records: QuerySet[Any]) -> QuerySet[Any]:
    names = ["participant"] + (["visit"] if records.model is Entry else [])
    return records.select_related(*names)


def lock(*, site: Site, reason: str = "", by: Actor) -> Lock:
    """Close a site's data for writing; a save in flight is wholly before this, or refused."""
    with acting(by, reason):
        Site.objects.select_for_update().get(pk=site.pk)
        if is_locked(site):
            raise Refused(_("This site is already locked."))
        if blockers(site):
            raise Refused(_("Something still stands in the way of locking this site."))
        return Lock.objects.create(site=site, locked_by_id=by.person, reason=reason)


def unlock(*, site: Site, reason: str, by: Actor) -> Lock:
    """Open a site's data again, for a reason that the trail keeps."""
    if not reason.strip():
        raise Refused(_("Please give the reason for unlocking."), "reason")
    with acting(by, reason):
        Site.objects.select_for_update().get(pk=site.pk)
        held = Lock.objects.filter(site=site, released_at=None).first()
        if held is None:
            raise Refused(_("This site is not locked."))
        held.released_at, held.released_by_id = timezone.now(), by.person
        held.release_reason = reason
        held.save()
    return held
