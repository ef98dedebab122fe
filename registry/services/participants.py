"""From consent to the end of the study, in the order that the rules ask for (DESIGN 6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from registry import identity
from registry.conditions import compile, decide
from registry.models import (
    Allocation,
    Consent,
    Identity,
    Participant,
    Prescreen,
    ProtocolVersion,
    Withdrawal,
)
from registry.protocol import Protocol
from registry.services.schedule import cancel_open, expect_again, facts_of, make_visits
from registry.services.study import protocol_of, version_at
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site


@dataclass(frozen=True)
class ConsentGiven:
    """One consent form as it was signed, or declined (`given` false)."""

    kind: str
    form_version: str
    given: bool
    signed_on: dt.date
    explained_by: str


@dataclass(frozen=True)
class NewParticipant:
    """Who consented. Name, birth date, chart number and contact go to `Identity` alone."""

    name: str
    birth_date: dt.date
    sex: str
    chart_number: str
    contact: str = ""


@dataclass(frozen=True)
class Consented:
    """The new participant; `seen_before` warns of the same person in this study, not where."""

    participant: Participant
    seen_before: bool


def prescreen(*, site: Site, on: dt.date, reason: str, by: Actor) -> Prescreen:
    """Count somebody who did not come to consent: a date and a reason category, nothing else."""
    if on > site.today():
        raise Refused(_("The date lies in the future."), "on")
    if reason not in {each.code for each in protocol_of(version_at(site)).prescreen_reasons}:
        raise Refused(_("Please choose a reason from the list."), "reason")
    with acting(by):
        return Prescreen.objects.create(site=site, on=on, reason=reason)


def consent(
    *, site: Site, person: NewParticipant, consents: Sequence[ConsentGiven], by: Actor
) -> Consented:
    """Record the signed consent forms; this makes the participant and the screening number."""
    version = version_at(site)
    protocol = protocol_of(version)
    _check_person(site, person)
    for given in consents:
        _check_consent(site, protocol, given)
    by_kind = {given.kind: given for given in consents}
    for definition in protocol.consents:
        if definition.required and not (
            definition.kind in by_kind and by_kind[definition.kind].given
        ):
            raise Refused(
                _("Without “%(consent)s” nothing may be recorded.")
                % {"consent": definition.label.get(get_language() or "ko")},
                f"{definition.kind}_given",
            )
    consented_on = max(
        by_kind[definition.kind].signed_on
        for definition in protocol.consents
        if definition.required
    )
    with acting(by):
        number = _next(site, "screening")
        participant = Participant.objects.create(
            site=site,
            version=version,
            screening_number=protocol.numbering.screening.format(site=site.code, n=number),
            sex=person.sex,
            birth_year=person.birth_date.year,
            age=identity.age_on(person.birth_date, consented_on),
            consented_on=consented_on,
        )
        _keep_identity(participant, person)
        Consent.objects.bulk_create(_consent(participant, given) for given in consents)
        seen = _count_person(participant, person, +1)
    return Consented(participant, seen_before=seen > 1)


def add_consent(*, participant: Participant, given: ConsentGiven, by: Actor) -> Consent:
    """A further consent: a new version of a form, or one that was not asked for before."""
    protocol = protocol_of(version_at(participant.site))
    _check_consent(participant.site, protocol, given)
    if participant.consents.filter(
        kind=given.kind, form_version=given.form_version, voided_at=None
    ).exists():
        raise Refused(_("This consent form is already recorded in this version."), "form_version")
    with acting(by):
        recorded = _consent(participant, given)
        recorded.save()
    return recorded


def void_consent(*, consent: Consent, reason: str, by: Actor) -> Consent:
    """A consent entered in error: kept, struck through."""
    if not reason.strip():
        raise Refused(_("Please give the reason."), "reason")
    with acting(by, reason):
        consent.voided_at, consent.void_reason = timezone.now(), reason
        consent.save()
    return consent


def _consent(participant: Participant, given: ConsentGiven) -> Consent:
    return Consent(
        site_id=participant.site_id,
        participant=participant,
        kind=given.kind,
        form_version=given.form_version,
        given=given.given,
        signed_on=given.signed_on,
        explained_by=given.explained_by,
    )


def _check_person(site: Site, person: NewParticipant) -> None:
    if person.birth_date > site.today():
        raise Refused(_("The birth date lies in the future."), "birth_date")
    if person.birth_date.year < 1900:
        raise Refused(_("Please check the year of birth."), "birth_date")
    for field in ("name", "chart_number", "contact"):
        if identity.has_resident_number(getattr(person, field)):
            raise Refused(
                _("This looks like a resident registration number, which must not be stored."),
                field,
            )


def _check_consent(site: Site, protocol: Protocol, given: ConsentGiven) -> None:
    definition = protocol.consent(given.kind)
    if given.signed_on > site.today():
        raise Refused(_("The consent date lies in the future."), f"{given.kind}_signed_on")
    versions = {each.version: each.valid_from for each in definition.versions}
    if given.form_version not in versions or given.signed_on < versions[given.form_version]:
        raise Refused(
            _("This version of the consent form was not in force on that day."),
            f"{given.kind}_form_version",
        )


def _keep_identity(participant: Participant, person: NewParticipant) -> None:
    Identity.objects.create(
        site_id=participant.site_id,
        participant=participant,
        name=identity.encrypt(person.name),
        birth_date=identity.encrypt(person.birth_date.isoformat()),
        chart_number=identity.encrypt(person.chart_number),
        contact=identity.encrypt(person.contact) if person.contact else "",
        chart_digest=identity.chart_digest(participant.site_id, person.chart_number),
    )


def _count_person(participant: Participant, person: NewParticipant, change: int) -> int:
    """How many participants of the study this person is now."""
    digest = identity.person_digest(
        participant.site.study_id, person.name, person.birth_date, person.sex
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO registry_personkey (study_id, digest, participants) VALUES (%s, %s, 1)"
            " ON CONFLICT (study_id, digest)"
            " DO UPDATE SET participants = registry_personkey.participants + %s"
            " RETURNING participants",
            [participant.site.study_id, digest, change],
        )
        return int(cursor.fetchone()[0])


def person_of(participant: Participant) -> NewParticipant:
    """The decrypted identity; the route that asks for it needs its own permission."""
    kept = participant.identity
    return NewParticipant(
        name=identity.decrypt(kept.name),
        birth_date=dt.date.fromisoformat(identity.decrypt(kept.birth_date)),
        sex=participant.sex,
        chart_number=identity.decrypt(kept.chart_number),
        contact=identity.decrypt(kept.contact),
    )


def _next(site: Site, series: str) -> int:
    """The next number of a gapless series: its row stays locked until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE registry_counter SET used = used + 1"
            " WHERE study_id = %s AND site_id = %s AND name = %s RETURNING used",
            [site.study_id, site.pk, series],
        )
        return int(cursor.fetchone()[0])


def _take_place(site: Site) -> None:
    """Take one of the study's and of the site's places, in this order, or refuse."""
    for site_id, full in (
        (None, _("The study has enrolled all of its participants.")),
        (site.pk, _("This site has enrolled all of its participants.")),
    ):
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE registry_counter SET used = used + 1"
                " WHERE study_id = %s AND site_id IS NOT DISTINCT FROM %s AND name = 'enrolled'"
                " AND (cap IS NULL OR used < cap) RETURNING used",
                [site.study_id, site_id],
            )
            if cursor.fetchone() is None:
                raise Refused(full)


def _give_place_back(site: Site) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE registry_counter SET used = used - 1 WHERE study_id = %s AND name = 'enrolled'"
            " AND (site_id IS NULL OR site_id = %s)",
            [site.study_id, site.pk],
        )


def assess(
    protocol: Protocol, answers: Mapping[str, Any], participant: Participant
) -> dict[str, bool | None]:
    """Criterion code → whether it allows enrolment; None while its answers are missing."""
    facts = facts_of(participant)
    context = {**facts, **answers, "today": participant.site.today().isoformat()}
    verdict = {}
    for criterion in protocol.eligibility:
        condition = compile(criterion.met)
        known = {name: context.get(name) for name in condition.variables}
        verdict[criterion.code] = criterion.allows(decide(condition, known))
    return verdict


def screen(
    *, participant: Participant, failed: Sequence[str], cohort: str, reason: str = "", by: Actor
) -> Participant:
    """Record the outcome of screening: eligible, or a failure with the criteria not met."""
    if participant.state not in ("consented", "screened", "failed"):
        raise Refused(_("Screening is closed for this participant."))
    protocol = protocol_of(participant.version)
    if protocol.cohort and not failed and cohort not in {o.code for o in protocol.cohort.options}:
        raise Refused(_("The screening form does not say which group this participant belongs to."))
    with acting(by, reason):
        participant.screened_at = timezone.now()
        participant.failed_criteria = list(failed) or None
        participant.cohort = cohort
        participant.save()
    return participant


def enrol(*, participant: Participant, on: dt.date | None = None, by: Actor) -> Participant:
    """Give the next subject number and plan visits and forms; `on` defaults to the site's today."""
    site = participant.site
    on = on or site.today()
    version = version_at(site)
    if participant.state != "screened":
        raise Refused(_("Only a participant who passed screening can be enrolled."))
    _require_consent(participant, protocol_of(version))
    if not participant.consented_on <= on <= site.today():
        raise Refused(_("The enrolment date must lie between consent and today."), "on")
    with acting(by):
        _take_place(site)
        number = _next(site, "subject")
        protocol = protocol_of(version)
        participant.version = version
        participant.subject_number = protocol.numbering.subject.format(site=site.code, n=number)
        participant.enrolled_at, participant.enrolled_on = timezone.now(), on
        participant.save()
        make_visits(participant, protocol, on)
    return participant


def _require_consent(participant: Participant, protocol: Protocol) -> None:
    given = set(
        participant.consents.filter(given=True, voided_at=None).values_list("kind", flat=True)
    )
    if any(c.required and c.kind not in given for c in protocol.consents):
        raise Refused(_("The consent that the protocol asks for is not recorded."))
    if participant.withdrawals.exclude(scope=Withdrawal.Scope.SHARING).exists():
        raise Refused(_("The participant withdrew."))


def allocate(*, participant: Participant, arm: str, by: Actor) -> Allocation:
    """Record the arm of an enrolled participant, and what it makes due."""
    version: ProtocolVersion = participant.version
    if arm not in {each.code for each in protocol_of(version).arms}:
        raise Refused(_("The protocol knows no such arm."), "arm")
    if participant.state != "enrolled":
        raise Refused(_("Only an enrolled participant is allocated to an arm."))
    if Allocation.objects.filter(participant=participant).exists():
        raise Refused(_("This participant is already allocated."))
    with acting(by):
        allocation = Allocation.objects.create(
            site_id=participant.site_id, participant=participant, arm=arm
        )
        participant.allocation = allocation
        expect_again(participant, participant.visits.valid())
    return allocation


def end_study(
    *, participant: Participant, on: dt.date, end_reason: str, note: str = "", by: Actor
) -> Participant:
    """Completed, lost, withdrawn or died: nothing further is due."""
    if participant.state != "enrolled":
        raise Refused(_("Only a participant who is in the study can end it."))
    if on > participant.site.today() or on < participant.consented_on:
        raise Refused(_("The date must lie between consent and today."), "on")
    if end_reason not in {r.code for r in protocol_of(participant.version).end_of_study.reasons}:
        raise Refused(_("Please choose a reason from the list."), "end_reason")
    with acting(by):
        participant.ended_on, participant.end_reason = on, end_reason
        participant.end_note = note
        participant.save()
        cancel_open(participant)
    return participant


def withdraw(
    *, participant: Participant, scope: str, on: dt.date, taken_by: str, by: Actor
) -> Withdrawal:
    """What a participant no longer agrees to; exports obey it from now on."""
    if on > participant.site.today() or on < participant.consented_on:
        raise Refused(_("The date must lie between consent and today."), "withdrawn_on")
    if participant.withdrawals.filter(scope=scope).exists():
        raise Refused(_("This withdrawal is already recorded."), "scope")
    with acting(by):
        withdrawal = Withdrawal.objects.create(
            site_id=participant.site_id,
            participant=participant,
            scope=scope,
            withdrawn_on=on,
            taken_by=taken_by,
        )
        if scope != Withdrawal.Scope.SHARING:
            cancel_open(participant)
    return withdrawal


def void_participant(*, participant: Participant, reason: str, by: Actor) -> Participant:
    """A participant entered in error: kept, struck through, out of status, counts and exports."""
    if participant.voided_at:
        raise Refused(_("This participant is already void."))
    if not reason.strip():
        raise Refused(_("Please say why the participant was entered in error."), "reason")
    with acting(by, reason):
        participant.voided_at, participant.void_reason = timezone.now(), reason
        participant.save()
        _count_person(participant, person_of(participant), -1)
        if participant.enrolled_at:
            _give_place_back(participant.site)
    return participant
