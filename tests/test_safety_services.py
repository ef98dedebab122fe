"""Adverse events: reported, changed for a reason, void, reviewed; each with every way out."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, connections

from crf.models import Lock
from crf.services import add_entry, save_entry
from registry.models import Participant
from registry.services import void_participant
from safety.cautions import cautions, treatments
from safety.deadlines import Rules
from safety.display import LABELS, differences
from safety.history import changes_of
from safety.models import AdverseEvent, AEReview
from safety.queue import CHANGED, NEW, REVIEWED, in_order, with_clock, with_state
from safety.services import (
    Changed,
    Wrong,
    before,
    change_event,
    deadline_of,
    report_event,
    review_event,
    rules_at,
    void_event,
)
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site, User
from sites.roles import Role
from tests.cast import actor, seeing
from tests.events import PNEUMOTHORAX, SERIOUS, SURE, facts, report


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


# Reporting ---------------------------------------------------------------------------------------


def test_an_event_is_kept_as_reported(person: Participant, enters: Actor, day: dt.date) -> None:
    event = report(person, enters)
    event.refresh_from_db()
    assert (event.number, event.site_id) == (1, person.site_id)
    assert (event.term, event.term_version, event.grade) == ("10006504", "5.0", 1)
    assert (event.causality, event.suggested_causality) == ("probable", "certain")
    assert event.causality_answers == SURE
    assert (event.onset, event.ended, event.aware_on) == (str(day), str(day), day)
    assert event.reported_by_id == enters.user_id
    assert len(event.digest) == 64
    row = AdverseEvent.history.get(id=event.pk)
    assert (row.history_type, row.history_role) == ("+", "coordinator")


def test_numbers_count_per_participant_and_are_never_used_again(
    site: Site, participant: Callable[..., Participant], enters: Actor
) -> None:
    one, other = participant(site), participant(site)
    first = report(one, enters)
    void_event(event=first, reason="wrong participant", by=enters)
    assert report(one, enters).number == 2
    assert report(other, enters).number == 1


def test_the_suggestion_never_replaces_the_judgement(person: Participant, enters: Actor) -> None:
    event = report(person, enters, causality="unlikely")
    assert (event.causality, event.suggested_causality) == ("unlikely", "certain")
    partly = report(person, enters, causality_answers={"data": "sufficient", "alt": ""})
    assert partly.suggested_causality == ""
    assert partly.causality_answers == {"data": "sufficient"}


def test_the_suggestion_knows_whether_a_study_treats_once(
    nda: Site, participant: Callable[..., Participant], needle_coordinator: User
) -> None:
    with seeing(nda):
        event = report(participant(nda), actor(needle_coordinator, nda))
        assert event.suggested_causality == "possible"


@pytest.mark.parametrize(
    ("onset", "ended", "kept"),
    [
        ("2026", "", ("2026", "")),
        ("2026-05", "2026", ("2026-05", "2026")),
        ("2026.5.3", "20260503", ("2026-05-03", "2026-05-03")),
        ("２０２６-０５", "2026-05-01", ("2026-05", "2026-05-01")),
    ],
)
def test_dates_may_be_partial(
    person: Participant, enters: Actor, onset: str, ended: str, kept: tuple[str, str]
) -> None:
    event = report(person, enters, onset=onset, ended=ended)
    assert (event.onset, event.ended) == kept


def _tomorrow(site: Site) -> str:
    return str(site.today() + dt.timedelta(days=1))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no symptom": ({"symptom": "  "}, "symptom"),
    "resident number": ({"narrative": "환자 800505-2234567"}, "narrative"),
    "too long": ({"treatment": "x" * 100_000}, "treatment"),
    "no onset": ({"onset": ""}, "onset"),
    "no date": ({"onset": "last week"}, "onset"),
    "no such day": ({"onset": "2026-02-29"}, "onset"),
    "future onset": ({"onset": _tomorrow}, "onset"),
    "future end": ({"ended": _tomorrow}, "ended"),
    "end before onset": ({"onset": "2026-06", "ended": "2026-05-31"}, "ended"),
    "not aware": ({"aware_on": None}, "aware_on"),
    "aware before onset": ({"onset": "2026-06", "aware_on": dt.date(2026, 5, 31)}, "aware_on"),
    "no such term": ({"term": "99"}, "term"),
    "grade the term lacks": ({"grade": 3}, "grade"),
    "no such grade": ({"term": "", "grade": 6}, "grade"),
    "no grade": ({"grade": None}, "grade"),
    "no causality": ({"causality": ""}, "causality"),
    "unknown answer": ({"causality_answers": {**SURE, "alt": "?"}}, "causality_answers"),
    "unknown question": ({"causality_answers": {"who": "me"}}, "causality_answers"),
    "no outcome": ({"outcome": ""}, "outcome"),
    "no such action": ({"action": "7"}, "action"),
    "serious not said": ({"serious": None}, "serious"),
    "serious without why": ({"serious": True}, "seriousness"),
    "criterion of a mild one": ({"seriousness": ["disability"]}, "serious"),
    "no such criterion": ({"serious": True, "seriousness": ["bad"]}, "seriousness"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_can_not_be_kept_is_refused_at_its_field(
    person: Participant, enters: Actor, day: dt.date, case: str
) -> None:
    told, field = WRONG[case]
    told = {name: v(person.site) if callable(v) else v for name, v in told.items()}
    with pytest.raises(Wrong) as wrong:
        report_event(participant=person, facts=facts(day, **told), by=enters)
    assert set(wrong.value.problems) == {field}
    assert wrong.value.field == field
    assert not AdverseEvent.objects.exists()


def test_every_problem_is_told_at_once(person: Participant, enters: Actor, day: dt.date) -> None:
    with pytest.raises(Wrong) as wrong:
        report_event(
            participant=person,
            facts=facts(day, symptom="", grade=None, outcome="9", serious=None),
            by=enters,
        )
    assert set(wrong.value.problems) == {"symptom", "grade", "outcome", "serious"}


def test_a_grade_without_a_term_follows_the_general_guideline(
    person: Participant, enters: Actor
) -> None:
    event = report(person, enters, term="", grade=4)
    assert (event.term, event.term_version) == ("", "")


def test_a_void_participant_has_no_new_events(
    person: Participant, enters: Actor, day: dt.date
) -> None:
    void_participant(participant=person, reason="twice", by=enters)
    with pytest.raises(Refused):
        report_event(participant=person, facts=facts(day), by=enters)


def test_a_repeated_post_reports_once(person: Participant, enters: Actor, day: dt.date) -> None:
    op = uuid.uuid4()
    first = report_event(participant=person, facts=facts(day), op=op, by=enters)
    again = report_event(participant=person, facts=facts(day), op=op, by=enters)
    assert first == again
    assert AdverseEvent.objects.count() == 1


def test_an_operation_id_repeats_only_its_own_request(
    site: Site, participant: Callable[..., Participant], enters: Actor, day: dt.date
) -> None:
    op = uuid.uuid4()
    report_event(participant=participant(site), facts=facts(day), op=op, by=enters)
    with pytest.raises(Refused):
        report_event(participant=participant(site), facts=facts(day), op=op, by=enters)
    assert AdverseEvent.objects.count() == 1


def test_a_locked_site_takes_no_event(
    person: Participant, enters: Actor, day: dt.date, datamanager: User
) -> None:
    event = report(person, enters)
    with acting(actor(datamanager, person.site)):
        Lock.objects.create(site=person.site, locked_by=datamanager)
    for write in (
        lambda: report_event(participant=person, facts=facts(day), by=enters),
        lambda: change_event(event=event, facts=facts(day, grade=2), reason="seen", by=enters),
        lambda: void_event(event=event, reason="twice", by=enters),
    ):
        with pytest.raises(DatabaseError) as locked:
            write()
        assert locked.value.__cause__.sqlstate == "EDC01"  # type: ignore[union-attr]


# Changing and voiding ----------------------------------------------------------------------------


def test_a_change_has_a_reason_and_is_kept_with_old_and_new(
    person: Participant, enters: Actor, day: dt.date
) -> None:
    event = report(person, enters)
    seen = event.digest
    changed = change_event(
        event=event, facts=facts(day, grade=2), reason="seen again", seen=seen, by=enters
    )
    assert changed.grade == 2
    assert changed.digest != seen
    old, new = AdverseEvent.history.order_by("history_id")
    assert [(d.name, d.old[0], d.new[0]) for d in differences(old, new)] == [("grade", "1", "2")]
    assert new.history_change_reason == "seen again"


@pytest.mark.parametrize("reason", ["", "  ", "because 800505-2234567 said so"])
def test_no_change_without_a_reason_that_may_be_kept(
    person: Participant, enters: Actor, day: dt.date, reason: str
) -> None:
    event = report(person, enters)
    with pytest.raises(Wrong) as wrong:
        change_event(event=event, facts=facts(day, grade=3), reason=reason, by=enters)
    assert set(wrong.value.problems) == {"reason", "grade"}
    event.refresh_from_db()
    assert event.grade == 1


def test_saving_the_same_again_changes_nothing(
    person: Participant, enters: Actor, day: dt.date
) -> None:
    event = report(person, enters)
    with pytest.raises(Refused):
        change_event(event=event, facts=facts(day), reason="looked again", by=enters)
    assert AdverseEvent.history.count() == 1


def test_who_changes_second_is_told_and_overwrites_nothing(
    person: Participant, enters: Actor, day: dt.date
) -> None:
    event = report(person, enters)
    seen = event.digest
    change_event(event=event, facts=facts(day, grade=2), reason="seen", seen=seen, by=enters)
    with pytest.raises(Changed) as changed:
        change_event(
            event=event, facts=facts(day, outcome="2"), reason="phone", seen=seen, by=enters
        )
    assert changed.value.event.grade == 2
    event.refresh_from_db()
    assert (event.grade, event.outcome) == (2, "1")


def test_codes_stay_in_the_version_of_the_first_report(
    person: Participant, enters: Actor, day: dt.date
) -> None:
    event = report(person, enters)
    with acting(enters, "as if reported under an older protocol"):
        AdverseEvent.objects.filter(pk=event.pk).update(term_version="6.0")
    changed = change_event(event=event, facts=facts(day, outcome="2"), reason="new", by=enters)
    assert changed.term_version == "6.0"


def test_a_void_event_stays_and_takes_nothing_more(
    person: Participant, enters: Actor, reviews: Actor, day: dt.date
) -> None:
    event = report(person, enters)
    with pytest.raises(Refused) as refused:
        void_event(event=event, reason=" ", by=enters)
    assert refused.value.field == "reason"
    void = void_event(event=event, reason="wrong participant", by=enters)
    assert void.voided_at
    assert not AdverseEvent.objects.valid().exists()
    for act in (
        lambda: void_event(event=event, reason="twice", by=enters),
        lambda: change_event(event=event, facts=facts(day, grade=2), reason="x", by=enters),
        lambda: decide(AdverseEvent.objects.get(), reviews),
    ):
        with pytest.raises(Refused):
            act()


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
