"""Somebody comes, consents and is screened: eligible or not, as the plan wants it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from crf.models import Entry
from crf.services import add_entry, entry_facts
from registry import identity
from registry.models import Participant
from registry.services import ConsentGiven, NewParticipant, assess, consent, screen
from registry.simulation import plausible
from registry.simulation.answers import Filled, fill
from registry.simulation.forms import store
from registry.simulation.play import Course, Play, between
from sites.roles import Role

TRIES = 500
SHARES_DATA = 0.7


@dataclass(frozen=True)
class Prospect:
    """A person, and the screening form as it will be filled in for them."""

    person: NewParticipant
    screening: Filled


def prospect(play: Play) -> Prospect:
    """Somebody whose screening form, filled in honestly, leads to the wanted outcome.

    Whoever shall fail fails for a reason that the form knows, whichever it is.
    """
    fails = play.plan.course is Course.FAILED
    instrument = play.definition.instrument(play.protocol.screening)
    if play.protocol.cohort:
        play.case.given = {play.protocol.cohort.item: play.case.cohort}
    for _try in range(TRIES):
        play.start = between(0.2, play.rng.gauss(0.7 + play.plan.lean, 0.12), 0.97)
        play.case.severity = play.start
        sex = play.rng.choice(("female", "female", "male"))
        born = _born(play)
        somebody = Participant(
            site=play.site,
            version=play.plan.version,
            sex=sex,
            birth_year=born.year,
            age=identity.age_on(born, play.case.consented_on),
            consented_on=play.case.consented_on,
        )
        facts = entry_facts(Entry(participant=somebody, site=play.site))
        filled = fill(instrument, facts, play.case)
        verdict = assess(play.protocol, filled.answers, somebody)
        if (False in verdict.values()) if fails else all(verdict.values()):
            person = NewParticipant(
                name=plausible.name(play.rng, sex),
                birth_date=born,
                sex=sex,
                chart_number=f"{play.rng.randrange(10**8):08}",
                contact=f"010-0000-{play.rng.randrange(10**4):04}",
            )
            return Prospect(person, filled)
    wanted = "fail screening" if fails else "eligible"
    raise RuntimeError(f"No answers to “{instrument.code}” were found that make somebody {wanted}.")


def _born(play: Play) -> dt.date:
    age = play.rng.triangular(18.5, 74, 50)
    return play.case.consented_on - dt.timedelta(days=round(age * 365.25))


def give_consent(play: Play, somebody: Prospect) -> None:
    day = play.case.consented_on
    consents = [
        ConsentGiven(
            kind=definition.kind,
            form_version=form.version,
            given=definition.required or play.case.chance(SHARES_DATA),
            signed_on=day,
            explained_by=str(play.plan.staff.people[Role.COORDINATOR]),
        )
        for definition in play.protocol.consents
        if (form := definition.valid_on(day))
    ]
    consented = consent(
        site=play.site, person=somebody.person, consents=consents, by=play.coordinator
    )
    play.participant = consented.participant


def go_through_screening(play: Play, somebody: Prospect) -> None:
    entry = add_entry(
        participant=play.participant, instrument=play.protocol.screening, by=play.coordinator
    )
    answers = store(play, entry, somebody.screening)
    play.case.given |= answers
    verdict = assess(play.protocol, answers, play.participant)
    cohort = play.protocol.cohort
    screen(
        participant=play.participant,
        failed=[code for code, allows in verdict.items() if allows is False],
        cohort=str(answers.get(cohort.item, "")) if cohort else "",
        by=play.coordinator,
    )
