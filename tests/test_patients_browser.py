"""The participant's screens in real Chromium: equal tiles, nothing chosen, back, and the lock."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from registry.models import Participant
from registry.services import record_visit
from sites.models import Site, User
from tests.browser import (  # noqa: F401
    PATIENCE,
    browser_context_args,
    browser_type_launch_args,
    complaints,
    open_as,
    server,
)
from tests.cast import actor, seeing
from tests.desk import ko, watch
from tests.handed import FOLLOW_UP, entry_of, give, visit_of, with_code
from tests.test_pages_browser import AXE, TOO_WIDE

pytestmark = pytest.mark.browser

TILES = ".patient-tiles:not(.decline) .tile"


@pytest.fixture
def person(participant: Callable[..., Participant], jss: Site) -> Participant:
    return participant(jss, days_ago=30)


def looked_at(page: Page) -> None:
    """Nothing for axe, no name, and no screen wider than the window."""
    found = Axe().run(page, options=AXE).response["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []
    assert page.evaluate(TOO_WIDE) <= 0
    assert "홍길동" not in page.content()


def choose(page: Page, number: int = 0) -> None:
    page.locator(TILES).nth(number).click()


def onward(page: Page) -> None:
    page.locator("button.primary[value=next]").click()


def test_a_tablet_is_handed_over_answered_and_locked(open_as, coordinator, person):  # noqa: F811
    visit = visit_of(person)
    page = open_as(coordinator, f"/uspp/visits/{visit.pk}/handover/")
    page.set_viewport_size({"width": 820, "height": 1180})
    page.get_by_role("button", name=ko("Start on this device")).click()
    expect(page).to_have_url(re.compile("/p/start/$"))
    looked_at(page)
    page.get_by_role("link", name=ko("Begin", "questions")).click()
    # Nothing is chosen, every area is as large as its neighbour, all of it in one row.
    boxes = [tile.bounding_box() for tile in page.locator(TILES).all()]
    assert len(boxes) == 11
    assert {(round(box["width"]), round(box["height"]), round(box["y"])) for box in boxes} == {
        (round(boxes[0]["width"]), round(boxes[0]["height"]), round(boxes[0]["y"]))
    }
    assert boxes[0]["width"] >= 44
    assert boxes[0]["height"] >= 44
    assert page.locator("input:checked").count() == 0
    size = page.locator("legend h1").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    assert size >= 20
    # To choose moves nothing on; without an answer nothing moves at all.
    first = page.url
    choose(page, 7)
    expect(page).to_have_url(first)
    onward(page)
    expect(page.locator("#progress-l")).to_contain_text("2")
    onward(page)
    expect(page.locator("#q-error")).to_be_visible()
    assert page.locator("input:checked").count() == 0
    looked_at(page)
    # The browser's back button and a reload keep the answer.
    page.goto(first)
    expect(page.locator("input[value='7']")).to_be_checked()
    page.reload()
    expect(page.locator("input[value='7']")).to_be_checked()
    onward(page)
    choose(page, 2)
    page.get_by_role("button", name=ko("Back", "question"), exact=True).click()
    expect(page.locator("input[value='7']")).to_be_checked()
    onward(page)
    expect(page.locator("input[value='2']")).to_be_checked()
    while "/question/" in page.url:
        if page.locator(TILES).count():
            choose(page, 1)
        before = page.url
        onward(page)
        expect(page).not_to_have_url(before)
    looked_at(page)
    page.get_by_role("button", name=ko("Send the answers")).click()
    expect(page.get_by_role("heading", name=ko("Thank you"))).to_be_visible()
    looked_at(page)
    # Locked: back shows no answer, and the registry asks who is there.
    for _ in range(3):
        page.go_back()
        expect(page.locator("h1")).to_have_text(ko("Thank you"))
    page.goto(first)
    expect(page.locator("h1")).to_have_text(ko("Thank you"))
    page.get_by_role("link", name=ko("Sign in")).click()
    expect(page.locator("#id_password")).to_be_visible()
    assert f"/uspp/visits/{visit.pk}/" in page.url
    assert entry_of(visit, "nrs").answers == {"pain": 7}
    assert entry_of(visit, "ndi").answers["ndi_01"] == 1


def test_a_coordinator_changes_such_an_answer_only_with_a_reason(
    open_as,  # noqa: F811
    coordinator: User,
    person: Participant,
    jss: Site,
) -> None:
    visit, by = visit_of(person), actor(coordinator, jss)
    _handed, code = give(visit, by)
    tablet = with_code(code)
    tablet.post("/p/question/1/", {"pain": "4"})
    tablet.post("/p/review/")
    with seeing(jss):
        record_visit(visit=visit, on=jss.today(), by=by)
    page = open_as(coordinator, f"/uspp/entries/{entry_of(visit).pk}/")
    expect(page.locator("form#entry[data-ready]")).to_be_attached()
    source = page.locator("[data-source]")
    expect(source).to_be_visible()
    page.locator("#q-pain .answer .tile:has(input[value='6'])").click()
    reason = page.locator("#r-pain")
    expect(reason).to_be_visible()
    assert entry_of(visit).answers == {"pain": 4}
    reason.fill("전화로 정정")
    reason.press("Enter")
    expect(page.locator("[data-save-line][data-state=saved]")).to_be_visible()
    expect(source).to_have_count(0)
    assert entry_of(visit).answers == {"pain": 6}


@pytest.mark.parametrize(
    ("language", "theme", "width", "height", "script"),
    [
        ("ko", "light", 390, 844, False),
        ("en", "dark", 820, 1180, True),
        ("ko", "dark", 1180, 820, True),
    ],
)
def test_every_screen_of_a_link_at_home(
    browser: Browser,
    server: str,  # noqa: F811
    coordinator: User,
    person: Participant,
    jss: Site,
    language: str,
    theme: Any,
    width: int,
    height: int,
    script: bool,
) -> None:
    """axe needs scripts: without them the same screens are only answered."""
    visit = visit_of(person)
    _handed, token = give(visit, actor(coordinator, jss), *FOLLOW_UP, way="link")
    context = browser.new_context(
        color_scheme=theme,
        viewport={"width": width, "height": height},
        java_script_enabled=script,
    )
    context.add_cookies(
        [{"name": settings.LANGUAGE_COOKIE_NAME, "value": language, "url": server}]  # type: ignore[list-item]
    )
    said, page = watch(context), context.new_page()
    page.set_default_timeout(PATIENCE)
    look = looked_at if script else (lambda _page: None)
    page.goto(f"{server}/p/")
    look(page)
    page.goto(f"{server}/p/link/{token}/")
    assert urlsplit(page.url).path == "/p/birth/"
    look(page)
    page.locator("#born").fill("19800505")
    page.locator("main button.primary").click()
    look(page)
    page.locator(".patient-nav .primary").click()
    page.locator(".patient-tool").click()
    expect(page.locator("body.large")).to_be_visible()
    seen: set[str] = set()
    while "/question/" in page.url:
        tiles, before = page.locator(TILES), page.url
        if (form := page.locator(".patient-eyebrow").inner_text()) not in seen:
            seen.add(form)
            look(page)
        if tiles.count():
            heights = {round(tile.bounding_box()["height"]) for tile in tiles.all()}  # type: ignore[index]
            assert len(heights) == 1
            assert heights.pop() >= 44
            choose(page)
        else:
            look(page)
        onward(page)
        expect(page).not_to_have_url(before)
    assert len(seen) == len(FOLLOW_UP)
    look(page)
    page.locator("form.patient-nav button.primary").click()
    expect(page.locator(".patient-end")).to_be_visible()
    look(page)
    page.goto(f"{server}/p/link/{token}/")
    look(page)
    context.close()
    assert [each for each in said if "Failed to load resource" not in each] == []
