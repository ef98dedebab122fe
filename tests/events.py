"""Adverse events as a site reports them: through the service, or typed into the form."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from registry.models import Participant
from safety.models import AdverseEvent
from safety.services import Facts, report_event
from sites.audit import Actor

BRUISING, PNEUMOTHORAX = "10006504", "10035759"  # CTCAE 5.0
SURE = {
    "data": "sufficient",
    "time": "plausible",
    "alt": "excluded",
    "dech": "not_applicable",
    "definitive": "Y",
    "rech": "not_done",
}


def facts(day: dt.date, **told: Any) -> Facts:
    """A mild bruise that began and ended on one day; `told` replaces what differs."""
    mild = Facts(
        symptom="목 주사 부위 멍",
        onset=day.isoformat(),
        ended=day.isoformat(),
        term=BRUISING,
        grade=1,
        causality="probable",
        causality_answers=SURE,
        serious=False,
        expected=True,
        outcome="1",
        action="4",
        aware_on=day,
    )
    return replace(mild, **told)


SERIOUS: dict[str, Any] = {
    "symptom": "호흡 곤란, 기흉",
    "term": PNEUMOTHORAX,
    "grade": 3,
    "serious": True,
    "seriousness": ["hospitalisation"],
    "outcome": "2",
    "ended": "",
}


def report(person: Participant, by: Actor, *, days_ago: int = 3, **told: Any) -> AdverseEvent:
    day = person.site.today() - dt.timedelta(days=days_ago)
    return report_event(participant=person, facts=facts(day, **told), by=by)


def typed(day: dt.date, **told: Any) -> dict[str, Any]:
    """What a browser would post for the same event."""
    year, month, on = day.isoformat().split("-")
    event: dict[str, Any] = {
        "symptom": "목 주사 부위 멍",
        "term": BRUISING,
        "grade": "1",
        "causality": "probable",
        "serious": "no",
        "expected": "yes",
        "outcome": "1",
        "action": "4",
        **{f"umc_{name}": answer for name, answer in SURE.items()},
    }
    for name in ("onset", "ended", "aware_on"):
        event |= {f"{name}_year": year, f"{name}_month": month, f"{name}_day": on}
    return event | told
