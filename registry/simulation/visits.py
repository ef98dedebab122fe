"""Visits: held in time or late, missed, or still to come; with their forms and the treatments."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Any

from crf.services import add_entry
from registry.models import Visit
from registry.services import allocate, end_study, enrol, mark_missed, record_visit, withdraw
from registry.services.schedule import out_of_window
from registry.simulation import events, plausible
from registry.simulation.forms import fill_in
from registry.simulation.play import UNSETTLED, Course, Play
from sites.roles import Role

BACKLOG = dt.timedelta(days=10)  # so long the forms of a visit may wait for the coordinator
LATE = 0.06
LOG_ROW = 0.02  # a row of a log that is not that of the treatments, at each visit


def take_in(play: Play) -> None:
    """Enrol, and allocate where the study has arms."""
    on = play.case.consented_on
    if play.plan.course not in UNSETTLED and play.case.chance(0.2):
        on = min(play.site.today(), on + dt.timedelta(days=play.rng.randint(1, 3)))
    enrol(participant=play.participant, on=on, by=play.coordinator)
    if play.protocol.arms:
        arm = play.rng.choice(play.protocol.arms).code
        investigator = play.plan.staff.by(Role.INVESTIGATOR)
        allocate(participant=play.participant, arm=arm, by=investigator)


def visit_by_visit(play: Play) -> None:
    """Every planned visit whose day has come, and the end of the study if they are over."""
    course, today = play.plan.course, play.site.today()
    visits: list[Any] = list(play.participant.visits.order_by("day"))
    leaves_at = play.rng.randint(1, max(1, len(visits) - 2))
    last_seen = play.case.consented_on
    for place, visit in enumerate(visits):
        visit.participant = play.participant
        if course in (Course.LOST, Course.WITHDRAWN) and place >= leaves_at:
            break
        on, why = _day(play, visit, last_seen)
        if on > today or _still_open(play, visit, place):
            continue
        over = place and visit.closes_on < today and course is not Course.SERIOUS
        if over and play.case.chance(0.03 + 0.01 * place):
            _miss(play, visit)
            continue
        record_visit(visit=visit, on=on, out_of_window_reason=why, by=play.coordinator)
        _hold(play, visit, place, on)
        last_seen = on
    if course is Course.WITHDRAWN:
        _withdraw(play, min(today, last_seen + dt.timedelta(days=3)))
    elif course is Course.LOST:
        for visit in visits:
            open_yet = not (visit.happened_on or visit.missed_at)
            if open_yet and visit.closes_on < today:
                _miss(play, visit)
        _end(play, "lost", today)
    elif all(visit.happened_on or visit.missed_at for visit in visits):
        _end(play, "completed", last_seen)


def _day(play: Play, visit: Any, last_seen: dt.date) -> tuple[dt.date, str]:
    """When somebody comes, and why outside the window if they do."""
    early, late = (visit.opens_on - visit.due_on).days, (visit.closes_on - visit.due_on).days
    on = visit.due_on + dt.timedelta(days=round(play.rng.triangular(early, late, 0)))
    if early and play.case.chance(LATE):
        on = visit.closes_on + dt.timedelta(days=play.rng.randint(1, 4))
    on = max(on, last_seen)
    return on, play.rng.choice(plausible.OUT_OF_WINDOW) if out_of_window(visit, on) else ""


def _still_open(play: Play, visit: Any, place: int) -> bool:
    """Whether nobody has recorded this visit yet, although its time has come."""
    today = play.site.today()
    if play.plan.course is Course.DUE:
        return bool(visit.due_on >= today)
    if play.plan.course is Course.OVERDUE:
        return bool(place and visit.closes_on >= today - BACKLOG)
    return False


def _miss(play: Play, visit: Visit) -> None:
    mark_missed(visit=visit, reason=play.rng.choice(plausible.MISSED), by=play.coordinator)


def _hold(play: Play, visit: Visit, place: int, on: dt.date) -> None:
    """The forms of one visit, as far as the coordinator has come with them."""
    relief = (1 - play.residue) * (1 - math.exp(-(visit.day or 0) / play.tau))
    serious = play.plan.course is Course.SERIOUS and place == 1
    reactions = events.happening(play.rng, serious=serious)
    play.case = replace(
        play.case,
        day=on,
        severity=play.start * (1 - relief),
        relief=relief,
        events=bool(reactions),
    )
    entries = list(visit.entries.filter(cancelled_at=None).order_by("id"))
    reached = len(entries)
    if not play.plan.settled and on > play.site.today() - BACKLOG:
        reached = play.rng.choices((len(entries), len(entries) // 2, 0), (60, 20, 20))[0]
    for number, entry in enumerate(entries[:reached]):
        entry.visit = visit
        fill_in(play, entry, done=reached == len(entries) or number + 1 < reached)
    if reached:
        _treat(play, place, on)
        for reaction in reactions:
            since = 0 if place == 0 else 3
            events.report(play, reaction, on, since)


def _treat(play: Play, place: int, on: dt.date) -> None:
    """The rows of the participant's logs that belong to this time."""
    for log in play.protocol.logs:
        days = [on] if place and play.case.chance(LOG_ROW) else []
        if log.instrument == play.protocol.safety.procedure:
            days = [on] if place == 0 or play.case.chance(0.8) else []
            days += [on + dt.timedelta(days=3)] if play.case.chance(0.3) else []
        for day in days:
            if day <= play.site.today():
                play.case = replace(play.case, day=day)
                entry = add_entry(
                    participant=play.participant, instrument=log.instrument, by=play.coordinator
                )
                fill_in(play, entry, done=True)


def _withdraw(play: Play, on: dt.date) -> None:
    taken_by = str(play.plan.staff.people[Role.COORDINATOR])
    withdraw(
        participant=play.participant,
        scope="visits",
        on=on,
        taken_by=taken_by,
        by=play.coordinator,
    )
    _end(play, "withdrawn", on)


def _end(play: Play, reason: str, on: dt.date) -> None:
    known = [each.code for each in play.protocol.end_of_study.reasons]
    end_study(
        participant=play.participant,
        on=on,
        end_reason=reason if reason in known else known[-1],
        by=play.coordinator,
    )
