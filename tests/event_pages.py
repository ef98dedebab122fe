"""What the tests of the pages of adverse events share: an event of a participant, and its pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from registry.models import Participant
from safety.models import AdverseEvent
from sites.models import Site, User
from tests.cast import actor, seeing
from tests.events import report

HTMX = {"HX-Request": "true"}


def at(name: str, *args: Any) -> str:
    return reverse(name, args=["uspp", *args])


@pytest.fixture
def day(jss: Site) -> dt.date:
    return jss.today() - dt.timedelta(days=3)


@pytest.fixture
def person(jss: Site, participant: Callable[..., Participant]) -> Participant:
    return participant(jss)


@pytest.fixture
def make(coordinator: User) -> Callable[..., AdverseEvent]:
    """Reports an event of a participant, as its site would."""

    def made(person: Participant, **told: Any) -> AdverseEvent:
        with seeing(person.site):
            return report(person, actor(coordinator, person.site), **told)

    return made


@pytest.fixture
def event(person: Participant, make: Callable[..., AdverseEvent]) -> AdverseEvent:
    return make(person)


def kept(event: AdverseEvent) -> AdverseEvent:
    with seeing(event.site):
        return AdverseEvent.objects.get(pk=event.pk)


def count(site: Site, model: Any = AdverseEvent) -> int:
    with seeing(site):
        return int(model.objects.count())


def decision(event: AdverseEvent, **told: Any) -> dict[str, Any]:
    return {"decision": "reviewed", "seen": kept(event).digest, "review": "", "note": "", **told}
