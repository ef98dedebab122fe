"""Adverse events: reported and changed by the site, reviewed by others, never deleted.

An event counts as complete once it is reported: every change needs a reason. What can't be kept
(a format, a grade that its term does not have, an end before the onset) is refused, all of it at
once; what is merely unlikely is kept and shown as a caution (`safety.cautions`). A review is bound
to the digest of what was seen and never touches the event's own row.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from crf.models import Operation
from crf.services.queries import close_for_void
from crf.services.words import words
from crf.values import Invalid, date_text
from registry.models import Participant, SiteApproval
from registry.protocol import Protocol, Safety
from registry.services import protocol_of, version_at
from safety import causality, codes, ctcae
from safety.deadlines import Deadline, Rules, deadline
from safety.models import AdverseEvent, AEReview
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site

TEXTS = ("symptom", "treatment", "narrative")


@dataclass(frozen=True)
class Facts:
    """What a site says of an event. Dates of onset and end are as typed, and may be partial."""

    symptom: str
    onset: str
    grade: int | None
    causality: str
    outcome: str
    aware_on: dt.date | None
    ended: str = ""
    term: str = ""
    causality_answers: Mapping[str, str] = field(default_factory=dict)
    serious: bool | None = None
    seriousness: Sequence[str] = ()
    expected: bool | None = None
    action: str = ""
    treatment: str = ""
    narrative: str = ""


class Wrong(Refused):
    """An event can't be kept as it is typed; `problems` field → sentence."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        name, sentence = next(iter(problems.items()))
        super().__init__(sentence, name)
        self.problems = dict(problems)


class Changed(Refused):
    """Somebody else changed the event meanwhile; `event` is as it is now."""

    def __init__(self, event: AdverseEvent) -> None:
        super().__init__(
            _("Somebody else changed this event meanwhile. Nothing of yours was saved yet.")
        )
        self.event = event


def report_event(
    *, participant: Participant, facts: Facts, op: uuid.UUID | None = None, by: Actor
) -> AdverseEvent:
    """Record an event under the participant's next number; a repeated `op` gets the first again."""
    site = participant.site
    safety = protocol_of(version_at(site)).safety
    values = _checked(facts, site, safety, safety.ctcae)
    with acting(by):
        participant = Participant.objects.select_for_update().get(pk=participant.pk)
        done = _reported_before(participant, op, by)
        if done is not None:
            return done
        if participant.voided_at:
            raise Refused(_("This participant was entered in error and is void."))
        last = participant.adverse_events.aggregate(last=Max("number"))["last"]
        event = AdverseEvent.objects.create(
            site_id=site.pk,
            participant=participant,
            number=(last or 0) + 1,
            reported_by_id=by.user_id,
            **values,
        )
        event.refresh_from_db(fields=["digest"])
        if op and by.user_id:
            Operation.objects.create(
                site_id=site.pk, user_id=by.user_id, op=op, answer={"adverse_event": event.pk}
            )
    return event


def _reported_before(
    participant: Participant, op: uuid.UUID | None, by: Actor
) -> AdverseEvent | None:
    """The event that this operation has made already; an id repeats only its own request."""
    if op is None or by.user_id is None:
        return None
    done = Operation.objects.filter(user_id=by.user_id, op=op).first()
    if done is None:
        return None
    recorded = participant.adverse_events.filter(pk=done.answer.get("adverse_event")).first()
    if recorded is None:
        raise Refused(_("This operation id was already used for something else."))
    return recorded


def change_event(
    *, event: AdverseEvent, facts: Facts, reason: str, seen: str | None = None, by: Actor
) -> AdverseEvent:
    """Change what is reported. `seen` is the digest of what was on the screen, if there was one."""
    problems: dict[str, str] = {}
    try:
        reason = words(reason, "reason", ask=_("Please say why you change this event."))
    except Refused as refused:
        problems["reason"] = str(refused)
    with acting(by, reason):
        event = _locked(event)
        if seen is not None and seen != event.digest:
            raise Changed(event)
        safety = protocol_of(version_at(event.site)).safety
        # Codes stay in the version in which the event was coded first.
        values = _checked(facts, event.site, safety, event.term_version or safety.ctcae, problems)
        changed = [name for name, value in values.items() if getattr(event, name) != value]
        if not changed:
            raise Refused(_("Nothing was changed."))
        for name in changed:
            setattr(event, name, values[name])
        event.save(update_fields=changed)
        event.refresh_from_db(fields=["digest"])
    return event


def void_event(*, event: AdverseEvent, reason: str, by: Actor) -> AdverseEvent:
    """An event entered in error: kept, struck through, out of the queue and of every count."""
    reason = words(reason, "reason", ask=_("Please say why the event was entered in error."))
    with acting(by, reason):
        event = _locked(event)
        event.voided_at, event.void_reason = timezone.now(), reason
        event.save(update_fields=["voided_at", "void_reason"])
        close_for_void(event.queries)
    return event


def review_event(
    *,
    event: AdverseEvent,
    decision: str,
    note: str = "",
    seen: str,
    seen_review: int | None = None,
    by: Actor,
) -> AEReview:
    """Decide about an event as it was seen: digest `seen`, newest review `seen_review`.

    Whoever decides second, or about something that has changed since, is told and decides again.
    """
    if decision not in AEReview.Decision.values:
        raise Refused(_("Please choose a decision."), "decision")
    if by.user_id is None:
        raise PermissionDenied("only a person decides about an event")
    note = words(note, "note")
    if decision != AEReview.Decision.REVIEWED and not note:
        raise Refused(_("Please say why: this decision needs a note."), "note")
    with acting(by, note):
        event = _locked(event)
        last = event.reviews.select_related("reviewed_by").last()
        if last is not None and last.pk != seen_review:
            raise Refused(
                _("%(name)s decided meanwhile: “%(decision)s”. Your decision was not recorded.")
                % {"name": last.reviewed_by, "decision": last.get_decision_display()}
            )
        if event.digest != seen:
            raise Refused(
                _("The site changed this event while you were reading. Please read it again.")
            )
        if last is not None and last.digest == event.digest:
            if last.decision == decision:
                raise Refused(_("This decision is already recorded."))
            if not note:
                raise Refused(_("Please say why you change the decision."), "note")
        return AEReview.objects.create(
            site_id=event.site_id,
            adverse_event=event,
            decision=decision,
            note=note,
            digest=event.digest,
            reviewed_by_id=by.user_id,
        )


def _locked(event: AdverseEvent) -> AdverseEvent:
    """The event as it is now, with its row locked until this transaction ends."""
    event = (
        AdverseEvent.objects.select_for_update(of=("self",))
        .select_related("site", "participant")
        .get(pk=event.pk)
    )
    if event.voided_at or event.participant.voided_at:
        raise Refused(_("This adverse event was entered in error and is void."))
    return event


# What can be kept --------------------------------------------------------------------------------


def _checked(
    facts: Facts,
    site: Site,
    safety: Safety,
    version: str,
    problems: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Column → value to store. Raises `Wrong` with everything that can't be kept."""
    wrong = dict(problems or {})
    values: dict[str, Any] = {name: _text(facts, name, wrong) for name in TEXTS}
    if not values["symptom"] and "symptom" not in wrong:
        wrong["symptom"] = _("Please write the symptom in your own words.")
    values |= _dates(facts, site.today(), wrong)
    values |= _coded(facts, version, wrong)
    values |= _judged(facts, safety, wrong)
    values |= _serious(facts, wrong)
    if wrong:
        raise Wrong(wrong)
    return values


def _text(facts: Facts, name: str, wrong: dict[str, str]) -> str:
    try:
        return words(getattr(facts, name), name)
    except Refused as refused:
        wrong[name] = str(refused)
        return ""


def _dates(facts: Facts, today: dt.date, wrong: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {"onset": "", "ended": "", "aware_on": facts.aware_on}
    for name in ("onset", "ended"):
        typed = unicodedata.normalize("NFKC", getattr(facts, name)).strip()
        try:
            values[name] = date_text(typed, partial=True, latest=today) if typed else ""
        except Invalid as invalid:
            wrong[name] = str(invalid)
    onset, ended = values["onset"], values["ended"]
    if not onset and "onset" not in wrong:
        wrong["onset"] = _("Please enter when it began; month or day may be left out.")
    if onset and ended and before(ended, onset):
        wrong["ended"] = _("The end lies before the onset.")
    if facts.aware_on is None:
        wrong["aware_on"] = _("Please enter the day on which the site became aware.")
    elif facts.aware_on > today:
        wrong["aware_on"] = _("This date lies in the future.")
    elif onset and before(facts.aware_on.isoformat(), onset):
        wrong["aware_on"] = _("The site can't have been aware before the onset.")
    return values


def before(earlier: str, later: str) -> bool:
    """Whether one date lies before another, both perhaps partial: only where it is certain."""
    known = min(len(earlier), len(later))
    return earlier[:known] < later[:known]


def _coded(facts: Facts, version: str, wrong: dict[str, str]) -> dict[str, Any]:
    grades: Iterable[int] = ctcae.GRADES
    if facts.term:
        try:
            grades = ctcae.grades(version, facts.term)
        except ValueError:
            wrong["term"] = _("CTCAE %(version)s has no such term.") % {"version": version}
    if facts.grade is None:
        wrong["grade"] = _("Please choose the grade.")
    elif facts.grade not in grades:
        listed = ", ".join(str(grade) for grade in grades)
        wrong["grade"] = _("This term has no such grade; it has: %(grades)s.") % {"grades": listed}
    return {
        "term": facts.term,
        "term_version": version if facts.term else "",
        "grade": facts.grade,
    }


def _judged(facts: Facts, safety: Safety, wrong: dict[str, str]) -> dict[str, Any]:
    answers = {name: answer for name, answer in facts.causality_answers.items() if answer}
    known = {question.name: question.answers for question in causality.QUESTIONS}
    if any(answer not in known.get(name, ()) for name, answer in answers.items()):
        wrong["causality_answers"] = _("Please choose from the answers that are offered.")
        answers = {}
    if facts.causality not in set(causality.Category):
        wrong["causality"] = _("Please judge the causality.")
    for name, offered in (("outcome", codes.OUTCOMES), ("action", codes.ACTIONS)):
        chosen = getattr(facts, name)
        if chosen not in {code.code for code in offered} and (chosen or name == "outcome"):
            wrong[name] = _("Please choose one of the answers.")
    return {
        "causality": facts.causality,
        "causality_answers": answers,
        "suggested_causality": suggestion(answers, safety) or "",
        "outcome": facts.outcome,
        "action": facts.action,
        "expected": facts.expected,
    }


def problems_of(*, facts: Facts, site: Site, event: AdverseEvent | None = None) -> dict[str, str]:
    """Field → why it can't be kept; the services refuse the same. Empty when all is well."""
    safety = protocol_of(version_at(site)).safety
    version = (event.term_version if event else "") or safety.ctcae
    try:
        _checked(facts, site, safety, version)
    except Wrong as wrong:
        return wrong.problems
    return {}


def suggestion(answers: Mapping[str, str], safety: Safety) -> str | None:
    """The WHO-UMC category that the answers support; None until all six are given."""
    if any(not answers.get(question.name) for question in causality.QUESTIONS):
        return None
    single = safety.causality.single_dose
    return causality.suggest(
        **{question.name: answers[question.name] for question in causality.QUESTIONS},
        single_dose=single,
    ).category.value


def _serious(facts: Facts, wrong: dict[str, str]) -> dict[str, Any]:
    order = [criterion.code for criterion in codes.SERIOUSNESS]
    if set(facts.seriousness) - set(order):
        wrong["seriousness"] = _("Please choose from the answers that are offered.")
    elif facts.serious is None:
        wrong["serious"] = _("Please say whether the event is serious.")
    elif facts.serious and not facts.seriousness:
        wrong["seriousness"] = _("Please choose why the event is serious.")
    elif facts.seriousness and not facts.serious:
        wrong["serious"] = _("A criterion of seriousness is chosen: is the event serious?")
    return {
        "serious": bool(facts.serious),
        "seriousness": [code for code in order if code in facts.seriousness],
    }


# The report clock --------------------------------------------------------------------------------


def rules_of(protocol: Protocol) -> Rules:
    days = protocol.safety.deadlines
    return Rules(days.fatal_days, days.followup_days, days.serious_days)


def rules_at(sites: Iterable[int]) -> dict[int, Rules]:
    """Site id → the rules of the newest protocol version that is approved there."""
    approvals = SiteApproval.objects.filter(site_id__in=list(sites)).order_by("version__number")
    newest = dict(approvals.values_list("site_id", "version_id"))
    return {site: rules_of(protocol_of(version)) for site, version in newest.items()}


def deadline_of(event: AdverseEvent, rules: Rules) -> Deadline | None:
    """When this event must be reported; None for one that is not serious or is void."""
    if event.voided_at:
        return None
    return deadline(event.seriousness, aware_on=event.aware_on, rules=rules)
