"""Participants answer themselves: what a coordinator hands over, and how the answers come back.

Whoever has the code or the link of a hand-over may answer its forms and nothing else. The secret
is shown once and kept as a keyed digest; it is worth nothing once the forms were sent, taken back,
or past their time. What is answered goes through `save_entry` in the participant's name, and the
form waits for the site to look it through and complete it.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
import unicodedata
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.core import signing
from django.db import IntegrityError
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from crf.asked import Question, answerable, questions_of
from crf.models import MOST_FAILURES, Handover
from crf.services.entries import Saved, save_entry
from registry import identity
from registry.models import Identity, Participant, Visit, Withdrawal
from sites.access import Refused, system
from sites.audit import Actor, acting
from sites.models import Site

CODE_LASTS = dt.timedelta(minutes=15)  # to type the code on the tablet
ANSWERING_LASTS = dt.timedelta(hours=2)  # to answer, once it was typed
_signer = signing.Signer(salt="participant's link")


def why_not(visit: Visit) -> str:
    """Why nothing of this visit can be answered by its participant now; empty when it can."""
    person, today = visit.participant, visit.participant.site.today()
    if person.state != "enrolled":
        return _("The participant is not in the study.")
    if person.withdrawals.exclude(scope=Withdrawal.Scope.SHARING).exists():
        return _("The participant withdrew.")
    if visit.voided_at or visit.cancelled_at or visit.missed_at:
        return _("This visit is no longer on the schedule.")
    if visit.happened_on is None:
        if visit.opens_on is None or today < visit.opens_on:
            return _("The window of this visit is not open yet.")
        if visit.closes_on is not None and visit.closes_on < today:
            return _("The window of this visit has closed. Record the visit date first.")
    return ""


def link_until(visit: Visit) -> dt.datetime | None:
    """The end of the last day of the window at the site; None once it has passed."""
    site = visit.participant.site
    if visit.closes_on is None or visit.closes_on < site.today():
        return None
    last = visit.closes_on + dt.timedelta(days=1)
    return dt.datetime.combine(last, dt.time(), tzinfo=ZoneInfo(site.timezone))


def hand_over(
    *, visit: Visit, instruments: Sequence[str], way: str, by: Actor
) -> tuple[Handover, str]:
    """Hand forms over; the second value, a code or the token of a link, is never shown again."""
    if sentence := why_not(visit):
        raise Refused(sentence)
    possible = [entry.instrument for entry in answerable(visit)]
    chosen = [code for code in possible if code in set(instruments)]
    if not chosen or len(chosen) < len(set(instruments)):
        raise Refused(_("Please choose the forms to hand over."), "instruments")
    until = link_until(visit) if way == Handover.Way.LINK else timezone.now() + CODE_LASTS
    if until is None:
        raise Refused(_("The window of this visit has closed: a link would not be valid."))
    while True:
        secret = _new_secret(way)
        try:
            with acting(by):
                made = Handover.objects.create(
                    site_id=visit.site_id,
                    participant_id=visit.participant_id,
                    visit=visit,
                    way=way,
                    instruments=chosen,
                    digest=digest_of(way, secret),
                    created_by_id=by.user_id,
                    expires_at=until,
                )
        except IntegrityError as error:
            if "handover_secret_once" not in str(error):
                raise
            continue  # a code that is in use somewhere: draw another
        return made, secret if way == Handover.Way.TABLET else _signer.sign(secret)


def _new_secret(way: str) -> str:
    if way == Handover.Way.TABLET:
        return f"{secrets.randbelow(10**8):08}"
    return secrets.token_urlsafe(24)


def digest_of(way: str, secret: str) -> str:
    """Keyed, so that a copy of the database gives no code away."""
    return salted_hmac(f"handover {way}", secret, algorithm="sha256").hexdigest()


def by_code(typed: str) -> Handover | None:
    """The hand-over of a code that nobody has used yet; None for any other."""
    digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", typed))
    found = _known(Handover.Way.TABLET, digits) if re.fullmatch(r"\d{8}", digits) else None
    return found if found and found.state == "waiting" else None


def by_token(token: str) -> Handover | None:
    """The hand-over of a personal link, whatever became of it; None for a forged one."""
    try:
        secret = _signer.unsign(token)
    except signing.BadSignature:
        return None
    return _known(Handover.Way.LINK, secret)


def _known(way: str, secret: str) -> Handover | None:
    """A secret does not say at which site it was made: here alone all of them are asked."""
    with system("handover", sites=Site.objects.values_list("pk", flat=True)):
        found = Handover.objects.select_related("participant__site__study", "visit", "site")
        return found.filter(way=way, digest=digest_of(way, secret)).first()


def at_site(pk: int, site_id: int) -> Handover:
    """One hand-over as it is now, in the context of its site."""
    with system("handover", sites=[site_id]):
        return Handover.objects.select_related("participant__site__study", "visit", "site").get(
            pk=pk
        )


def begin(*, handover: Handover, by: Actor) -> Handover:
    """The participant has opened the forms. A code is used up by this; a link can be resumed."""
    with acting(by):
        handover = _held(handover)
        used = handover.way == Handover.Way.TABLET and handover.begun_at
        if used or handover.state not in ("waiting", "begun"):
            raise Refused(_("This code or link is no longer valid."))
        handover.begun_at = handover.begun_at or timezone.now()
        if handover.way == Handover.Way.TABLET:
            handover.expires_at = timezone.now() + ANSWERING_LASTS
        handover.save(update_fields=["begun_at", "expires_at"])
    return handover


def knows_birth_date(*, handover: Handover, typed: str) -> bool:
    """The second fact of a link. A wrong one counts, and after some the link is closed."""
    kept = Identity.objects.get(participant_id=handover.participant_id)
    born = identity.decrypt(kept.birth_date).replace("-", "")
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", typed))
    if constant_time_compare(digits, born):
        return True
    with acting(Actor(label="visitor", source="patient"), "wrong birth date"):
        held = _held(handover)
        held.failures = min(held.failures + 1, MOST_FAILURES)
        held.save(update_fields=["failures"])
    return False


def _held(handover: Handover) -> Handover:
    return (
        Handover.objects.select_for_update(of=("self",))
        .select_related("participant__site__study", "visit", "site")
        .get(pk=handover.pk)
    )


def answer(
    *, handover: Handover, question: Question, typed: Any, declined: bool = False, by: Actor
) -> Saved:
    """Store one answer of the participant, or that they prefer not to answer."""
    _require_open(handover)
    code = question.item.code
    if declined and not question.may_decline:
        raise Refused(_("Please choose an answer."), code)
    return save_entry(
        entry=question.entry,
        changes={} if declined else {code: typed},
        missing={code: "refused"} if declined else {},
        strict=True,
        by=by,
    )


def _require_open(handover: Handover) -> None:
    if handover.state != "begun":
        raise Refused(_("This code or link is no longer valid."))
    if sentence := why_not(handover.visit):
        raise Refused(sentence)


def submit(*, handover: Handover, by: Actor) -> Handover:
    """The participant has answered everything: the code or link is used up."""
    _require_open(handover)
    if any(question.open for question in questions_of(handover)):
        raise Refused(_("Please answer the questions that are still open."))
    now = timezone.now()
    with acting(by):
        handover = _held(handover)
        if handover.state != "begun":
            raise Refused(_("This code or link is no longer valid."))
        handover.submitted_at = now
        handover.save(update_fields=["submitted_at"])
        # What else was handed over of the same forms has nothing left to ask.
        for other in Handover.objects.open().filter(visit_id=handover.visit_id):
            if set(other.instruments) & set(handover.instruments):
                other.revoked_at = now
                other.save(update_fields=["revoked_at"])
    return handover


def revoke(*, handover: Handover, by: Actor) -> Handover:
    """Take forms back; what was answered until now stays."""
    with acting(by):
        handover = _held(handover)
        if handover.submitted_at:
            raise Refused(_("The participant has sent these forms already."))
        handover.revoked_at = handover.revoked_at or timezone.now()
        handover.save(update_fields=["revoked_at"])
    return handover


def participant_of(handover: Handover) -> Actor:
    """In whose name the answers of a hand-over are written."""
    return Actor.patient(handover.participant_id)


def due_for(participant: Participant) -> list[Visit]:
    """The visits of a participant of which something could be handed over now."""
    visits = list(participant.visits.filter(voided_at=None, cancelled_at=None, missed_at=None))
    for visit in visits:
        visit.participant = participant
    return [visit for visit in visits if not why_not(visit) and answerable(visit)]


__all__ = [
    "answer",
    "at_site",
    "begin",
    "by_code",
    "by_token",
    "digest_of",
    "due_for",
    "hand_over",
    "knows_birth_date",
    "link_until",
    "participant_of",
    "revoke",
    "submit",
    "why_not",
]
