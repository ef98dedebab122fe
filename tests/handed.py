"""Hand-overs for tests: a visit that a participant can answer, and a browser of their own."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.test import Client

from crf.models import Entry, Handover
from crf.services import handovers
from registry.models import Participant, Visit
from sites.audit import Actor
from sites.models import Site
from tests.cast import seeing

BORN = dt.date(1980, 5, 5)  # the birth date of `story.play`
FOLLOW_UP = ["nrs", "ndi", "eq5d5l", "satisfaction"]


def visit_of(person: Participant, code: str = "w4") -> Visit:
    """A visit as the services want it; `days_ago=30` makes week 4 due."""
    with seeing(person.site):
        visit = person.visits.valid().select_related("participant__site__study").get(code=code)
        visit.site = visit.participant.site
        return visit


def give(visit: Visit, by: Actor, *instruments: str, way: str = "tablet") -> tuple[Handover, str]:
    with seeing(visit.participant.site):
        return handovers.hand_over(
            visit=visit, instruments=list(instruments or ["nrs"]), way=way, by=by
        )


def with_code(secret: str) -> Client:
    """A tablet on which the code was typed."""
    tablet = english()
    answer = tablet.post("/p/", {"code": secret})
    assert answer.status_code == 302, answer.content.decode()
    return tablet


def with_link(token: str, born: str = "19800505") -> Client:
    """A phone on which the link was opened and the birth date given."""
    phone = english()
    assert phone.get(f"/p/link/{token}/").status_code == 302
    assert phone.post("/p/birth/", {"born": born}).status_code == 302
    return phone


def english() -> Client:
    client = Client()
    client.cookies["language"] = "en"
    return client


def entry_of(visit: Visit, instrument: str = "nrs") -> Entry:
    with seeing(visit.site):
        found: Entry = visit.entries.select_related("participant", "visit", "site").get(
            instrument=instrument, voided_at=None
        )
        return found


def again(handover: Handover, site: Site) -> Handover:
    with seeing(site):
        return Handover.objects.get(pk=handover.pk)


def text(response: Any) -> str:
    return str(response.content.decode())
