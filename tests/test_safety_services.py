"""Adverse events: reported, changed for a reason, void; each with every way out."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError

from crf.models import Lock
from registry.models import Participant
from registry.services import void_participant
from safety.display import differences
from safety.models import AdverseEvent
from safety.services import (
    Changed,
    Wrong,
    change_event,
    report_event,
    void_event,
)
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site, User
from tests import event_services as shared
from tests.cast import actor, seeing
from tests.event_services import decide
from tests.events import SURE, facts, report

site, person, day = shared.site, shared.person, shared.day
enters, reviews = shared.enters, shared.reviews

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
