"""Visits and the forms due at them: rows from enrolment on, so that what is missing can be seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from registry.conditions import FACTS, compile, decide
from registry.models import Participant, ProtocolVersion, Visit
from registry.protocol import UNSCHEDULED, FormDue, Protocol
from registry.services.study import protocol_of, version_at
from sites.access import Refused
from sites.audit import Actor, acting


def facts_of(participant: Participant) -> dict[str, Any]:
    """What conditions of the protocol may ask about a participant; see `registry.conditions`."""
    has_arms = bool(protocol_of(participant.version_id).arms)
    allocation = getattr(participant, "allocation", None) if has_arms else None
    known = {
        "cohort": participant.cohort or None,
        "arm": allocation.arm if allocation else None,
        "sex": participant.sex,
        "age": participant.age,
        "birth_year": participant.birth_year,
        "consent_date": participant.consented_on.isoformat(),
    }
    return {name: known.get(name) for name in FACTS}


def forms_due(protocol: Protocol, visit_code: str, facts: Mapping[str, Any]) -> list[str]:
    """Instruments due at a visit, in the protocol's order, for somebody with these facts.

    None at a visit that this version doesn't plan.
    """
    planned = {visit.code: visit.forms for visit in protocol.visits}
    forms: Iterable[FormDue] = (
        protocol.unscheduled or () if visit_code == UNSCHEDULED else planned.get(visit_code, ())
    )
    context = {**facts, "visit": visit_code}
    return [
        form.instrument
        for form in forms
        if form.when is None or decide(compile(form.when), context) is True
    ]


def make_visits(participant: Participant, protocol: Protocol, on: dt.date) -> None:
    """The planned visits of somebody who was enrolled `on`; the caller is `acting`."""
    visits = [
        Visit(
            site_id=participant.site_id,
            participant=participant,
            code=planned.code,
            day=planned.day,
            due_on=on + dt.timedelta(days=planned.day),
            opens_on=on + dt.timedelta(days=planned.opens),
            closes_on=on + dt.timedelta(days=planned.closes),
        )
        for planned in protocol.visits
    ]
    expect_forms(participant, Visit.objects.bulk_create(visits), participant.version)


def version_of(visit: Visit, participant: Participant) -> ProtocolVersion:
    """The version that says which forms a visit has: that of its day, while it is open today's.

    An amendment changes what lies ahead and leaves alone what was done before.
    """
    if visit.happened_on is None:
        return participant.version
    try:
        return version_at(participant.site, visit.happened_on)
    except Refused:  # held before the first recorded approval
        return participant.version


def expect_again(participant: Participant, visits: Iterable[Visit]) -> None:
    """`expect_forms` after a change of facts, at each visit by its own version."""
    by_version: dict[ProtocolVersion, list[Visit]] = {}
    for visit in visits:
        by_version.setdefault(version_of(visit, participant), []).append(visit)
    for version, together in by_version.items():
        expect_forms(participant, together, version)


def expect_forms(
    participant: Participant,
    visits: Iterable[Visit],
    version: ProtocolVersion,
    *,
    only_add: bool = False,
) -> None:
    """Make the entries that are due at these visits, and take the others off the schedule.

    An entry that is no longer due keeps its data; one that is due again comes back with them.
    With `only_add` nothing is taken off. The caller is `acting`.
    """
    entry_model = apps.get_model("crf", "Entry")
    protocol, facts, now = protocol_of(version), facts_of(participant), timezone.now()
    visits = list(visits)
    present: dict[tuple[int | None, str], Any] = {
        (entry.visit_id, entry.instrument): entry
        for entry in entry_model.objects.filter(visit__in=visits, voided_at=None)
    }
    new, changed = [], []
    for visit in visits:
        wanted = forms_due(protocol, visit.code, facts)
        for instrument in wanted:
            entry = present.pop((visit.pk, instrument), None)
            if entry is None:
                new.append(
                    entry_model(
                        site_id=participant.site_id,
                        participant=participant,
                        visit=visit,
                        instrument=instrument,
                        version=version,
                    )
                )
            elif entry.cancelled_at:
                entry.cancelled_at = None
                changed.append(entry)
    for entry in present.values():
        if entry.cancelled_at is None and not only_add:
            entry.cancelled_at = now
            changed.append(entry)
    entry_model.objects.bulk_create(new)
    entry_model.objects.bulk_update(changed, ["cancelled_at"])


def cancel_open(participant: Participant) -> None:
    """Take what is still expected off the schedule; the caller is `acting`."""
    now = timezone.now()
    Visit.objects.filter(participant=participant).open().update(cancelled_at=now)
    apps.get_model("crf", "Entry").objects.filter(
        participant=participant, started_at=None, voided_at=None, cancelled_at=None
    ).filter(visit__cancelled_at__isnull=False).update(cancelled_at=now)


def cancel_visits(visits: Iterable[Visit]) -> None:
    """Take open visits with their forms off the schedule; the caller is `acting`."""
    ids, now = [visit.pk for visit in visits], timezone.now()
    if ids:
        Visit.objects.filter(pk__in=ids).update(cancelled_at=now)
        apps.get_model("crf", "Entry").objects.filter(
            visit_id__in=ids, voided_at=None, cancelled_at=None
        ).update(cancelled_at=now)


def record_visit(
    *, visit: Visit, on: dt.date, out_of_window_reason: str = "", reason: str = "", by: Actor
) -> Visit:
    """Record, or correct, the day on which a visit was held.

    A day outside the window needs `out_of_window_reason`; correcting the day of a visit with a
    completed form needs `reason`.
    """
    _check_day(visit.participant, on)
    if visit.voided_at or visit.cancelled_at:
        raise Refused(_("This visit is no longer on the schedule."))
    if out_of_window(visit, on) and not out_of_window_reason.strip():
        raise Refused(
            _("%(day)s lies outside the window (%(opens)s to %(closes)s): please give the reason.")
            % {"day": on, "opens": visit.opens_on, "closes": visit.closes_on},
            "out_of_window_reason",
        )
    corrects = visit.happened_on is not None and visit.happened_on != on
    if corrects and not reason and _completed_forms(visit):
        raise Refused(
            _("Forms of this visit are complete: please give the reason for the new date."),
            "reason",
        )
    with acting(by, reason):
        visit.happened_on = on
        visit.out_of_window_reason = out_of_window_reason if out_of_window(visit, on) else ""
        visit.missed_at, visit.missed_reason = None, ""
        visit.save()
    return visit


def out_of_window(visit: Visit, on: dt.date) -> bool:
    return bool(visit.opens_on and visit.closes_on and not visit.opens_on <= on <= visit.closes_on)


def _check_day(participant: Participant, on: dt.date) -> None:
    if on > participant.site.today():
        raise Refused(_("The visit date lies in the future."), "happened_on")
    if on < participant.consented_on:
        raise Refused(
            _("The visit date lies before the consent (%(day)s).")
            % {"day": participant.consented_on},
            "happened_on",
        )


def _completed_forms(visit: Visit) -> bool:
    entries = apps.get_model("crf", "Entry").objects
    return bool(entries.filter(visit=visit, completed_at__isnull=False, voided_at=None).exists())


def mark_missed(*, visit: Visit, reason: str, by: Actor) -> Visit:
    """A planned visit did not take place; its forms are no longer due."""
    if not reason.strip():
        raise Refused(_("Please say why the visit did not take place."), "missed_reason")
    if visit.happened_on or visit.missed_at or visit.voided_at or visit.cancelled_at:
        raise Refused(_("Only a visit that is still expected can be marked as missed."))
    with acting(by, reason):
        visit.missed_at, visit.missed_reason = timezone.now(), reason
        visit.save()
    return visit


def add_visit(*, participant: Participant, on: dt.date, by: Actor) -> Visit:
    """An unscheduled visit, with the forms that the protocol asks for at such visits."""
    version = version_at(participant.site)
    if protocol_of(version).unscheduled is None:
        raise Refused(_("The protocol knows no unscheduled visits."))
    if participant.state != "enrolled":
        raise Refused(_("Visits can be added only while the participant is in the study."))
    _check_day(participant, on)
    assert participant.enrolled_on is not None
    with acting(by):
        last = participant.visits.filter(code=UNSCHEDULED).aggregate(last=Max("number"))["last"]
        visit = Visit.objects.create(
            site_id=participant.site_id,
            participant=participant,
            code=UNSCHEDULED,
            number=(last or 0) + 1,
            day=(on - participant.enrolled_on).days,
            happened_on=on,
        )
        expect_forms(participant, [visit], version)
    return visit


def void_visit(*, visit: Visit, reason: str, by: Actor) -> Visit:
    """A visit entered in error: kept, struck through, with its forms; a planned one is due anew."""
    if visit.voided_at:
        raise Refused(_("This visit is already void."))
    if not reason.strip():
        raise Refused(_("Please say why the visit was entered in error."), "reason")
    now = timezone.now()
    with acting(by, reason):
        visit.voided_at, visit.void_reason = now, reason
        visit.save()
        apps.get_model("crf", "Entry").objects.filter(visit=visit, voided_at=None).update(
            voided_at=now, void_reason=reason
        )
        version = version_at(visit.participant.site)
        planned = {each.code for each in protocol_of(version).visits}
        if visit.code in planned and visit.participant.state == "enrolled":
            again = Visit.objects.create(
                site_id=visit.site_id,
                participant=visit.participant,
                code=visit.code,
                day=visit.day,
                due_on=visit.due_on,
                opens_on=visit.opens_on,
                closes_on=visit.closes_on,
            )
            expect_forms(visit.participant, [again], version)
    return visit
