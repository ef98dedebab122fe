"""Today and the grid as one works with them: lists and where they lead, and the way back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from playwright.sync_api import Page, expect

from crf.models import Query
from crf.services import ask_query, save_entry
from registry.models import Participant, SavedView
from safety.models import AdverseEvent
from sites.models import Site, User
from tests import event_pages as shared
from tests.browser import (  # noqa: F401
    PATIENCE,
    browser_context_args,
    browser_type_launch_args,
    complaints,
    open_as,
    server,
)
from tests.cast import actor, seeing

day, person, make = shared.day, shared.person, shared.make
expect.set_options(timeout=PATIENCE)


def at(name: str, *args: Any) -> str:
    return reverse(name, args=["uspp", *args])


def text(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


@pytest.fixture
def page(as_: Callable[..., Client], coordinator: User) -> Client:
    return as_(coordinator)


def lists(answer: Any) -> dict[str, Any]:
    return {each.name: each for each in answer.context["lists"]}


# Today -------------------------------------------------------------------------------------------


def test_today_says_as_of_when_at_the_site(page: Client, participant: Any, jss: Site) -> None:
    participant(jss, days_ago=40)
    assert re.search(r"\b\d\d:\d\d \+09:00", text(page.get(at("today"))))


def test_each_list_leads_to_the_whole_of_it(page: Client, participant: Any, jss: Site) -> None:
    late, begun = participant(jss, stage="enrolled", days_ago=40), participant(jss, days_ago=0)
    found = lists(page.get(at("today")))
    assert set(found) >= {"overdue", "forms"}
    for name, whose in (("overdue", {late.pk}), ("forms", {begun.pk})):
        listed = page.get(found[name].more_url).context["rows"]
        assert {row.participant.pk for row in listed} == whose
    assert all(each.more_url for each in found.values())


def test_an_event_is_followed_up_until_it_has_ended(
    page: Client,
    person: Participant,
    make: Callable[..., AdverseEvent],
) -> None:
    make(person, outcome="1", ended="")
    still = make(person, outcome="3", ended="")
    found = lists(page.get(at("today")))["ongoing"]
    assert [line.url for line in found.lines] == [at("event", still.pk)]
    rows = page.get(found.more_url).context["rows"]
    assert [row.event.pk for row in rows] == [still.pk]


# The grid ----------------------------------------------------------------------------------------


def whom(page: Client, **chosen: str) -> set[int]:
    return {row.participant.pk for row in page.get(at("participants"), chosen).context["rows"]}


def test_only_what_needs_me_is_another_thing_for_each(
    page: Client,
    as_: Callable[..., Client],
    monitor: User,
    participant: Any,
    jss: Site,
    make: Callable[..., AdverseEvent],
) -> None:
    late = participant(jss, stage="enrolled", days_ago=40)
    waiting = participant(jss, stage="enrolled", days_ago=0)
    early = participant(jss, stage="consented")
    make(early)
    assert late.pk in whom(page, need="me")
    assert early.pk not in whom(page, need="me")
    assert whom(as_(monitor), need="me") == {early.pk}
    assert whom(page) >= {late.pk, waiting.pk, early.pk}


def test_the_switch_keeps_the_other_filters(page: Client, participant: Any, jss: Site) -> None:
    participant(jss, days_ago=40)
    on = page.get(at("participants"), {"state": "enrolled", "page": "1"}).context["toggle"]
    assert on == "?state=enrolled&need=me"
    assert page.get(at("participants") + on).context["toggle"] == "?state=enrolled"


@pytest.mark.parametrize("need", ["me", "overdue", "due", "due_soon", "forms", "queries", "sign"])
def test_every_need_is_a_filter(page: Client, participant: Any, jss: Site, need: str) -> None:
    participant(jss, days_ago=40)
    assert page.get(at("participants"), {"need": need}).status_code == 200


def test_a_number_typed_whole_opens_the_participant(
    page: Client, participant: Any, jss: Site
) -> None:
    first = participant(jss, stage="enrolled")
    participant(jss, stage="enrolled")
    typed = first.subject_number
    for said in (typed, typed.lower(), str(int(re.findall(r"\d+", typed)[-1]))):
        answer = page.get(at("participants"), {"q": said})
        assert (answer.status_code, answer["Location"]) == (302, at("participant", first.pk))
    part = page.get(at("participants"), {"q": typed[:-1]})
    assert len(part.context["rows"]) == 2


# Saved views -------------------------------------------------------------------------------------


def saved(page: Client, filters: str, **told: str) -> Any:
    return page.post(f"{at('saved_views')}?{filters}", {"do": "save", **told})


def tabs(page: Client) -> list[tuple[str, int]]:
    found = page.get(at("participants")).context["views"]
    return [(each["label"], each["count"]) for each in found]


def test_a_view_is_saved_under_a_name_and_counted(
    page: Client, participant: Any, jss: Site
) -> None:
    participant(jss, stage="enrolled", days_ago=40)
    participant(jss, stage="consented")
    filters = "need=overdue&state=enrolled&q=JSS-001&page=3"
    assert saved(page, filters, name="늦은 방문").status_code == 302
    assert tabs(page) == [("늦은 방문", 1)]
    view = SavedView.objects.get()
    assert (view.query, view.shared) == ("state=enrolled&need=overdue", False)  # and no number
    shown = page.get(f"{at('participants')}?{view.query}").context["views"]
    assert shown[0]["current"]


def test_a_view_of_everything_or_without_a_name_is_refused(page: Client) -> None:
    assert saved(page, "", name="전부").status_code == 422
    assert saved(page, "need=me", name=" ").status_code == 422
    assert not SavedView.objects.exists()


def test_a_view_is_mine_or_the_studys_and_each_counts_what_they_see(
    page: Client,
    as_: Callable[..., Client],
    investigator: User,
    coordinator2: User,
    participant: Any,
    jss: Site,
) -> None:
    participant(jss, days_ago=40)
    saved(page, "state=enrolled", name="모두의", shared="on")
    saved(page, "state=ended", name="내 것")
    assert tabs(page) == [("내 것", 0), ("모두의", 1)]
    assert tabs(as_(investigator)) == [("모두의", 1)]
    assert [name for name, _count in tabs(as_(coordinator2))] == ["모두의"]


def test_only_its_owner_renames_and_deletes_a_view(
    page: Client, as_: Callable[..., Client], investigator: User
) -> None:
    saved(page, "need=me", name="one", shared="on")
    saved(page, "need=due", name="two")
    one = str(SavedView.objects.get(name="one").pk)
    other = as_(investigator)
    for told in ({"do": "rename", "name": "x"}, {"do": "delete"}):
        assert other.post(at("saved_views"), {**told, "view": one}).status_code in (200, 409, 422)
    assert set(SavedView.objects.values_list("name", flat=True)) == {"one", "two"}
    taken = page.post(at("saved_views"), {"do": "rename", "view": one, "name": "two"})
    assert taken.status_code == 422
    page.post(at("saved_views"), {"do": "rename", "view": one, "name": "하나"})
    view = SavedView.objects.get(pk=one)
    assert (view.name, view.shared) == ("하나", False)
    page.post(at("saved_views"), {"do": "delete", "view": one})
    assert [view.name for view in SavedView.objects.all()] == ["two"]


def test_views_cost_one_statement_however_many(page: Client, participant: Any, jss: Site) -> None:
    participant(jss, days_ago=40)
    counts = []
    for name in "abc":
        saved(page, "need=me", name=name)
        page.get(at("participants"))
        with CaptureQueriesContext(connection) as captured:
            page.get(at("participants"))
        counts.append(len(captured))
    assert len(set(counts)) == 1


# The way back ------------------------------------------------------------------------------------


@pytest.fixture
def opened(participant: Any, jss: Site) -> str:
    return at("participant", participant(jss, days_ago=40).pk)


@pytest.mark.parametrize("asked", ["/uspp/#/uspp/visits/1/", "/uspp/queries/?state=mine"])
def test_a_page_leads_back_to_the_list_that_its_address_names(
    page: Client, opened: str, asked: str
) -> None:
    assert page.get(opened, {"back": asked}).context["back"] == asked


@pytest.mark.parametrize(
    "asked",
    [
        "https://example.org/uspp/",
        "//example.org/uspp/",
        "/\\example.org/uspp/",
        "javascript:alert(1)",
        "/account/logout/",
        "/uspp/people/",
        "",
    ],
)
def test_it_leads_nowhere_else(page: Client, opened: str, asked: str) -> None:
    answer = page.get(opened, {"back": asked})
    assert answer.context["back"] == ""
    assert "data-back" not in answer.content.decode()


@pytest.mark.parametrize(
    ("before", "back"),
    [
        ("http://testserver/uspp/participants/?need=due", "/uspp/participants/?need=due"),
        (f"http://testserver/uspp/entries/1/?back={quote('/uspp/#/x/')}", "/uspp/#/x/"),
        ("http://testserver/uspp/people/", ""),
        ("http://example.org/uspp/", ""),
    ],
)  # fmt: skip
def test_without_a_script_the_page_before_says_where(
    page: Client, opened: str, before: str, back: str
) -> None:
    assert page.get(opened, headers={"referer": before}).context["back"] == back


# In a browser ------------------------------------------------------------------------------------


@pytest.fixture
def desk(
    fresh_database: Any, participant: Any, jss: Site, coordinator: User, monitor: User
) -> Participant:
    """Two late participants, the second with a query."""
    participant(jss, days_ago=40)
    second: Participant = participant(jss, days_ago=30)
    with seeing(jss):
        entry = second.entries.get(visit__code="w0", instrument="nrs")
        save_entry(entry=entry, changes={"pain": 7}, by=actor(coordinator, jss))
        entry.refresh_from_db()
        ask_query(entry=entry, item="", text="확인?", by=actor(monitor, jss))
        assert Query.objects.count() == 1
    return second


def focused(shown: Page) -> str:
    return str(shown.evaluate("new URL(document.activeElement.href || 'x:/').pathname"))


@pytest.mark.browser
def test_one_comes_back_to_the_same_row_of_today(
    open_as: Any,  # noqa: F811
    desk: Participant,
    coordinator: User,
    complaints: list[str],  # noqa: F811
) -> None:
    shown: Page = open_as(coordinator, at("today"))
    line = shown.locator("section[aria-labelledby=overdue] li a").nth(1)
    path = line.evaluate("link => new URL(link.href).pathname")
    line.focus()
    shown.keyboard.press("Enter")
    shown.wait_for_url("**/visits/**")
    shown.locator("[data-back]").click()
    shown.wait_for_url(f"**{at('today')}#**")
    assert focused(shown) == path


@pytest.mark.browser
def test_keys_of_the_grid(
    open_as: Any,  # noqa: F811
    desk: Participant,
    coordinator: User,
    complaints: list[str],  # noqa: F811
) -> None:
    shown: Page = open_as(coordinator, at("participants"))
    shown.keyboard.press("f")
    expect(shown.locator("a.cell:focus")).to_have_class(re.compile("st-(overdue|due|started)"))
    first = focused(shown)
    shown.keyboard.press("f")
    assert focused(shown) != first
    shown.keyboard.press("q")
    expect(shown.locator("a.cell:focus .queries")).to_be_visible()
    path = focused(shown)
    shown.keyboard.press("Enter")
    shown.wait_for_url("**/visits/**")
    shown.locator("[data-back]").click()
    shown.wait_for_url(f"**{at('participants')}#**")
    assert focused(shown) == path
    shown.keyboard.press("/")
    expect(shown.locator("[data-search]")).to_be_focused()
