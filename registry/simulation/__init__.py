"""Simulated participants: plausible, the same for the same seed, and made by the services alone.

Nobody here writes a row: each consent, visit, answer, query and signature goes through the function
that a page would call, in the name of the person who would do it. Nothing depends on the clock but
the site's today, from which the days are counted back. `history_request` says which simulation a
row of the trail comes from.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from registry.models import ProtocolVersion
from registry.protocol import Protocol
from registry.services import prescreen, protocol_of, version_at
from registry.simulation.course import run
from registry.simulation.play import UNSETTLED, Course, Plan
from registry.simulation.staff import Staff, staff
from sites.audit import Actor
from sites.models import Site, Study
from sites.roles import Role

RECRUITED = 90  # days over which those who are through came in
# Share of participants by what becomes of them; the others go their regular way.
SHARES = {
    Course.FAILED: 0.08,
    Course.CONSENTED: 0.017,
    Course.SCREENED: 0.017,
    Course.DUE: 0.034,
    Course.OVERDUE: 0.034,
    Course.LOST: 0.034,
    Course.WITHDRAWN: 0.017,
    Course.SERIOUS: 0.017,
    Course.VOID: 0.017,
}


def simulate(
    *,
    study: Study,
    sites: Sequence[Site],
    participants: int,
    seed: int,
    settled: Collection[str] = (),
    password: str = "",
    by: Actor,
) -> Counter[str]:
    """Make participants at these sites; counts them by their state.

    At the sites whose codes are `settled` everybody is through and little stands in the way of a
    lock. With `password`, that of the demonstration accounts, investigators sign.
    """
    rng = random.Random(seed)
    people = staff(study, sites, password=password, request=f"simulate {seed}", by=by)
    leans = {site.pk: rng.gauss(0, 0.05) for site in sites}
    plans = []
    for number, course in enumerate(_courses(participants, rng)):
        site = _site(number, course, sites, settled, rng)
        version = version_at(site)
        plans.append(
            Plan(
                seed=f"{seed}:{number}",
                site=site,
                version=version,
                staff=people[site.pk],
                course=course,
                consented_on=_consented_on(site, version, course, site.code in settled, rng),
                lean=leans[site.pk],
                settled=site.code in settled,
                password=password,
            )
        )
    plans.sort(key=lambda plan: plan.consented_on)
    plans = _leave_something(plans)
    for site in sites:
        _prescreen(site, people[site.pk], rng)
    return Counter(run(plan).state for plan in plans)


def try_out(*, site: Site, seed: int, by: Actor) -> None:
    """One who passed screening today and is not enrolled yet: for a newcomer to try."""
    people = staff(site.study, [site], password="", request=f"simulate {seed}", by=by)
    run(
        Plan(
            seed=f"{seed}:{site.code}",
            site=site,
            version=version_at(site),
            staff=people[site.pk],
            course=Course.SCREENED,
            consented_on=site.today(),
        )
    )


def _courses(participants: int, rng: random.Random) -> list[Course]:
    courses = [
        course for course, share in SHARES.items() for _n in range(round(participants * share))
    ]
    courses += [Course.REGULAR] * (participants - len(courses))
    rng.shuffle(courses)
    return courses


def _site(
    number: int,
    course: Course,
    sites: Sequence[Site],
    settled: Collection[str],
    rng: random.Random,
) -> Site:
    """Each site gets somebody; after that the first recruits most."""
    among = [site for site in sites if course not in UNSETTLED or site.code not in settled]
    among = among or list(sites)
    if number < len(sites):
        return sites[number] if sites[number] in among else rng.choice(among)
    return rng.choices(among, [3 / (place + 3) for place in range(len(among))])[0]


def _consented_on(
    site: Site, version: ProtocolVersion, course: Course, settled: bool, rng: random.Random
) -> dt.date:
    protocol, today = protocol_of(version), site.today()
    last = max(visit.closes for visit in protocol.visits)
    planned = [visit for visit in protocol.visits if visit.day > 0] or list(protocol.visits)
    match course:
        case Course.CONSENTED | Course.SCREENED:
            ago = rng.randint(0, 2)
        case Course.DUE:
            ago = rng.choice(planned).day
        case Course.OVERDUE:
            ago = rng.choice(planned).closes + rng.randint(1, 6)
        case Course.LOST:
            ago = rng.randint(last + 1, last + RECRUITED)
        case Course.WITHDRAWN | Course.VOID | Course.SERIOUS:
            ago = rng.randint(last // 2, last + RECRUITED)
        case _:
            ago = rng.randint(last + 7 if settled else 0, last + RECRUITED)
    return min(today, max(_first_day(site, protocol, version), today - dt.timedelta(days=ago)))


def _first_day(site: Site, protocol: Protocol, version: ProtocolVersion) -> dt.date:
    """Nobody consents before the site may work, nor with a form that was not in force."""
    approved = site.approvals.get(version=version).approved_on
    return max([approved, *(c.versions[0].valid_from for c in protocol.consents if c.required)])


def _leave_something(plans: list[Plan]) -> list[Plan]:
    """The last regular participant of each settled site is the one who is not signed yet."""
    last = {plan.site.pk: n for n, plan in enumerate(plans) if plan.course is Course.REGULAR}
    return [
        replace(plan, leave_open=plan.settled and last.get(plan.site.pk) == n)
        for n, plan in enumerate(plans)
    ]


def _prescreen(site: Site, people: Staff, rng: random.Random) -> None:
    """Those who were approached and did not consent: a day and a reason each, nothing else."""
    reasons = [each.code for each in protocol_of(version_at(site)).prescreen_reasons]
    for _n in range(rng.randint(2, 7)):
        on = site.today() - dt.timedelta(days=rng.randint(0, RECRUITED))
        prescreen(site=site, on=on, reason=rng.choice(reasons), by=people.by(Role.COORDINATOR))
