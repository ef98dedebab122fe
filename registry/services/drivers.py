"""Values that decide what is due: changing one first lists what follows, and deletes nothing."""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import dataclass, field

from django.apps import apps
from django.utils.translation import gettext as _

from registry import identity
from registry.models import Participant, Visit
from registry.services.participants import _count_person, assess, person_of
from registry.services.schedule import expect_again, facts_of, forms_due, version_of
from registry.services.study import protocol_of
from sites.access import Refused
from sites.audit import Actor, acting


@dataclass(frozen=True)
class Changes:
    """New values of the drivers; None leaves a driver as it is."""

    cohort: str | None = None
    consented_on: dt.date | None = None
    birth_date: dt.date | None = None


@dataclass(frozen=True)
class Impact:
    """What a change makes due, no longer due, ineligible or out of place."""

    due: list[tuple[Visit, str]] = field(default_factory=list)
    no_longer_due: list[tuple[Visit, str, bool]] = field(default_factory=list)  # with data?
    ineligible: list[str] = field(default_factory=list)  # codes of criteria
    before_consent: list[Visit] = field(default_factory=list)


def impact(participant: Participant, changes: Changes) -> Impact:
    """What follows from `changes`; nothing is written."""
    after = _changed(participant, changes)
    protocol = protocol_of(participant.version)
    entries = apps.get_model("crf", "Entry").objects.filter(participant=participant, voided_at=None)
    present = {
        (entry.visit_id, entry.instrument): entry
        for entry in entries.filter(visit__isnull=False, cancelled_at=None)
    }
    result = Impact()
    for visit in participant.visits.valid():
        planned = protocol_of(version_of(visit, participant))
        wanted = set(forms_due(planned, visit.code, facts_of(after)))
        have = {instrument for visit_id, instrument in present if visit_id == visit.pk}
        if not visit.cancelled_at and not visit.missed_at:
            result.due.extend((visit, code) for code in sorted(wanted - have))
        result.no_longer_due.extend(
            (visit, code, present[visit.pk, code].started_at is not None)
            for code in sorted(have - wanted)
        )
        if visit.happened_on and visit.happened_on < after.consented_on:
            result.before_consent.append(visit)
    screening = entries.filter(visit=None, instrument=protocol.screening).first()
    if screening:
        verdict = assess(protocol, screening.answers, after)
        result.ineligible.extend(code for code, allowed in verdict.items() if allowed is False)
    return result


def change_drivers(
    *, participant: Participant, changes: Changes, reason: str, by: Actor
) -> Participant:
    """Change the drivers for a reason, and plan anew what is due."""
    if not reason.strip():
        raise Refused(_("Please give the reason for the change."), "reason")
    person = person_of(participant)
    today = participant.site.today()
    if changes.birth_date and changes.birth_date > today:
        raise Refused(_("The birth date lies in the future."), "birth_date")
    if changes.consented_on and changes.consented_on > today:
        raise Refused(_("The consent date lies in the future."), "consented_on")
    cohorts = protocol_of(participant.version).cohort
    if changes.cohort and (
        cohorts is None or changes.cohort not in {option.code for option in cohorts.options}
    ):
        raise Refused(_("The protocol knows no such group."), "cohort")
    after = _changed(participant, changes)
    with acting(by, reason):
        after.save()
        if changes.birth_date:
            kept = participant.identity
            kept.birth_date = identity.encrypt(changes.birth_date.isoformat())
            kept.save()
            _count_person(participant, person, -1)
            _count_person(participant, person_of(after), +1)
        if changes.consented_on:
            required = [c.kind for c in protocol_of(after.version).consents if c.required]
            after.consents.filter(
                kind__in=required, signed_on=participant.consented_on, voided_at=None
            ).update(signed_on=changes.consented_on)
        if after.enrolled_at:
            visits = after.visits.valid().filter(cancelled_at=None, missed_at=None)
            expect_again(after, visits)
    return after


def _changed(participant: Participant, changes: Changes) -> Participant:
    after = copy.copy(participant)
    if changes.cohort is not None:
        after.cohort = changes.cohort
    after.consented_on = changes.consented_on or participant.consented_on
    if changes.birth_date or changes.consented_on:
        birth_date = changes.birth_date or person_of(participant).birth_date
        after.birth_year = birth_date.year
        after.age = identity.age_on(birth_date, after.consented_on)
    return after
