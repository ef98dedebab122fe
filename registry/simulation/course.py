"""One participant's way from consent to where they stand today, act by act."""

from __future__ import annotations

from registry.models import Participant
from registry.services import void_participant
from registry.simulation.arrival import give_consent, go_through_screening, prospect
from registry.simulation.play import Course, Plan, begin
from registry.simulation.review import question, sign_off
from registry.simulation.visits import take_in, visit_by_visit


def run(plan: Plan) -> Participant:
    """Play a plan; the participant as the last act left them."""
    play = begin(plan)
    somebody = prospect(play)
    give_consent(play, somebody)
    if plan.course is Course.CONSENTED:
        return play.participant
    go_through_screening(play, somebody)
    if plan.course not in (Course.FAILED, Course.SCREENED):
        take_in(play)
        visit_by_visit(play)
    if plan.course is Course.VOID:
        void_participant(
            participant=play.participant, reason="같은 대상자를 두 번 등록함", by=play.coordinator
        )
        return play.participant
    question(play)
    sign_off(play)
    return play.participant
