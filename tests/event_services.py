"""What the tests of the services of adverse events share: a site at work, and its reviewer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry.models import Participant
from safety.models import AdverseEvent, AEReview
from safety.queue import with_state
from safety.services import (
    review_event,
)
from sites.audit import Actor
from sites.models import Site, User
from tests.cast import actor, seeing


@pytest.fixture
def site(jss: Site) -> Iterator[Site]:
    with seeing(jss):
        yield jss


@pytest.fixture
def person(site: Site, participant: Callable[..., Participant]) -> Participant:
    return participant(site)


@pytest.fixture
def enters(coordinator: User, site: Site) -> Actor:
    return actor(coordinator, site)


@pytest.fixture
def reviews(monitor: User, site: Site) -> Actor:
    return actor(monitor, site)


@pytest.fixture
def day(site: Site) -> dt.date:
    return site.today() - dt.timedelta(days=3)


def decide(event: AdverseEvent, by: Actor, decision: str = "reviewed", **told: Any) -> AEReview:
    last = event.reviews.last()
    seen: dict[str, Any] = {"seen": event.digest, "seen_review": last.pk if last else None}
    return review_event(event=event, decision=decision, by=by, **{**seen, **told})


def state(event: AdverseEvent) -> str:
    return str(with_state(AdverseEvent.objects.filter(pk=event.pk)).get().state)
