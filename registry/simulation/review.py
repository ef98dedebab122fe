"""What monitors ask and coordinators answer, what is verified against the source, who signs."""

from __future__ import annotations

from crf.models import Query
from crf.services import (
    answer_query,
    ask_query,
    close_query,
    sign,
    signature_digest,
    verify,
)
from registry.simulation import plausible
from registry.simulation.play import Play
from sites.access import Refused
from sites.roles import Role

ASKED, VERIFIED, ANSWERED, CLOSED, SIGNED = 0.03, 0.25, 0.55, 0.5, 0.15


def question(play: Play) -> None:
    """Queries and verifications; at a settled site every query is closed but one at the most."""
    done = play.participant.entries.filter(completed_at__isnull=False, voided_at=None)
    last = None
    for entry in done.order_by("id"):
        last = entry
        if play.case.chance(ASKED) and entry.answers:
            item = play.rng.choice(sorted(entry.answers))
            text = play.rng.choice(plausible.ASKED)
            ask_query(text=text, entry=entry, item=item, by=play.monitor)
        elif play.case.chance(VERIFIED):
            verify(entry=entry, by=play.monitor)
    queries = Query.objects.unresolved().filter(participant=play.participant)
    for asked in queries.select_related("entry").order_by("id"):
        query = asked
        if play.plan.settled or play.case.chance(ANSWERED):
            text = play.rng.choice(plausible.CONFIRMED)
            query = answer_query(query=query, text=text, by=play.coordinator)
        answered = query.state == Query.State.ANSWERED
        if answered and (play.plan.settled or play.case.chance(CLOSED)):
            text = play.rng.choice(plausible.SETTLED)
            close_query(query=query, text=text, by=play.monitor)
    if play.plan.leave_open and last:
        query = ask_query(text=plausible.ASKED[0], entry=last, by=play.monitor)
        answer_query(query=query, text=plausible.CONFIRMED[0], by=play.coordinator)


def sign_off(play: Play) -> None:
    """The investigator signs who is through, where the password is known."""
    signs = not play.plan.leave_open and (play.plan.settled or play.case.chance(SIGNED))
    if not (signs and play.participant.ended_on and play.plan.password):
        return
    try:
        sign(
            participant=play.participant,
            meaning="approved",
            shown_digest=signature_digest(play.participant),
            password=play.plan.password,
            signer=play.plan.staff.people[Role.INVESTIGATOR],
            by=play.plan.staff.by(Role.INVESTIGATOR),
        )
    except Refused as refused:  # a person of this installation, whose password is their own
        if refused.field != "password":
            raise
