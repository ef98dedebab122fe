"""Reviews of adverse events, the order of the queue, the report clock, cautions, history."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction

from crf.models import Lock
from crf.services import add_entry, save_entry
from registry.models import Participant
from safety.cautions import cautions, treatments
from safety.deadlines import Rules
from safety.display import LABELS
from safety.history import changes_of
from safety.models import AdverseEvent, AEReview
from safety.queue import CHANGED, NEW, REVIEWED, in_order, with_clock, with_state
from safety.services import (
    before,
    change_event,
    deadline_of,
    report_event,
    rules_at,
)
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site, User
from sites.roles import Role
from tests import event_services as shared
from tests.cast import actor, seeing
from tests.event_services import decide, state
from tests.events import PNEUMOTHORAX, SERIOUS, facts, report

site, person, day = shared.site, shared.person, shared.day
enters, reviews = shared.enters, shared.reviews

# Reviewing ---------------------------------------------------------------------------------------


def test_a_review_holds_until_the_site_changes_the_event(
    person: Participant, enters: Actor, reviews: Actor, day: dt.date
) -> None:
    event = report(person, enters)
    assert state(event) == NEW
    review = decide(event, reviews)
    assert (review.digest, review.reviewed_by_id) == (event.digest, reviews.user_id)
    assert state(event) == REVIEWED
    event = change_event(event=event, facts=facts(day, grade=2), reason="seen", by=enters)
    assert state(event) == CHANGED
    decide(event, reviews)
    assert state(event) == REVIEWED
    assert AdverseEvent.history.count() == 2  # reviewing never touches the event


def test_a_review_at_a_locked_site_is_kept_and_counted_and_the_event_stays_as_it_is(
    person: Participant, enters: Actor, reviews: Actor, datamanager: User
) -> None:
    event = report(person, enters)
    digest = event.digest
    with acting(actor(datamanager, person.site)):
        Lock.objects.create(site=person.site, locked_by=datamanager)
    decide(event, reviews)
    assert state(event) == REVIEWED
    event.refresh_from_db()
    assert event.digest == digest
    with acting(enters), pytest.raises(DatabaseError, match="locked"), transaction.atomic():
        AdverseEvent.objects.filter(pk=event.pk).update(grade=2)


@pytest.mark.parametrize("decision", ["duplicate", "not_an_event"])
def test_other_decisions_need_a_note(
    person: Participant, enters: Actor, reviews: Actor, decision: str
) -> None:
    event = report(person, enters)
    with pytest.raises(Refused) as refused:
        decide(event, reviews, decision)
    assert refused.value.field == "note"
    assert decide(event, reviews, decision, note="same as 2").decision == decision


def test_an_unknown_decision_is_refused(person: Participant, enters: Actor, reviews: Actor) -> None:
    with pytest.raises(Refused):
        decide(report(person, enters), reviews, "later")


def test_a_decision_about_what_changed_meanwhile_is_not_recorded(
    person: Participant, enters: Actor, reviews: Actor, day: dt.date
) -> None:
    event = report(person, enters)
    seen = event.digest
    change_event(event=event, facts=facts(day, grade=2), reason="seen", by=enters)
    with pytest.raises(Refused):
        decide(event, reviews, seen=seen)
    assert not AEReview.objects.exists()


def test_the_second_of_two_monitors_is_told_who_was_first(
    person: Participant, enters: Actor, reviews: Actor, safety: User
) -> None:
    event = report(person, enters)
    decide(event, reviews)
    other = actor(safety, person.site)
    with pytest.raises(Refused, match="monitor"):
        decide(event, other, "duplicate", note="of 3", seen_review=None)
    assert AEReview.objects.count() == 1


def test_a_decision_can_be_changed_with_a_note(
    person: Participant, enters: Actor, reviews: Actor
) -> None:
    event = report(person, enters)
    decide(event, reviews)
    with pytest.raises(Refused):
        decide(event, reviews)
    with pytest.raises(Refused) as refused:
        decide(event, reviews, "duplicate")
    assert refused.value.field == "note"
    decide(event, reviews, "duplicate", note="of 3")
    decide(event, reviews, note="not of 3 after all")
    assert event.reviews.count() == 3


def test_two_monitors_at_the_same_moment_make_one_decision(
    fresh_database: Any,
    jss: Site,
    participant: Callable[..., Participant],
    monitor: User,
    safety: User,
    coordinator: User,
) -> None:
    person = participant(jss)
    with seeing(jss):
        event = report(person, actor(coordinator, jss))
    told: list[str] = []
    start = threading.Barrier(2)

    def work(user: User) -> None:
        try:
            start.wait()
            with seeing(jss):
                decide(event, actor(user, jss), seen_review=None)
            told.append("recorded")
        except Refused:
            told.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[user]) for user in (monitor, safety)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["recorded", "refused"]
    with seeing(jss):
        assert AEReview.objects.count() == 1


# The queue, the clock, cautions, history ---------------------------------------------------------


def test_the_queue_begins_with_what_is_most_urgent(
    site: Site, person: Participant, enters: Actor
) -> None:
    mild = report(person, enters)
    moderate = report(person, enters, grade=2)
    later = report(person, enters, days_ago=2, **SERIOUS)
    sooner = report(person, enters, days_ago=9, **SERIOUS)
    fatal = report(person, enters, days_ago=2, **{**SERIOUS, "seriousness": ["life_threatening"]})
    died = report(
        person, enters, **{**SERIOUS, "grade": 5, "outcome": "5", "seriousness": ["died"]}
    )
    found = with_clock(with_state(AdverseEvent.objects.all()), rules_at([site.pk]))
    assert list(in_order(found)) == [died, fatal, sooner, later, moderate, mild]
    due = {event.pk: event.report_by for event in found}
    today = site.today()
    assert due[sooner.pk] == today + dt.timedelta(days=6)
    assert due[fatal.pk] == today + dt.timedelta(days=5)
    assert due[mild.pk] is None


def test_the_clock_of_the_queue_is_that_of_the_page(
    site: Site, person: Participant, enters: Actor
) -> None:
    rules = {site.pk: Rules(fatal_days=3, followup_days=4, serious_days=10)}
    report(person, enters)
    report(person, enters, **SERIOUS)
    report(person, enters, **{**SERIOUS, "seriousness": ["disability", "died"]})
    for event in with_clock(AdverseEvent.objects.all(), rules):
        due = deadline_of(event, rules[site.pk])
        assert event.report_by == (due.report_by if due else None)


@pytest.mark.parametrize(
    ("earlier", "later", "certain"),
    [
        ("2026-05-01", "2026-05-02", True),
        ("2026-05-02", "2026-05-02", False),
        ("2026-05", "2026-05-02", False),
        ("2026-04", "2026-05-02", True),
        ("2026", "2026-05-02", False),
        ("2025", "2026", True),
    ],
)
def test_a_date_is_before_another_only_where_that_is_certain(
    earlier: str, later: str, certain: bool
) -> None:
    assert before(earlier, later) is certain


CAUTIONS: dict[str, tuple[dict[str, Any], int]] = {
    "nothing": ({}, 0),
    "before consent": ({"onset": "2026-05-01", "ended": ""}, 2),
    "before the first treatment": ({"onset": "2026-06-02"}, 1),
    "some day of that month": ({"onset": "2026-06"}, 0),
    "fatal outcome of grade 1": ({"outcome": "5"}, 1),
    "grade 4, not serious": ({"grade": 4}, 1),
    "recovered without an end": ({"ended": ""}, 1),
    "ended, yet going on": ({"outcome": "3"}, 1),
}


@pytest.mark.parametrize("case", CAUTIONS)
def test_what_is_unlikely_is_shown_and_kept(case: str) -> None:
    told, expected = CAUTIONS[case]
    ordinary: dict[str, Any] = {
        "onset": "2026-06-12",
        "ended": "2026-06-13",
        "grade": 1,
        "outcome": "1",
        "serious": False,
    }
    event = AdverseEvent(**{**ordinary, **told})
    found = cautions(event, consented_on=dt.date(2026, 6, 1), treated=["2026-06-10", "2026-06-17"])
    assert len(found) == expected


def test_treatments_are_those_of_the_log_that_the_protocol_names(
    person: Participant, enters: Actor, day: dt.date
) -> None:
    for on in (day, day - dt.timedelta(days=7)):
        entry = add_entry(participant=person, instrument="procedure", by=enters)
        save_entry(entry=entry, changes={"performed_on": on.isoformat()}, by=enters)
    add_entry(participant=person, instrument="procedure", by=enters)
    assert [on for on, _entry in treatments(person)] == [str(day - dt.timedelta(days=7)), str(day)]


@pytest.mark.requirement("E01")
def test_the_history_says_who_when_what_and_why(
    person: Participant, enters: Actor, reviews: Actor, day: dt.date
) -> None:
    event = report(person, enters)
    event = change_event(event=event, facts=facts(day, grade=2), reason="seen again", by=enters)
    decide(event, reviews, note="as expected")
    newest, change, first = changes_of(AdverseEvent.objects.select_related("site").get())
    assert (newest.who, newest.role, newest.reason) == (
        "monitor",
        Role.MONITOR.label,
        "as expected",
    )
    assert (change.who, change.old[0], change.new[0]) == ("coordinator", "1", "2")
    assert change.reason == "seen again"
    assert change.site == person.site.short
    assert change.at.utcoffset() is not None
    assert first.old == ""
    assert "목 주사 부위 멍" in first.new


def test_a_fact_that_is_left_out_stays_out_of_the_history(
    person: Participant, enters: Actor, day: dt.date
) -> None:
    event = report_event(participant=person, facts=replace(facts(day), narrative=""), by=enters)
    [first] = changes_of(event)
    assert str(LABELS["narrative"]) not in first.new


def test_a_pneumothorax_is_found_by_its_code(person: Participant, enters: Actor) -> None:
    assert report(person, enters, **SERIOUS).term == PNEUMOTHORAX
