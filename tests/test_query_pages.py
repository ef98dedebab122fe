"""The pages of queries: whose turn it is, the thread in place, and every act upon it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from crf.models import Entry, Lock, Query
from crf.services import answer_query, ask_query, save_entry
from registry.models import Participant
from sites.audit import acting
from sites.models import AccessLog, Site, User
from tests.cast import actor, seeing
from tests.events import report

HTMX = {"HX-Request": "true"}
LIST_QUERIES = 12


def at(name: str, *args: Any) -> str:
    return reverse(name, args=["uspp", *args])


@pytest.fixture
def entry(jss: Site, participant: Callable[..., Participant], coordinator: User) -> Entry:
    person = participant(jss)
    with seeing(jss):
        begun = person.entries.get(instrument="baseline")
        save_entry(entry=begun, changes={"weight": "64.5"}, by=actor(coordinator, jss))
        return Entry.objects.select_related("site").get(pk=begun.pk)


@pytest.fixture
def ask(monitor: User) -> Callable[..., Query]:
    def asked(entry: Entry, text: str = "몇 kg입니까?", item: str = "weight") -> Query:
        with seeing(entry.site):
            by = actor(monitor, entry.site)
            return ask_query(entry=entry, item=item, text=text, by=by)

    return asked


def now(query: Query) -> Query:
    with seeing(query.site):
        return Query.objects.get(pk=query.pk)


def listed(client: Client, **chosen: str) -> list[int]:
    page = client.get(at("queries"), chosen)
    assert page.status_code == 200
    return [row["thread"].query.pk for row in page.context["rows"]]


def test_the_question_and_the_answer_go_back_and_forth(
    as_: Callable[..., Client], coordinator: User, monitor: User, entry: Entry
) -> None:
    asks, answers = as_(monitor), as_(coordinator)
    form = asks.get(at("entry_ask", entry.pk), {"item": "weight"})
    assert form.context["form"]["item"].value() == "weight"
    told = {"item": "weight", "text": "몇 kg입니까?"}
    assert asks.post(at("entry_ask", entry.pk), told).status_code == 302
    with seeing(entry.site):
        query = Query.objects.get()
    assert listed(answers) == [query.pk]
    assert listed(asks) == []

    page = answers.get(at("query", query.pk))
    assert (page.context["thread"].item, page.context["thread"].value) == ("체중", "64.5 kg")
    answers.post(at("query_answer", query.pk), {"text": "64.5입니다."})
    assert now(query).state == "answered"
    assert (listed(answers), listed(asks)) == ([], [query.pk])

    asks.post(at("query_reopen", query.pk), {"text": "어디서 쟀습니까?"})
    assert listed(answers) == [query.pk]
    answers.post(at("query_answer", query.pk), {"text": "외래에서요."})
    assert asks.post(at("query_close", query.pk), {"text": ""}).status_code == 302
    assert now(query).state == "closed"
    assert listed(asks, state="closed") == [query.pk]
    texts = [turn.text for turn in asks.get(at("query", query.pk)).context["thread"].turns]
    assert texts == ["몇 kg입니까?", "64.5입니다.", "어디서 쟀습니까?", "외래에서요.", ""]


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_empty_or_forbidden_text_is_refused_and_kept_on_the_screen(
    as_: Callable[..., Client],
    coordinator: User,
    entry: Entry,
    ask: Callable[..., Query],
    headers: dict[str, str],
) -> None:
    client, query = as_(coordinator), ask(entry)
    for text in ("  ", "주민번호 800505-2234567", "x" * 100_000):
        answer = client.post(at("query_answer", query.pk), {"text": text}, headers=headers)
        assert answer.status_code == 422
        assert "text" in answer.context["thread"].form.errors
        assert text.strip()[:40] in answer.content.decode()
    assert now(query).state == "open"


def test_an_answer_in_place_gives_the_thread_alone(
    as_: Callable[..., Client], coordinator: User, entry: Entry, ask: Callable[..., Query]
) -> None:
    query = ask(entry)
    url = at("query_answer", query.pk)
    html = as_(coordinator).post(url, {"text": "맞습니다."}, headers=HTMX).content.decode()
    assert "<html" not in html
    assert f'id="query-{query.pk}"' in html
    assert "맞습니다." in html
    assert "<textarea" not in html


def test_without_scripts_one_comes_back_to_where_one_was(
    as_: Callable[..., Client], coordinator: User, entry: Entry, ask: Callable[..., Query]
) -> None:
    client, query = as_(coordinator), ask(entry)
    here = at("entry", entry.pk)
    url = at("query_answer", query.pk)
    answer = client.post(url, {"text": "맞습니다.", "next": here})
    assert answer.headers["Location"] == f"{here}#query-{query.pk}"
    other = ask(entry)
    url = at("query_answer", other.pk)
    answer = client.post(url, {"text": "네.", "next": "https://evil.example/"})
    assert answer.headers["Location"] == at("query", other.pk)


def test_a_soft_check_is_confirmed_in_its_own_words(
    as_: Callable[..., Client], coordinator: User, entry: Entry
) -> None:
    with seeing(entry.site):
        save_entry(entry=entry, changes={"height": "215"}, by=actor(coordinator, entry.site))
        query = Query.objects.get()
    client = as_(coordinator)
    page = client.get(at("query", query.pk))
    assert page.context["thread"].question.startswith("키가 통상 범위")
    client.post(reverse("set_language"), {"language": "en"})
    page = client.get(at("query", query.pk))
    assert page.context["thread"].question.startswith("The height is outside")
    client.post(at("query_answer", query.pk), {"text": "농구 선수"})
    assert now(query).state == "closed"


def test_the_list_is_what_the_url_says(
    as_: Callable[..., Client],
    monitor: User,
    coordinator: User,
    coordinator2: User,
    auditor: User,
    entry: Entry,
    djj: Site,
    participant: Callable[..., Participant],
    ask: Callable[..., Query],
) -> None:
    first, second = ask(entry), ask(entry, "왜요?", "")
    there = participant(djj)
    with seeing(djj):
        event = report(there, actor(coordinator2, djj))
        third = ask_query(adverse_event=event, text="언제?", by=actor(monitor, djj))
    with seeing(entry.site):
        answer_query(query=second, text="네", by=actor(coordinator, entry.site))
    client = as_(monitor)
    assert listed(client) == [second.pk]
    assert listed(client, state="unresolved") == [first.pk, second.pk, third.pk]
    assert listed(client, state="open", site="DJJ") == [third.pk]
    assert listed(client, state="all", participant=there.number) == [third.pk]
    assert listed(client, state="closed") == []
    assert listed(as_(auditor)) == [first.pk, second.pk, third.pk]
    assert listed(as_(coordinator)) == [first.pk]
    assert listed(as_(coordinator), state="all") == [first.pk, second.pk]
    # Coordinator at one site, monitor at the other: both turns are theirs.
    assert listed(as_(coordinator2)) == [second.pk, third.pk]
    tabs = client.get(at("queries")).context["tabs"]
    assert [tab["count"] for tab in tabs[:2]] == [1, 3]


def test_the_list_costs_the_same_for_many_and_logs_whose_data_it_shows(
    as_: Callable[..., Client],
    coordinator: User,
    entry: Entry,
    ask: Callable[..., Query],
) -> None:
    client = as_(coordinator)
    ask(entry)
    client.get(at("queries"))
    with CaptureQueriesContext(connection) as one:
        client.get(at("queries"))
    for item in ("height", "occupation", ""):
        ask(entry, "왜요?", item)
    with CaptureQueriesContext(connection) as many:
        client.get(at("queries"))
    assert len(many) == len(one) <= LIST_QUERIES
    with seeing(entry.site):
        assert entry.participant_id in set(
            AccessLog.objects.filter(route="queries").values_list("participant_id", flat=True)
        )


def test_a_locked_site_takes_no_turn(
    as_: Callable[..., Client],
    coordinator: User,
    datamanager: User,
    entry: Entry,
    ask: Callable[..., Query],
) -> None:
    query = ask(entry)
    with seeing(entry.site), acting(actor(datamanager, entry.site)):
        Lock.objects.create(site=entry.site, locked_by=datamanager)
    assert as_(coordinator).post(at("query_answer", query.pk), {"text": "네"}).status_code == 409
    assert now(query).state == "open"


# Who may -----------------------------------------------------------------------------------------


@pytest.mark.requirement("G06")
@pytest.mark.parametrize("name", ["monitor", "datamanager", "safety", "auditor", "admin"])
def test_only_the_site_answers(
    as_: Callable[..., Client],
    request: pytest.FixtureRequest,
    entry: Entry,
    ask: Callable[..., Query],
    name: str,
) -> None:
    query = ask(entry)
    client = as_(request.getfixturevalue(name))
    assert client.post(at("query_answer", query.pk), {"text": "네"}).status_code == 403
    assert now(query).state == "open"


@pytest.mark.parametrize("name", ["coordinator", "investigator", "auditor", "admin"])
def test_the_site_asks_and_closes_nothing(
    as_: Callable[..., Client],
    request: pytest.FixtureRequest,
    entry: Entry,
    ask: Callable[..., Query],
    name: str,
) -> None:
    query = ask(entry)
    client = as_(request.getfixturevalue(name))
    for route in ("query_close", "query_reopen"):
        assert client.post(at(route, query.pk), {"text": "x"}).status_code == 403
    told = {"item": "", "text": "x"}
    assert client.post(at("entry_ask", entry.pk), told).status_code == 403
    assert now(query).state == "open"


def test_another_sites_query_does_not_exist(
    as_: Callable[..., Client],
    coordinator2: User,
    needle_coordinator: User,
    entry: Entry,
    ask: Callable[..., Query],
) -> None:
    query = ask(entry)
    # Monitor at this site, coordinator elsewhere: may close here, may not answer here.
    client = as_(coordinator2)
    assert client.get(at("query", query.pk)).status_code == 200
    assert client.post(at("query_answer", query.pk), {"text": "x"}).status_code == 404
    assert as_(needle_coordinator).get(at("query", query.pk)).status_code == 404
    url = reverse("query", args=["needle", query.pk])
    assert as_(needle_coordinator).get(url).status_code == 404


def test_an_act_opened_as_a_page_leads_to_the_thread(
    as_: Callable[..., Client], monitor: User, entry: Entry, ask: Callable[..., Query]
) -> None:
    query = ask(entry)
    answer = as_(monitor).get(at("query_close", query.pk))
    assert answer.headers["Location"] == at("query", query.pk)
