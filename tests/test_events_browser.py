"""Adverse events in a real browser: the queue by keyboard, the form with and without scripts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from crf.models import Query
from crf.services import ask_query
from registry.models import Participant
from safety.models import AdverseEvent, AEReview
from sites.models import Site, User
from tests import browser as chromium
from tests.browser import PATIENCE, sign_in
from tests.cast import actor, seeing
from tests.events import PNEUMOTHORAX, SERIOUS, SURE, report

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)

# Fixtures of real browsers; a name of this module is one that its tests may ask for.
browser_context_args = chromium.browser_context_args
browser_type_launch_args = chromium.browser_type_launch_args
complaints = chromium.complaints
open_as = chromium.open_as
server = chromium.server

Open = Callable[..., Page]
WIDTHS = (1280, 820, 390)


def at(name: str, *args: Any) -> str:
    return reverse(name, args=["uspp", *args])


@pytest.fixture
def person(jss: Site, participant: Callable[..., Participant]) -> Participant:
    return participant(jss)


@pytest.fixture
def events(person: Participant, coordinator: User) -> list[AdverseEvent]:
    """Three events in the order of the queue: serious, moderate, mild."""
    with seeing(person.site):
        by = actor(coordinator, person.site)
        made = [report(person, by), report(person, by, grade=2), report(person, by, **SERIOUS)]
    return made[::-1]


def decisions(site: Site) -> int:
    with seeing(site):
        return AEReview.objects.count()


def row_link(event: AdverseEvent) -> str:
    return f"#event-{event.pk} .row-link"


def test_the_queue_by_keyboard_a_second_enter_decides_nothing(
    open_as: Open,
    monitor: User,
    jss: Site,
    events: list[AdverseEvent],
) -> None:
    page = open_as(monitor, at("events"))
    page.keyboard.press("j")
    expect(page.locator(row_link(events[0]))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#event-pane [data-pane-heading]")).to_be_focused()
    expect(page.locator("#event-pane")).to_contain_text(events[0].symptom)

    page.locator("#event-pane [data-key='1']").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(f"[data-decided='{events[0].pk}']")).to_be_visible()
    expect(page.locator(row_link(events[1]))).to_be_focused()
    assert decisions(jss) == 1
    page.keyboard.press("Enter")
    expect(page.locator("#event-pane")).to_contain_text("2.")
    expect(page.locator("#event-pane [data-review]")).to_be_visible()
    assert decisions(jss) == 1

    page.keyboard.press("1")
    expect(page.locator(f"[data-decided='{events[1].pk}']")).to_be_visible()
    expect(page.locator(row_link(events[2]))).to_be_focused()
    page.keyboard.press("1")  # nothing is open any more that could be decided
    page.keyboard.press("k")
    expect(page.locator(row_link(events[1]))).to_be_focused()
    assert decisions(jss) == 2


def test_shortcuts_work_with_a_hangul_keyboard_and_can_be_switched_off(
    open_as: Open,
    monitor: User,
    events: list[AdverseEvent],
) -> None:
    page = open_as(monitor, at("events"))
    press = """(key) => document.activeElement.dispatchEvent(new KeyboardEvent(
        "keydown", {key, code: "KeyJ", bubbles: true, cancelable: true}))"""
    page.evaluate(press, "ㅓ")
    expect(page.locator(row_link(events[0]))).to_be_focused()
    page.evaluate(press, "Process")
    expect(page.locator(row_link(events[1]))).to_be_focused()
    page.evaluate("() => { document.documentElement.dataset.shortcuts = 'off' }")
    page.evaluate(press, "j")
    expect(page.locator(row_link(events[1]))).to_be_focused()


def test_typing_a_note_is_no_shortcut_and_a_missing_note_takes_the_focus(
    open_as: Open,
    monitor: User,
    jss: Site,
    events: list[AdverseEvent],
) -> None:
    page = open_as(monitor, at("events"))
    page.locator(row_link(events[0])).click()
    page.locator("#event-pane [name=decision][value=duplicate]").click()
    note = page.locator("#event-pane [name=note]")
    expect(note).to_be_focused()
    note.press_sequentially("1번과 같음 j1")
    expect(note).to_have_value("1번과 같음 j1")
    assert decisions(jss) == 0
    page.locator("#event-pane [name=decision][value=duplicate]").click()
    expect(page.locator("[data-decided]")).to_be_visible()
    assert decisions(jss) == 1


def test_two_monitors_at_once_and_the_second_is_told(
    open_as: Open,
    monitor: User,
    safety: User,
    jss: Site,
    events: list[AdverseEvent],
    browser: Browser,
) -> None:
    first = open_as(monitor, at("events"))
    first.locator(row_link(events[0])).click()
    expect(first.locator("#event-pane [data-review]")).to_be_visible()
    other = browser.new_context(viewport={"width": 1280, "height": 900}, locale="ko-KR")
    second = open_as(safety, at("events"), other)
    second.locator(row_link(events[0])).click()
    second.locator("#event-pane [data-key='1']").click()
    expect(second.locator("[data-decided]")).to_be_visible()
    first.locator("#event-pane [data-key='1']").click()
    told = first.locator("#event-pane [role=alert]")
    expect(told).to_contain_text("safety")
    expect(told).to_be_focused()
    assert decisions(jss) == 1
    other.close()


def test_a_tablet_decides_on_the_page_and_comes_back_to_the_next_row(
    open_as: Open,
    monitor: User,
    events: list[AdverseEvent],
    browser: Browser,
) -> None:
    tablet = browser.new_context(viewport={"width": 820, "height": 1180}, locale="ko-KR")
    page = open_as(monitor, at("events"), tablet)
    page.locator(row_link(events[0])).click()
    page.wait_for_url(f"**{at('event', events[0].pk)}**")
    page.locator("[data-review] [value=reviewed]").click()
    expect(page.locator(row_link(events[1]))).to_be_focused()
    expect(page.locator(row_link(events[0]))).to_have_count(0)
    tablet.close()


def fill_in(page: Page, day: dt.date) -> None:
    page.locator("[name=symptom]").fill("숨이 차고 가슴이 아픔")
    for name in ("onset", "aware_on"):
        for part, value in zip(("year", "month", "day"), day.isoformat().split("-"), strict=True):
            page.locator(f"[name={name}_{part}]").fill(value)


def pick(page: Page, name: str, value: str) -> None:
    page.locator(f".tile:has([name={name}][value='{value}'])").click()


def test_a_coordinator_reports_with_the_look_up_and_the_suggestion(
    open_as: Open,
    coordinator: User,
    person: Participant,
) -> None:
    page = open_as(coordinator, at("event_new", person.pk))
    day = person.site.today() - dt.timedelta(days=1)
    fill_in(page, day)
    page.locator("[data-find]").press_sequentially("기흉")
    found = page.locator(f"#term-results .tile:has([value='{PNEUMOTHORAX}'])")
    expect(found).to_be_visible()
    page.locator("[data-find]").press("Enter")
    found.click()
    expect(page.locator("#grades [role=status]")).to_be_visible()
    pick(page, "grade", "3")
    pick(page, "outcome", "2")
    expect(page.locator(".criteria")).to_be_hidden()
    pick(page, "serious", "yes")
    expect(page.locator(".criteria")).to_be_visible()
    pick(page, "seriousness", "hospitalisation")
    page.locator("#umc > summary").click()
    for name, answer in SURE.items():
        page.locator(f"[name=umc_{name}]").select_option(answer)
    expect(page.locator("#suggestion strong")).to_be_visible()
    assert page.locator("[name=causality]:checked").count() == 0
    pick(page, "causality", "probable")
    page.locator(".event-form .button.primary").click()
    page.wait_for_url("**/events/*/")
    expect(page.locator(".serious")).to_be_visible()
    with seeing(person.site):
        event = AdverseEvent.objects.get()
    assert (event.term, event.grade, event.onset) == (PNEUMOTHORAX, 3, str(day))
    assert (event.causality, event.suggested_causality) == ("probable", "certain")


def test_the_same_without_scripts(
    server: str,
    coordinator: User,
    person: Participant,
    browser: Browser,
) -> None:
    plain = browser.new_context(java_script_enabled=False, locale="ko-KR")
    sign_in(plain, coordinator, server)
    page = plain.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server + at("event_new", person.pk))
    fill_in(page, person.site.today())
    page.locator("[data-find]").fill("기흉")
    page.locator("[name=do][value=find]").click()
    expect(page.locator("[name=symptom]")).to_have_value("숨이 차고 가슴이 아픔")
    pick(page, "term", PNEUMOTHORAX)
    for name, value in {
        "grade": "1",
        "outcome": "2",
        "serious": "no",
        "causality": "possible",
    }.items():
        pick(page, name, value)
    page.locator(".event-form .button.primary").click()
    expect(page.locator("h1")).to_contain_text("숨이 차고")
    with seeing(person.site):
        assert AdverseEvent.objects.get().term == PNEUMOTHORAX
    plain.close()


def test_a_query_is_answered_in_place(
    open_as: Open,
    coordinator: User,
    monitor: User,
    events: list[AdverseEvent],
) -> None:
    event = events[0]
    with seeing(event.site):
        by = actor(monitor, event.site)
        query = ask_query(adverse_event=event, item="onset", text="며칠입니까?", by=by)
    page = open_as(coordinator, at("event", event.pk))
    thread = page.locator(f"#query-{query.pk}")
    thread.locator("textarea").fill("3일 전입니다.")
    thread.locator(".button.primary").click()
    expect(thread.locator(".q-answered")).to_be_visible()
    expect(thread).to_contain_text("3일 전입니다.")
    assert page.url.endswith(at("event", event.pk))
    with seeing(event.site):
        assert Query.objects.get().state == "answered"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_breaks_a_rule_of_accessibility(
    open_as: Open,
    coordinator: User,
    monitor: User,
    events: list[AdverseEvent],
    browser: Browser,
    theme: str,
) -> None:
    with seeing(events[0].site):
        by = actor(monitor, events[0].site)
        query = ask_query(adverse_event=events[0], text="며칠입니까?", by=by)
    visits = {
        monitor: [at("events"), at("event", events[0].pk), at("queries") + "?state=all"],
        coordinator: [
            at("event_new", events[0].participant_id),
            at("event_edit", events[0].pk),
            at("event_history", events[0].pk),
            at("query", query.pk),
        ],
    }
    for user, paths in visits.items():
        context = browser.new_context(color_scheme=theme, locale="ko-KR")  # type: ignore[arg-type]
        page = open_as(user, paths[0], context)
        for path in paths:
            page.goto(page.url.split("/uspp/")[0] + path)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                found = Axe().run(page)
                assert found.violations_count == 0, f"{path} at {width}: {found.generate_report()}"
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{path} is {wide} wide at {width}"
        context.close()
