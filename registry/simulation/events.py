"""Adverse events at realistic rates: mild ones where the needle was, hardly ever a serious one."""

from __future__ import annotations

import datetime as dt
import random

from registry.simulation import plausible
from registry.simulation.plausible import Reaction
from registry.simulation.play import Play
from safety import causality, ctcae
from safety.services import Facts, report_event, review_event

AT_A_VISIT = 0.06
RECOVERED, RECOVERING = "1", "2"
NOT_APPLICABLE = "9"


def happening(rng: random.Random, *, serious: bool) -> list[Reaction]:
    """What happened since the last visit, mostly nothing."""
    if serious:
        return [rng.choice(plausible.SERIOUS)]
    if rng.random() >= AT_A_VISIT:
        return []
    weights = [each.weight for each in plausible.REACTIONS]
    return rng.choices(plausible.REACTIONS, weights)


def report(play: Play, reaction: Reaction, on: dt.date, since: int) -> None:
    """Report at a visit what began up to `since` days before; half is reviewed already."""
    rng, participant = play.rng, play.participant
    safety = play.protocol.safety
    onset = max(play.case.consented_on, on - dt.timedelta(days=rng.randint(0, since)))
    ended = onset + dt.timedelta(days=rng.randint(*reaction.days))
    over = ended <= play.site.today()
    term = next((each for each in ctcae.terms(safety.ctcae) if each.name == reaction.term), None)
    grades = [g for g in reaction.grades if term is None or g in term.grades]
    answers = {
        "data": "sufficient",
        "time": reaction.time,
        "alt": reaction.alt,
        "dech": "not_applicable" if safety.causality.single_dose else "unknown",
        "definitive": reaction.definitive,
        "rech": "not_done",
    }
    suggested = causality.suggest(**answers, single_dose=safety.causality.single_dose)
    event = report_event(
        participant=participant,
        facts=Facts(
            symptom=reaction.symptom,
            onset=onset.isoformat(),
            ended=ended.isoformat() if over else "",
            term=term.code if term else "",
            grade=rng.choice(grades or reaction.grades),
            causality=suggested.category,
            causality_answers=answers,
            outcome=RECOVERED if over else RECOVERING,
            action=NOT_APPLICABLE,
            aware_on=on,
            serious=bool(reaction.seriousness),
            seriousness=reaction.seriousness,
            treatment=reaction.treatment,
            narrative=reaction.narrative,
        ),
        by=play.coordinator,
    )
    if rng.random() < 0.5:
        review_event(event=event, decision="reviewed", seen=event.digest, by=play.monitor)
