"""The queue of adverse events, and the page on which others read one and decide about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from crf.models import Query
from crf.services import add_entry, ask_query, save_entry
from registry.models import Participant
from safety.models import AdverseEvent, AEReview
from safety.services import change_event, review_event
from sites.models import AccessLog, Site, User
from tests import event_pages as shared
from tests.cast import actor, seeing
from tests.event_pages import HTMX, at, count, decision
from tests.events import SERIOUS, facts

day, person, make, event = shared.day, shared.person, shared.make, shared.event

LIST_QUERIES, PAGE_QUERIES = 12, 24


# The queue ---------------------------------------------------------------------------------------


def listed(client: Client, **chosen: str) -> list[int]:
    page = client.get(at("events"), chosen)
    assert page.status_code == 200
    return [row.event.pk for row in page.context["rows"]]


@pytest.fixture
def five(
    jss: Site,
    djj: Site,
    person: Participant,
    participant: Callable[..., Participant],
    make: Callable[..., AdverseEvent],
    coordinator: User,
    monitor: User,
) -> dict[str, AdverseEvent]:
    other = participant(djj)
    made = {
        "mild": make(person),
        "moderate": make(person, grade=2, causality="unlikely"),
        "severe": make(person, term="", grade=3),
        "serious": make(other, **SERIOUS),
        "reviewed": make(person, grade=2),
    }
    with seeing(jss):
        for name in ("reviewed", "moderate"):
            review_event(
                event=made[name],
                decision="reviewed",
                seen=made[name].digest,
                by=actor(monitor, jss),
            )
        change_event(
            event=made["moderate"],
            facts=facts(jss.today() - dt.timedelta(days=3), grade=2, causality="possible"),
            reason="new facts",
            by=actor(coordinator, jss),
        )
        ask_query(adverse_event=made["mild"], text="언제?", by=actor(monitor, jss))
    return made


QUEUE: dict[str, tuple[dict[str, str], list[str]]] = {
    "by default what needs review": ({}, ["serious", "severe", "moderate", "mild"]),
    "new": ({"state": "new"}, ["serious", "severe", "mild"]),
    "changed": ({"state": "changed"}, ["moderate"]),
    "reviewed": ({"state": "reviewed"}, ["reviewed"]),
    "void": ({"state": "void"}, []),
    "all": ({"state": "all"}, ["serious", "severe", "moderate", "reviewed", "mild"]),
    "a site": ({"site": "DJJ"}, ["serious"]),
    "a grade": ({"state": "all", "grade": "2"}, ["moderate", "reviewed"]),
    "a grade at least": ({"grade": "3+"}, ["serious", "severe"]),
    "serious": ({"serious": "yes"}, ["serious"]),
    "not serious": ({"serious": "no", "grade": "3+"}, ["severe"]),
    "causality": ({"causality": "possible"}, ["moderate"]),
    "open query": ({"query": "open"}, ["mild"]),
    "no query": ({"query": "none", "state": "new"}, ["serious", "severe"]),
    "nonsense": (
        {"site": "XXX", "grade": "9", "state": "?"},
        ["serious", "severe", "moderate", "mild"],
    ),
}


@pytest.mark.parametrize("case", QUEUE)
def test_the_queue_is_what_the_url_says(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent], case: str
) -> None:
    chosen, expected = QUEUE[case]
    names = {event.pk: name for name, event in five.items()}
    found = [names[pk] for pk in listed(as_(monitor), **chosen)]
    if case == "nonsense":
        assert set(found) >= set(expected)
    else:
        assert found == expected


def test_a_participants_events_by_number(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent]
) -> None:
    number = five["serious"].participant.number.lower()
    assert listed(as_(monitor), participant=number) == [five["serious"].pk]


def test_each_view_says_how_many(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent]
) -> None:
    views = as_(monitor).get(at("events")).context["views"]
    assert [view["count"] for view in views] == [4, 1, 2, None]
    assert [view["current"] for view in views] == [True, False, False, False]


def test_a_site_sees_its_own_list_and_no_other(
    as_: Callable[..., Client],
    coordinator: User,
    coordinator2: User,
    five: dict[str, AdverseEvent],
) -> None:
    assert five["serious"].pk not in listed(as_(coordinator))
    assert len(listed(as_(coordinator))) == 4
    # A coordinator there who is monitor here: the queue is of the site that is monitored.
    assert five["serious"].pk not in listed(as_(coordinator2))
    assert five["serious"].pk in listed(as_(coordinator2), state="all")


def test_the_queue_costs_the_same_for_many_events(
    as_: Callable[..., Client],
    monitor: User,
    person: Participant,
    make: Callable[..., AdverseEvent],
) -> None:
    client = as_(monitor)
    make(person)
    client.get(at("events"))
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(at("events"))
    for _n in range(5):
        make(person, **SERIOUS)
    with CaptureQueriesContext(connection) as many:
        client.get(at("events"))
    assert len(many) == len(one) <= LIST_QUERIES


def test_the_queue_logs_whose_data_it_shows(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent], djj: Site
) -> None:
    as_(monitor).get(at("events"), {"site": "DJJ"})
    with seeing(djj, five["mild"].site):
        seen = AccessLog.objects.filter(route="events").values_list("participant_id", flat=True)
        assert set(seen) == {five["serious"].participant_id}


# Deciding ----------------------------------------------------------------------------------------


def test_a_decision_leads_back_to_the_queue_at_the_next_row(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent]
) -> None:
    client = as_(monitor)
    rows = client.get(at("events"), {"grade": "3+"}).context["rows"]
    page = client.get(rows[0].link)
    told = decision(rows[0].event, queue=page.context["queue"], next=page.context["next"])
    answer = client.post(at("event_review", rows[0].event.pk), told)
    assert answer.headers["Location"] == f"{at('events')}?grade=3%2B#event-{rows[1].event.pk}-link"
    assert listed(client, grade="3+") == [five["severe"].pk]


def test_a_decision_in_the_pane_gives_back_the_row_as_it_is_now(
    as_: Callable[..., Client], monitor: User, event: AdverseEvent
) -> None:
    client = as_(monitor)
    pane = client.get(at("event", event.pk), headers=HTMX).content.decode()
    assert "<html" not in pane
    answer = client.post(at("event_review", event.pk), decision(event), headers=HTMX)
    html = answer.content.decode()
    assert f'<tr id="event-{event.pk}" hx-swap-oob="true"' in html
    assert f'data-decided="{event.pk}"' in html
    assert "<form" not in html


@pytest.mark.parametrize("told", ["duplicate", "not_an_event"])
def test_a_note_is_asked_for_and_nothing_is_recorded(
    as_: Callable[..., Client], monitor: User, event: AdverseEvent, told: str
) -> None:
    client = as_(monitor)
    for headers in ({}, HTMX):
        answer = client.post(
            at("event_review", event.pk), decision(event, decision=told), headers=headers
        )
        assert (answer.status_code, set(answer.context["review"].errors)) == (422, {"note"})
    assert count(event.site, AEReview) == 0
    assert (
        client.post(
            at("event_review", event.pk), decision(event, decision=told, note="2번과 같음")
        ).status_code
        == 302
    )
    assert count(event.site, AEReview) == 1


def test_the_second_of_two_monitors_is_told(
    as_: Callable[..., Client], monitor: User, safety: User, event: AdverseEvent
) -> None:
    told = decision(event)
    as_(monitor).post(at("event_review", event.pk), told)
    for headers in ({}, HTMX):
        answer = as_(safety).post(at("event_review", event.pk), told, headers=headers)
        assert answer.status_code == 409
        assert "monitor" in answer.context["sentence"]
    assert count(event.site, AEReview) == 1


def test_a_change_since_the_review_is_shown_by_label(
    as_: Callable[..., Client],
    monitor: User,
    coordinator: User,
    event: AdverseEvent,
    day: dt.date,
) -> None:
    client = as_(monitor)
    stale = decision(event)
    client.post(at("event_review", event.pk), stale)
    with seeing(event.site):
        by = actor(coordinator, event.site)
        change_event(event=event, facts=facts(day, grade=2), reason="seen", by=by)
    page = client.get(at("event", event.pk))
    assert [each.name for each in page.context["changed"].values()] == ["grade"]
    last = page.context["last"].pk
    answer = client.post(at("event_review", event.pk), stale | {"review": last})
    assert answer.status_code == 409
    assert (
        client.post(at("event_review", event.pk), decision(event, review=last)).status_code == 302
    )


def test_the_deadline_of_a_serious_event_is_shown(
    as_: Callable[..., Client],
    monitor: User,
    person: Participant,
    make: Callable[..., AdverseEvent],
) -> None:
    event = make(person, **SERIOUS)
    page = as_(monitor).get(at("event", event.pk))
    assert page.context["due"].report_by == event.aware_on + dt.timedelta(days=15)
    assert page.context["days_left"] == 12
    assert str(page.context["due"].report_by) in page.content.decode()


def test_what_happened_around_the_onset(
    as_: Callable[..., Client], monitor: User, coordinator: User, event: AdverseEvent, day: dt.date
) -> None:
    with seeing(event.site):
        by = actor(coordinator, event.site)
        entry = add_entry(participant=event.participant, instrument="procedure", by=by)
        on = day - dt.timedelta(days=2)
        save_entry(entry=entry, changes={"performed_on": on.isoformat()}, by=by)
    moments = as_(monitor).get(at("event", event.pk)).context["moments"]
    assert (str(on), "-2") in [(each.day, each.offset) for each in moments]
    assert [each.day for each in moments] == sorted(each.day for each in moments)


def test_the_page_costs_the_same_for_many_queries(
    as_: Callable[..., Client], monitor: User, event: AdverseEvent
) -> None:
    client = as_(monitor)

    def ask() -> None:
        with seeing(event.site):
            ask_query(adverse_event=event, text="언제?", by=actor(monitor, event.site))

    ask()
    client.get(at("event", event.pk))
    with CaptureQueriesContext(connection) as one:
        client.get(at("event", event.pk))
    for _n in range(4):
        ask()
    with CaptureQueriesContext(connection) as many:
        client.get(at("event", event.pk))
    assert len(many) == len(one) <= PAGE_QUERIES


def test_asking_the_site(as_: Callable[..., Client], monitor: User, event: AdverseEvent) -> None:
    client, url = as_(monitor), at("event_ask", event.pk)
    assert client.post(url, {"item": "", "text": " "}).status_code == 422
    answer = client.post(url, {"item": "onset", "text": "며칠입니까?"})
    assert answer.headers["Location"] == f"{at('event', event.pk)}#queries"
    with seeing(event.site):
        asked = Query.objects.get()
    assert (asked.adverse_event_id, asked.item, asked.text) == (event.pk, "onset", "며칠입니까?")
    fragment = client.post(url, {"item": "", "text": "그리고?"}, headers=HTMX)
    assert (fragment.status_code, fragment.context["asked"]) == (200, True)


def test_the_history_page(
    as_: Callable[..., Client], auditor: User, monitor: User, event: AdverseEvent
) -> None:
    as_(monitor).post(at("event_review", event.pk), decision(event))
    page = as_(auditor).get(at("event_history", event.pk))
    changes = page.context["changes"]
    assert changes[0].who == "monitor"
    assert "UTC+0900" in page.content.decode()
