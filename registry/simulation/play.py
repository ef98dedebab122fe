"""What is planned for one participant, and where they stand while it is played."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from enum import StrEnum

from crf.definitions import definition_of
from crf.instrument import Definition
from registry.models import Participant, ProtocolVersion
from registry.protocol import Protocol
from registry.services import protocol_of
from registry.simulation.plausible import Case
from registry.simulation.staff import Staff
from sites.audit import Actor
from sites.models import Site
from sites.roles import Role


class Course(StrEnum):
    """What becomes of somebody who consents."""

    REGULAR = "regular"
    FAILED = "failed"
    CONSENTED = "consented"
    SCREENED = "screened"
    DUE = "due"  # a visit is due today
    OVERDUE = "overdue"
    LOST = "lost"
    WITHDRAWN = "withdrawn"
    SERIOUS = "serious"
    VOID = "void"


UNSETTLED = (Course.CONSENTED, Course.SCREENED, Course.DUE, Course.OVERDUE)


@dataclass(frozen=True)
class Plan:
    """Who comes, where, when, and what becomes of it; `lean` is how this site's people feel."""

    seed: str
    site: Site
    version: ProtocolVersion
    staff: Staff
    course: Course
    consented_on: dt.date
    lean: float = 0.0
    settled: bool = False
    password: str = ""
    leave_open: bool = False  # at a settled site: the one who is not signed yet


@dataclass
class Play:
    """One participant in the hands of a site's people."""

    plan: Plan
    rng: random.Random
    case: Case
    residue: float  # the share of it that stays
    tau: float  # days in which most of the rest goes
    start: float = 0.7  # severity at the first visit, of whoever comes
    participant: Participant = field(init=False)

    @property
    def site(self) -> Site:
        return self.plan.site

    @property
    def protocol(self) -> Protocol:
        return protocol_of(self.plan.version)

    @property
    def definition(self) -> Definition:
        return definition_of(self.plan.version.pk)

    @property
    def coordinator(self) -> Actor:
        return self.plan.staff.by(Role.COORDINATOR)

    @property
    def monitor(self) -> Actor:
        return self.plan.staff.by(Role.MONITOR)


def begin(plan: Plan) -> Play:
    """Draw how much of it will go, and how fast."""
    rng = random.Random(plan.seed)
    residue = between(0.1, rng.gauss(0.45 - plan.lean, 0.18), 1.0)
    tau = between(6, rng.gauss(16, 5), 30)
    cohort = protocol_of(plan.version).cohort
    case = Case(
        rng=rng,
        seed=plan.seed,
        cohort=rng.choice(cohort.options).code if cohort else "",
        day=plan.consented_on,
        consented_on=plan.consented_on,
        severity=0.7,
    )
    return Play(plan, rng, case, residue, tau)


def between(low: float, value: float, high: float) -> float:
    return min(high, max(low, value))
