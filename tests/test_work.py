"""What is due, overdue, missing or waiting: one definition, asked as of a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from django.utils import timezone

from crf.models import Entry, Signature
from crf.services import add_entry, complete, save_entry
from crf.workflow import Around
from registry import work
from registry.models import Participant, Visit
from registry.services import (
    ConsentGiven,
    add_consent,
    end_study,
    enrol,
    mark_missed,
    protocol_of,
    record_visit,
    void_participant,
    void_visit,
    withdraw,
)
from registry.work import Step, Tally, next_step, visit_status
from sites.audit import Actor, acting
from sites.models import Site, User
from tests.cast import actor, seeing
from tests.story import play

DAY = dt.timedelta(days=1)


@pytest.fixture
def by(coordinator: User, jss: Site) -> Iterator[Actor]:
    with seeing(jss):
        yield actor(coordinator, jss)


def codes(visits) -> list[str]:
    return [visit.code for visit in visits]


def visit_of(person: Participant, code: str) -> Visit:
    visit = person.visits.valid().get(code=code)
    visit.participant = person
    return visit


# Visits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "overdue", "due", "soon"),
    [
        (0, [], ["w0"], ["w1"]),  # week 1 opens on day 4
        (1, ["w0"], [], ["w1"]),
        (4, ["w0"], ["w1"], ["w2"]),
        (10, ["w0"], ["w1"], ["w2"]),
        (11, ["w0", "w1"], ["w2"], []),
        (14, ["w0", "w1"], ["w2"], ["w4"]),  # week 4 opens on day 21
        (35, ["w0", "w1", "w2"], ["w4"], ["w8"]),
        (70, ["w0", "w1", "w2", "w4"], ["w8"], []),
        (71, ["w0", "w1", "w2", "w4", "w8"], [], []),
    ],
)
def test_the_window_decides_and_its_last_day_still_counts(by, jss, days, overdue, due, soon):
    person = play(jss, by, stage="enrolled", days_ago=0)
    on = person.enrolled_on + days * DAY
    assert codes(work.overdue([jss], on)) == overdue
    assert codes(work.due([jss], on)) == due
    assert codes(work.due_soon([jss], on)) == soon


def test_without_a_day_today_is_the_day_of_each_site(by, jss, nda, needle_coordinator):
    play(jss, by, stage="enrolled", days_ago=0)
    assert codes(work.due([jss])) == ["w0"]
    nda.timezone = "Pacific/Kiritimati"  # never behind Seoul
    assert work.due([jss, nda], jss.today()).count() == 1


def test_what_was_held_missed_void_or_withdrawn_is_not_work(by, jss):
    person = play(jss, by, stage="begun", days_ago=20)
    assert codes(work.overdue([jss])) == ["w1", "w2"]
    mark_missed(visit=visit_of(person, "w1"), reason="연락 두절", by=by)
    assert codes(work.overdue([jss])) == ["w2"]
    week2 = visit_of(person, "w2")
    record_visit(visit=week2, on=week2.due_on, by=by)
    assert codes(work.overdue([jss])) == []
    void_visit(visit=week2, reason="오기", by=by)
    assert codes(work.overdue([jss])) == ["w2"]
    withdraw(participant=person, scope="visits", on=jss.today(), taken_by="김은지", by=by)
    assert not work.overdue([jss]).exists()
    other = play(jss, by, stage="enrolled", days_ago=20)
    assert work.overdue([jss]).count() == 3
    void_participant(participant=other, reason="오기", by=by)
    assert not work.overdue([jss]).exists()


def test_the_longest_overdue_comes_first(by, jss):
    later, earlier = (play(jss, by, stage="enrolled", days_ago=n) for n in (5, 40))
    found = [(visit.participant, visit.closes_on) for visit in work.overdue([jss])]
    assert found[0][0] == earlier
    assert [day for _person, day in found] == sorted(day for _person, day in found)
    assert later in {person for person, _day in found}


@pytest.mark.parametrize(
    ("acts", "status"),
    [
        ({}, "overdue"),
        ({"happened_on": dt.date(2026, 3, 1)}, "due"),
        ({"missed_at": timezone.now()}, "missed"),
        ({"voided_at": timezone.now(), "happened_on": dt.date(2026, 3, 1)}, "void"),
        ({"cancelled_at": timezone.now()}, "not_due"),
    ],
)
def test_a_visit_is_shown_by_its_acts(acts, status):
    window = {"opens_on": dt.date(2026, 3, 1), "closes_on": dt.date(2026, 3, 5)}
    visit = Visit(**window, **acts)
    assert visit_status(visit, dt.date(2026, 3, 6), Tally(forms=3)) == status


@pytest.mark.parametrize(
    ("on", "status"),
    [("2026-02-21", "expected"), ("2026-02-22", "due_soon"), ("2026-03-01", "due"),
     ("2026-03-05", "due"), ("2026-03-06", "overdue")],
)  # fmt: skip
def test_an_open_visit_is_shown_by_its_window(on, status):
    visit = Visit(opens_on=dt.date(2026, 3, 1), closes_on=dt.date(2026, 3, 5))
    assert visit_status(visit, dt.date.fromisoformat(on)) == status


@pytest.mark.parametrize(
    ("tally", "around", "status"),
    [
        (Tally(3), {}, "due"),
        (Tally(3, 1), {}, "started"),
        (Tally(3, 3, 2), {"signature": True}, "started"),
        (Tally(3, 3, 3), {}, "complete"),
        (Tally(3, 3, 3, 2), {}, "complete"),
        (Tally(3, 3, 3, 3), {}, "verified"),
        (Tally(3, 3, 3, 3), {"signature": True}, "signed"),
        (Tally(3, 3, 3, 3), {"signature": True, "locked": True}, "locked"),
        (Tally(3, 3, 3, 3), {"signature": False, "locked": True}, "stale"),
        (Tally(), {}, "complete"),
    ],
)
def test_a_visit_that_was_held_is_shown_by_its_forms(tally, around, status):
    visit = Visit(happened_on=dt.date(2026, 3, 1))
    today = dt.date(2026, 3, 1)
    assert visit_status(visit, today, tally, Around(today, **around)) == status


def test_the_forms_of_a_visit_are_counted(by, jss):
    person = play(jss, by, stage="begun")
    first = visit_of(person, "w0")
    nrs = first.entries.get(instrument="nrs")
    save_entry(entry=nrs, changes={"pain": 7}, by=by)
    nrs.refresh_from_db()
    complete(entry=nrs, by=by)
    tally = work.tallies([person.pk])[first.pk]
    assert (tally.forms, tally.started, tally.complete, tally.verified) == (6, 1, 1, 0)


# Forms, screening, consent -----------------------------------------------------------------------


def test_forms_wait_from_the_day_on_which_the_visit_was_held(by, jss):
    person = play(jss, by, stage="enrolled")
    assert not work.unfinished([jss]).exists()
    record_visit(visit=visit_of(person, "w0"), on=person.enrolled_on, by=by)
    waiting = set(work.unfinished([jss]).values_list("instrument", flat=True))
    assert waiting == {"baseline", "nrs", "ndi", "eq5d5l", "concurrent", "ae_check"}
    log = add_entry(participant=person, instrument="procedure", by=by)
    assert log in work.unfinished([jss])


def waits_since(form: Entry) -> dt.date | None:
    form.refresh_from_db()
    return form.due_from


def test_the_database_keeps_since_when_a_form_waits(by, jss):
    person = play(jss, by, stage="enrolled", days_ago=20)
    visit = visit_of(person, "w0")
    nrs, ndi = (visit.entries.get(instrument=code) for code in ("nrs", "ndi"))
    assert waits_since(nrs) is None
    visit = record_visit(visit=visit, on=person.enrolled_on, by=by)
    assert waits_since(nrs) == person.enrolled_on
    with acting(by):  # whatever road is taken, and whatever it says itself
        Visit.objects.filter(pk=visit.pk).update(happened_on=person.enrolled_on + DAY)
        Entry.objects.filter(pk=ndi.pk).update(due_from=dt.date(2000, 1, 1))
    assert waits_since(nrs) == waits_since(ndi) == person.enrolled_on + DAY
    save_entry(entry=nrs, changes={"pain": 7}, by=by)
    assert waits_since(nrs) == person.enrolled_on + DAY
    complete(entry=nrs, by=by)
    assert waits_since(nrs) is None
    assert waits_since(add_entry(participant=person, instrument="procedure", by=by)) == jss.today()
    with acting(by, "오기"):
        Visit.objects.filter(pk=visit.pk).update(voided_at=timezone.now(), void_reason="오기")
    assert waits_since(ndi) is None


def test_since_when_a_form_waits_is_neither_in_its_history_nor_in_its_digest(by, jss):
    person = play(jss, by, stage="enrolled", days_ago=20)
    visit = visit_of(person, "w0")
    nrs = visit.entries.get(instrument="nrs")
    before = nrs.digest, nrs.history.count()
    record_visit(visit=visit, on=person.enrolled_on, by=by)
    assert waits_since(nrs) == person.enrolled_on
    assert (nrs.digest, nrs.history.count()) == before


def test_forms_of_a_void_participant_wait_for_nobody(by, jss):
    person = play(jss, by, stage="begun")
    assert work.unfinished([jss]).exists()
    void_participant(participant=person, reason="오기", by=by)
    assert not work.unfinished([jss]).exists()


def test_the_form_that_waits_longest_comes_first(by, jss):
    play(jss, by, stage="begun", days_ago=5)
    play(jss, by, stage="begun", days_ago=40)
    days = [form.due_from for form in work.unfinished([jss])]
    assert days == sorted(days)
    assert len(set(days)) == 2


def test_who_is_in_screening_waits_for_a_decision_and_then_for_a_number(by, jss):
    consented, screened = (play(jss, by, stage=stage) for stage in ("consented", "screened"))
    play(jss, by, stage="screened", answers={"screening_nrs": 1})
    assert set(work.undecided([jss])) == {consented, screened}
    enrol(participant=screened, by=by)
    assert set(work.undecided([jss])) == {consented}
    withdraw(participant=consented, scope="use", on=jss.today(), taken_by="김은지", by=by)
    assert not work.undecided([jss]).exists()


def test_nothing_open_and_never_signed_is_ready_to_be_signed(by, jss):
    person = play(jss, by, stage="begun", days_ago=0)
    assert not work.unsigned([jss]).exists()
    end_study(participant=person, on=jss.today(), end_reason="lost", by=by)
    assert not work.unsigned([jss]).exists()  # the forms of the visit that was held are open
    now = timezone.now()
    with acting(by):
        Entry.objects.incomplete().filter(participant=person).update(
            started_at=now, completed_at=now, completed_by_id=by.user_id
        )
    assert list(work.unsigned([jss])) == [person]
    with acting(by):
        Signature.objects.create(
            site=jss,
            participant=person,
            meaning="reviewed",
            digest="0" * 64,
            signed_by_id=by.user_id,
            printed_name="이정훈",
        )
    assert not work.unsigned([jss]).exists()


@pytest.fixture
def needle_by(needle_coordinator: User, nda: Site) -> Iterator[Actor]:
    with seeing(nda):
        yield actor(needle_coordinator, nda)


def test_a_new_version_of_the_consent_form_asks_everybody_who_signed_the_old(needle_by, nda):
    old_days = (nda.today() - dt.date(2026, 5, 1)).days  # version 1.1 is valid from 2026-06-01
    old = play(nda, needle_by, stage="enrolled", days_ago=old_days)
    failed = play(
        nda, needle_by, stage="screened", days_ago=old_days, answers={"months_of_pain": 0}
    )
    left = play(nda, needle_by, stage="enrolled", days_ago=old_days)
    withdraw(participant=left, scope="visits", on=nda.today(), taken_by="x", by=needle_by)
    play(nda, needle_by, stage="enrolled", days_ago=1)
    assert failed.state == "failed"
    (renewal,) = work.reconsent([nda])
    assert (renewal.version.version, list(renewal.participants)) == ("1.1", [old])
    assert work.reconsent([nda], dt.date(2026, 5, 31)) == []
    consent = protocol_of(old.version).consents[0]
    latest = old.consents.get()
    assert work.renewal(old, consent, latest, nda.today()) == renewal.version
    given = ConsentGiven("study", "1.1", False, nda.today(), "이정훈")
    add_consent(participant=old, given=given, by=needle_by)
    assert not renewal.participants.all().exists()  # asked, whatever the answer


def test_a_study_with_one_version_asks_nobody(by, jss):
    play(jss, by, stage="enrolled")
    assert work.reconsent([jss]) == []


# The next step -----------------------------------------------------------------------------------


def following(person: Participant, **told) -> work.Next:
    person = Participant.objects.get(pk=person.pk)
    visits = list(person.visits.all())
    entries = list(Entry.objects.filter(participant=person).order_by("pk"))
    return next_step(person, visits, entries, on=told.pop("on", person.site.today()), **told)


def test_the_next_step_leads_through_the_study(by, jss):
    consented = play(jss, by, stage="consented")
    assert following(consented).step is Step.SCREEN
    form = add_entry(participant=consented, instrument="screening", by=by)
    assert following(consented).entry == form
    assert following(play(jss, by, stage="screened")).step is Step.ENROL
    failed = play(jss, by, stage="screened", answers={"screening_nrs": 1})
    assert following(failed).step is Step.NOTHING
    person = play(jss, by, stage="enrolled", days_ago=0)
    assert following(person, allocated=False).step is Step.ALLOCATE
    step = following(person)
    assert (step.step, step.visit.code) == (Step.VISIT, "w0")
    record_visit(visit=visit_of(person, "w0"), on=jss.today(), by=by)
    step = following(person)
    assert (step.step, step.visit.code) == (Step.FILL, "w0")


def test_when_nothing_is_due_it_says_what_comes(by, jss):
    person = play(jss, by, stage="begun", days_ago=0)
    visits, on = list(person.visits.all()), jss.today()
    assert next_step(person, visits, [], on=on, queries=2).number == 2
    step = next_step(person, visits, [], on=on)
    assert (step.step, step.visit.code) == (Step.WAIT, "w1")
    for visit in visits:
        visit.happened_on = visit.happened_on or visit.due_on
    assert next_step(person, visits, [], on=on).step is Step.END
    person.ended_on = on
    assert next_step(person, visits, [], on=on).step is Step.SIGN
    assert next_step(person, visits, [], on=on, signature=False).step is Step.SIGN
    assert next_step(person, visits, [], on=on, signature=True).step is Step.NOTHING
