"""Remarks and queries about one question, in the drawer of its form and as a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from crf.models import Entry, Query
from crf.services import answer_query, ask_query, close_query, remark, save_entry
from registry.models import Participant
from sites.access import Refused
from sites.models import AccessLog, Site, User
from tests.cast import actor, seeing

HTMX = {"HX-Request": "true"}
DRAWER = {"X-Requested-With": "fetch"}


@pytest.fixture
def entry(jss: Site, participant: Callable[..., Participant], coordinator: User) -> Entry:
    person = participant(jss)
    with seeing(jss):
        begun = person.entries.get(instrument="baseline")
        save_entry(entry=begun, changes={"weight": "64.5"}, by=actor(coordinator, jss))
        return Entry.objects.select_related("site").get(pk=begun.pk)


def at(entry: Entry, item: str = "weight", *, remark: bool = False) -> str:
    name = "item_remark" if remark else "item_queries"
    return reverse(name, args=["uspp", entry.pk, item])


def test_a_remark_waits_for_the_reviewer_who_closes_it(
    as_: Callable[..., Client], coordinator: User, monitor: User, entry: Entry
) -> None:
    enters, reviews = as_(coordinator), as_(monitor)
    told = {"text": "환자가 옷을 입은 채 쟀다고 함"}
    answer = enters.post(at(entry, remark=True), told, headers=HTMX)
    assert answer.status_code == 200
    assert "환자가 옷을 입은 채" in answer.content.decode()
    with seeing(entry.site):
        query = Query.objects.get()
        assert (query.state, query.item, query.check_code) == ("answered", "weight", "")
        assert [said.act for said in query.messages.all()] == ["remark"]
        assert query.history.get().history_user == coordinator
        entry.refresh_from_db()
        assert entry.answers == {"weight": "64.5"}  # the answer stays as it is
    page = reviews.get(at(entry), headers=DRAWER).content.decode()
    assert "환자가 옷을 입은 채" in page
    assert "<html" not in page
    assert reviews.post(reverse("query_close", args=["uspp", query.pk])).status_code == 302
    with seeing(entry.site):
        assert Query.objects.get().state == "closed"


def test_without_scripts_it_is_a_page_that_logs_whom_it_shows(
    as_: Callable[..., Client], coordinator: User, entry: Entry
) -> None:
    client = as_(coordinator)
    with CaptureQueriesContext(connection) as asked:
        page = client.get(at(entry))
    assert page.status_code == 200
    assert len([q for q in asked if "SAVEPOINT" not in q["sql"]]) <= 12
    assert "<html" in page.content.decode()
    with seeing(entry.site):
        shown = AccessLog.objects.filter(participant_id=entry.participant_id)
        assert shown.filter(user=coordinator).exists()
    answer = client.post(at(entry, remark=True), {"text": "다시 잼"})
    assert (answer.status_code, answer["Location"]) == (302, at(entry))
    assert client.get(at(entry, remark=True)).status_code == 302


@pytest.mark.parametrize("text", ["", "환자 900101-1234567"])
def test_an_empty_remark_and_a_resident_number_are_refused_with_what_was_typed(
    as_: Callable[..., Client], coordinator: User, entry: Entry, text: str
) -> None:
    answer = as_(coordinator).post(at(entry, remark=True), {"text": text}, headers=HTMX)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "field-error" in page
    assert text in page
    with seeing(entry.site):
        assert not Query.objects.exists()


def test_who_may_say_what(
    as_: Callable[..., Client],
    coordinator: User,
    coordinator2: User,
    monitor: User,
    auditor: User,
    needle_coordinator: User,
    entry: Entry,
) -> None:
    page = as_(monitor).get(at(entry)).content.decode()
    assert reverse("entry_ask", args=["uspp", entry.pk]) in page
    assert at(entry, remark=True) not in page
    page = as_(auditor).get(at(entry)).content.decode()
    assert reverse("entry_ask", args=["uspp", entry.pk]) not in page
    assert at(entry, remark=True) not in page
    for user in (monitor, auditor):
        assert as_(user).post(at(entry, remark=True), {"text": "x"}).status_code == 403
    # A coordinator of another hospital, who is monitor here, remarks nothing; one of another study
    # finds no such form.
    assert as_(coordinator2).post(at(entry, remark=True), {"text": "x"}).status_code == 404
    assert as_(needle_coordinator).get(at(entry)).status_code in (403, 404)
    assert as_(coordinator).get(at(entry, "nothing")).status_code == 404
    with seeing(entry.site):
        assert not Query.objects.exists()


def test_a_form_without_answers_and_a_void_one_take_no_remark(
    entry: Entry, coordinator: User, jss: Site
) -> None:
    by = actor(coordinator, jss)
    with seeing(jss):
        empty = entry.participant.entries.get(instrument="nrs", visit=entry.visit)
        with pytest.raises(Refused):
            remark(entry=empty, item="pain", text="왜?", by=by)
        with pytest.raises(Refused):
            remark(entry=entry, item="nothing", text="왜?", by=by)


def test_answering_in_the_drawer(
    as_: Callable[..., Client], coordinator: User, monitor: User, entry: Entry, jss: Site
) -> None:
    with seeing(jss):
        query = ask_query(entry=entry, item="weight", text="몇 kg?", by=actor(monitor, jss))
    page = as_(coordinator).get(at(entry), headers=DRAWER).content.decode()
    assert reverse("query_answer", args=["uspp", query.pk]) in page
    with seeing(jss):
        answer_query(query=query, text="64.5 kg", by=actor(coordinator, jss))
    page = as_(coordinator).get(at(entry), headers=DRAWER).content.decode()
    assert "64.5 kg" in page
    assert reverse("query_answer", args=["uspp", query.pk]) not in page
    with seeing(jss):
        close_query(query=query, by=actor(monitor, jss))


def test_the_form_marks_the_question(
    as_: Callable[..., Client], coordinator: User, entry: Entry, jss: Site
) -> None:
    with seeing(jss):
        remark(entry=entry, item="weight", text="옷 포함", by=actor(coordinator, jss))
    page: Any = as_(coordinator).get(reverse("entry", args=["uspp", entry.pk]))
    assert "옷 포함" in page.content.decode()
    assert f'href="{at(entry)}"' in page.content.decode()
