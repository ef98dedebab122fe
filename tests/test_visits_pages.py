"""The pages of visits: held, out of the window, corrected, missed, added, entered in error."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from crf.models import Entry, Lock
from crf.services import complete, save_entry
from registry.models import Participant, Visit
from sites.audit import acting
from sites.models import AccessLog, Site, User
from tests.cast import actor, seeing
from tests.story import play

DAY = dt.timedelta(days=1)


def at(name: str, *args: Any, study: str = "uspp") -> str:
    return reverse(name, args=[study, *args])


def text(response: Any) -> str:
    return str(response.content.decode())


def visit_of(person: Participant, code: str) -> Visit:
    with seeing(person.site):
        return person.visits.valid().select_related("site").get(code=code)


def again(visit: Visit) -> Visit:
    with seeing(visit.site):
        return Visit.objects.get(pk=visit.pk)


@pytest.fixture
def page(as_: Callable[[User], Client], coordinator: User) -> Client:
    client = as_(coordinator)
    client.cookies["language"] = "en"
    return client


@pytest.fixture
def person(participant: Callable[..., Participant], jss: Site) -> Participant:
    """Week 0 was held 20 days ago; weeks 1 and 2 are overdue, week 4 is due from tomorrow on."""
    return participant(jss, days_ago=20)


def on(day: dt.date, **more: str) -> dict[str, str]:
    return {"happened_on": day.isoformat(), **more}


def test_a_visit_is_recorded_and_its_forms_open(page, person, coordinator, jss):
    visit = visit_of(person, "w1")
    shown = text(page.get(at("visit", visit.pk)))
    assert "Overdue" in shown or "overdue" in shown
    assert f"{visit.opens_on} – {visit.closes_on}" in shown
    assert "once the visit date is recorded" in shown
    response = page.post(at("visit", visit.pk), on(visit.due_on), follow=True)
    assert "The visit date is recorded." in text(response)
    with seeing(jss):
        forms = list(Entry.objects.filter(visit=visit))
        seen = AccessLog.objects.filter(user=coordinator).values_list("participant_id", flat=True)
        assert set(seen) == {person.pk}
    assert all(at("entry", form.pk) in text(response) for form in forms)
    assert again(visit).happened_on == visit.due_on


def test_three_boxes_and_full_width_digits_are_read_as_a_day(page, person):
    visit = visit_of(person, "w1")
    year, month, day = visit.due_on.isoformat().split("-")
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    typed = {
        "happened_on_year": year.translate(wide),
        "happened_on_month": month.translate(wide),
        "happened_on_day": day.translate(wide),
    }
    assert page.post(at("visit", visit.pk), typed).status_code == 302
    assert again(visit).happened_on == visit.due_on


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Please enter a date."),
        ("2999-01-01", "The visit date lies in the future."),
        ("2020-01-01", "before the consent"),
        ("2026-02-29", "There is no such date."),
        ("yesterday", "Please enter a date like"),
    ],
)
def test_an_impossible_day_is_said_at_the_date(page, person, typed, said):
    visit = visit_of(person, "w1")
    response = page.post(at("visit", visit.pk), {"happened_on": typed})
    assert response.status_code == 422
    assert said in text(response)
    assert again(visit).happened_on is None


def test_outside_the_window_asks_why_and_keeps_it(page, person):
    visit = visit_of(person, "w1")
    late = visit.closes_on + DAY
    response = page.post(at("visit", visit.pk), on(late))
    assert response.status_code == 422
    assert "lies outside the window" in text(response)
    assert f'value="{late.year}"' in text(response)
    numbers = page.post(at("visit", visit.pk), on(late, out_of_window_reason="800505-2234567"))
    assert (numbers.status_code, "resident" in text(numbers)) == (422, True)
    done = page.post(
        at("visit", visit.pk), on(late, out_of_window_reason="대상자 출장"), follow=True
    )
    assert "대상자 출장" in text(done)
    assert again(visit).out_of_window_reason == "대상자 출장"
    assert "out of window" in text(page.get(at("participant", person.pk)))


def test_correcting_the_day_of_a_complete_form_needs_a_reason(page, person, coordinator, jss):
    visit = visit_of(person, "w1")
    page.post(at("visit", visit.pk), on(visit.due_on))
    assert page.post(at("visit", visit.pk), on(visit.due_on + DAY)).status_code == 302
    with seeing(jss):
        by = actor(coordinator, jss)
        form = Entry.objects.get(visit=visit, instrument="nrs")
        save_entry(entry=form, changes={"pain": 5}, by=by)
        form.refresh_from_db()
        complete(entry=form, by=by)
    bare = page.post(at("visit", visit.pk), on(visit.due_on))
    assert (bare.status_code, "give the reason for the new date" in text(bare)) == (422, True)
    assert page.post(at("visit", visit.pk), on(visit.due_on, reason="오기")).status_code == 302
    with seeing(jss):
        assert again(visit).history.first().history_change_reason == "오기"


def test_a_visit_that_did_not_take_place_needs_a_reason_and_may_be_held_after_all(page, person):
    visit = visit_of(person, "w1")
    url = at("visit_missed", visit.pk)
    assert "did not take place" in text(page.get(url))
    assert page.post(url, {"missed_reason": " "}).status_code == 422
    done = page.post(url, {"missed_reason": "연락되지 않음"}, follow=True)
    assert "The visit is marked as missed." in text(done)
    assert again(visit).missed_reason == "연락되지 않음"
    twice = page.post(url, {"missed_reason": "again"})
    assert (twice.status_code, "still expected" in text(twice)) == (422, True)
    shown = text(page.get(at("visit", visit.pk)))
    assert "연락되지 않음" in shown
    assert "It took place after all" in shown
    page.post(at("visit", visit.pk), on(visit.due_on))
    assert again(visit).missed_at is None


def test_a_void_visit_is_kept_with_its_forms_and_expected_anew(page, person, jss):
    visit = visit_of(person, "w0")
    url = at("visit_void", visit.pk)
    assert page.post(url, {"reason": ""}).status_code == 422
    done = text(page.post(url, {"reason": "다른 대상자의 방문"}, follow=True))
    assert "Nothing was deleted" in done
    assert "다른 대상자의 방문" in done
    assert visit_of(person, "w0").pk != visit.pk
    twice = page.post(url, {"reason": "again"})
    assert (twice.status_code, "already void" in text(twice)) == (422, True)
    shown = text(page.get(at("visit", visit.pk)))
    assert "다른 대상자의 방문" in shown
    assert "Record the visit" not in shown
    closed = page.post(at("visit", visit.pk), on(jss.today()))
    assert (closed.status_code, "no longer on the schedule" in text(closed)) == (422, True)


def test_an_unscheduled_visit_is_added_with_its_forms(page, person, jss):
    url = at("visit_new", person.pk)
    assert page.post(url, {"happened_on": (jss.today() + DAY).isoformat()}).status_code == 422
    done = text(page.post(url, on(jss.today()), follow=True))
    assert "Unscheduled visit 1" in done
    with seeing(jss):
        made = Visit.objects.get(code="unscheduled")
        assert made.entries.count() == 3
    assert "Unscheduled visit 1" in text(page.get(at("participant", person.pk)))


def test_a_study_without_unscheduled_visits_says_so(as_, needle_coordinator, nda):
    with seeing(nda):
        person = play(nda, actor(needle_coordinator, nda), stage="enrolled")
    client = as_(needle_coordinator)
    client.cookies["language"] = "en"
    assert at("visit_new", person.pk, study="needle") not in text(
        client.get(at("participant", person.pk, study="needle"))
    )
    refused = client.post(at("visit_new", person.pk, study="needle"), on(nda.today()))
    assert (refused.status_code, "knows no unscheduled" in text(refused)) == (422, True)


def test_the_same_pages_serve_a_study_with_other_visits(as_, needle_coordinator, nda):
    with seeing(nda):
        person = play(nda, actor(needle_coordinator, nda), stage="enrolled", days_ago=25)
    client = as_(needle_coordinator)
    client.cookies["language"] = "en"
    shown = text(client.get(at("participant", person.pk, study="needle")))
    assert all(label in shown for label in ("Day 0", "Month 1", "Month 3", "ODI", "Sessions"))
    assert "Week" not in shown
    month = visit_of(person, "m1")
    url = at("visit", month.pk, study="needle")
    assert client.post(url, on(nda.today())).status_code == 302
    assert "Month 1" in text(client.get(at("participants", study="needle")))
    assert client.get(at("visit", month.pk)).status_code == 404  # the other study's address


@pytest.mark.parametrize("name", ["visit", "visit_missed", "visit_void"])
def test_a_visit_elsewhere_does_not_exist(page, participant, djj, name):
    there = visit_of(participant(djj, stage="enrolled"), "w0")
    for key in (there.pk, 10**9):
        assert page.get(at(name, key)).status_code == 404
        assert page.post(at(name, key), on(djj.today(), reason="x")).status_code == 404
    assert again(there).happened_on is None


@pytest.mark.parametrize("who", ["monitor", "datamanager", "auditor", "safety"])
def test_a_reader_sees_a_visit_and_changes_nothing(request, as_, person, who):
    visit = visit_of(person, "w1")
    client = as_(request.getfixturevalue(who))
    client.cookies["language"] = "en"
    shown = client.get(at("visit", visit.pk))
    assert shown.status_code == 200
    assert "Record the visit" not in text(shown)
    assert client.post(at("visit", visit.pk), on(visit.due_on)).status_code == 403
    for name in ("visit_missed", "visit_void"):
        assert client.get(at(name, visit.pk)).status_code == 403
        assert client.post(at(name, visit.pk), {"reason": "x"}).status_code == 403
    assert again(visit).happened_on is None


def test_a_locked_site_keeps_its_visits(page, person, jss, datamanager):
    visit = visit_of(person, "w1")
    with seeing(jss), acting(actor(datamanager, jss)):
        Lock.objects.create(site=jss, locked_by=datamanager)
    assert "Record the visit" not in text(page.get(at("visit", visit.pk)))
    response = page.post(at("visit", visit.pk), on(visit.due_on))
    assert response.status_code == 409
    assert again(visit).happened_on is None
