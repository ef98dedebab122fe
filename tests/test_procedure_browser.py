"""A treatment typed in real Chromium: rows by keys, the body chart, and copying from last time."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from crf.models import Entry
from crf.services import add_entry, copy_last, save_entry
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
    sign_in,
)
from tests.cast import actor, seeing

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)

SAVED = "[data-save-line][data-state=saved][data-unsaved='0']"
LAST = {
    "performed_on": "2026-03-02",
    "purpose": ["guiding"],
    "product_1": "SHINBARO2",
    "volume_1": "2",
    "lot_1": "L-1",
    "target_site_1": "L4-L5",
    "target_side_1": "left",
    "target_1": "FACET",
    "max_insertion": "35",
    "probe": "linear",
}


@pytest.fixture
def person(fresh_database: Any, participant: Any, jss: Site) -> Participant:
    return participant(jss)


@pytest.fixture
def entry(person: Participant, coordinator: User, jss: Site) -> Entry:
    with seeing(jss):
        return add_entry(participant=person, instrument="procedure", by=actor(coordinator, jss))


@pytest.fixture
def page(open_as: Any, entry: Entry, coordinator: User) -> Page:  # noqa: F811
    page: Page = open_as(coordinator, f"/uspp/entries/{entry.pk}/")
    page.wait_for_selector("form#entry[data-ready]")
    return page


def stored(entry: Entry) -> dict[str, Any]:
    with seeing(entry.site):
        return dict(Entry.objects.get(pk=entry.pk).answers)


def left(page: Page) -> None:
    """Whatever was typed is left, and saved."""
    page.evaluate("document.activeElement.blur()")
    page.wait_for_selector(SAVED)


def typed(page: Page, *keys: str) -> None:
    """Presses keys one after the other; a word that begins with ' is typed letter by letter."""
    for key in keys:
        if key.startswith("'"):
            page.keyboard.type(key[1:])
        else:
            page.keyboard.press(key)


def at(page: Page, item: str) -> None:
    """The focus is in this question: whoever goes on typing answers it."""
    expect(page.locator(f"#q-{item} .answer :focus")).to_have_count(1)


def test_a_whole_treatment_is_typed_without_the_mouse(page: Page, entry: Entry) -> None:
    page.focus("#f-performed_on")
    typed(page, "'20260302", "Enter")
    at(page, "purpose")
    typed(page, "2", "Enter")
    at(page, "product_1")
    typed(page, "'봉독", "Enter")
    at(page, "volume_1")
    typed(page, "'1.5cc", "Enter", "'L-2401", "Enter")
    at(page, "product_2")  # a next row opens by itself …
    typed(page, "'신바로2", "Enter", "'2", "Enter", "'L-2402", "Enter")
    at(page, "product_3")
    typed(page, "Enter")  # … and an empty one is left by Enter
    at(page, "skin_test")
    expect(page.locator("#g-products [data-row='3']")).to_be_hidden()
    typed(page, "1")
    at(page, "venom_allergy")
    typed(page, "2")
    at(page, "point_1")
    typed(page, "'BL23", "Enter")
    at(page, "point_side_1")
    typed(page, "3")
    at(page, "point_2")
    typed(page, "'신유", "Backspace", "Backspace", "Enter")
    at(page, "target_site_1")
    typed(page, "'L45", "Enter")
    at(page, "target_side_1")
    typed(page, "1")
    at(page, "target_1")
    typed(page, "'후관", "Enter")
    at(page, "target_site_2")
    typed(page, "Enter")
    at(page, "max_insertion")
    typed(page, "'3.5cm", "Enter", "6", "'50", "Enter", "1", "'12", "Enter", "1", "1", "1", "1")
    left(page)
    assert stored(entry) == {
        "performed_on": "2026-03-02",
        "purpose": ["guiding"],
        "product_1": "BV",
        "volume_1": "1.5",
        "lot_1": "L-2401",
        "product_2": "SHINBARO2",
        "volume_2": "2",
        "lot_2": "L-2402",
        "skin_test": "negative",
        "venom_allergy": "no",
        "point_1": "BL23",
        "point_side_1": "bilateral",
        "target_site_1": "L4-L5",
        "target_side_1": "left",
        "target_1": "FACET",
        "max_insertion": "35",
        "needle_gauge": "g29",
        "needle_length": "50",
        "probe": "linear",
        "probe_frequency": "12",
        "approach": "in_plane",
        "disinfection": "alcohol",
        "probe_cover": "yes",
        "sterile_gloves": "yes",
    }
    expect(page.locator("#f-max_insertion")).to_have_value("35")


def spot(page: Page, site: str, side: str) -> Any:
    return page.locator(f".spot[data-site='{site}'][data-side='{side}']")


def test_the_chart_and_the_rows_say_the_same(page: Page, entry: Entry) -> None:
    spot(page, "C5-C6", "left").click()
    expect(page.locator("#f-target_site_1")).to_have_value("C5-C6")
    expect(page.locator("#q-target_side_1 input[value=left]")).to_be_checked()
    expect(spot(page, "C5-C6", "left")).to_have_attribute("aria-selected", "true")
    spot(page, "C5-C6", "right").click()
    expect(page.locator("#q-target_side_1 input[value=bilateral]")).to_be_checked()
    spot(page, "BUTTOCK", "right").click()
    expect(page.locator("#f-target_site_2")).to_have_value("BUTTOCK")
    left(page)
    assert stored(entry) == {
        "target_site_1": "C5-C6",
        "target_side_1": "bilateral",
        "target_site_2": "BUTTOCK",
        "target_side_2": "right",
    }
    # The other way round: what is typed is marked.
    page.fill("#f-target_site_2", "")
    page.locator("#f-target_site_2").press_sequentially("L5S1")
    page.keyboard.press("Enter")
    expect(spot(page, "L5-S1", "right")).to_have_attribute("aria-selected", "true")
    expect(spot(page, "BUTTOCK", "right")).to_have_attribute("aria-selected", "false")
    # Pressed again it goes, and the rows close up.
    spot(page, "C5-C6", "left").click()
    spot(page, "C5-C6", "right").click()
    left(page)
    assert stored(entry) == {"target_site_1": "L5-S1", "target_side_1": "right"}


def test_a_structure_is_never_lost_by_the_chart(page: Page, entry: Entry) -> None:
    spot(page, "L4-L5", "left").click()
    page.locator("#f-target_1").press_sequentially("후관")
    page.keyboard.press("Enter")
    spot(page, "L4-L5", "left").click()
    expect(page.locator("[data-chart-said]")).not_to_be_empty()
    left(page)
    assert stored(entry) == {"target_site_1": "L4-L5", "target_1": "FACET"}


def test_the_chart_is_worked_by_keys(page: Page, entry: Entry) -> None:
    low_back = page.locator(".spine").nth(1)
    low_back.locator(".spot[tabindex='0']").focus()
    typed(page, "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "Space")
    expect(spot(page, "L2-L3", "right")).to_be_focused()
    expect(spot(page, "L2-L3", "right")).to_have_attribute("aria-selected", "true")
    typed(page, "ArrowLeft", "Enter")
    left(page)
    assert stored(entry) == {"target_site_1": "L2-L3", "target_side_1": "midline"}
    assert low_back.locator(".spot[tabindex='0']").count() == 1


@pytest.fixture
def last(entry: Entry, person: Participant, coordinator: User, jss: Site) -> Entry:
    """A treatment of this participant that was written before this one."""
    by = actor(coordinator, jss)
    with seeing(jss):
        other = add_entry(participant=person, instrument="procedure", by=by)
        save_entry(entry=other, changes=LAST, by=by)
    return other


def test_last_time_is_copied_by_one_key_and_taken_back(
    last: Entry, page: Page, entry: Entry
) -> None:
    with page.expect_navigation():
        page.keyboard.press("l")
    page.wait_for_selector("form#entry[data-ready]")
    expect(page.locator("#f-product_1")).to_have_value("SHINBARO2")
    expect(page.locator("#f-lot_1")).to_have_value("")
    expect(page.locator("#f-performed_on")).to_have_value("")
    expect(page.locator("#q-volume_1 .copied-mark")).to_be_visible()
    expect(spot(page, "L4-L5", "left")).to_have_attribute("aria-selected", "true")
    page.fill("#f-volume_1", "3")
    page.keyboard.press("Tab")
    expect(page.locator("#q-volume_1 .copied-mark")).to_have_count(0)
    expect(page.locator("#q-product_1 .copied-mark")).to_be_visible()
    with page.expect_navigation():
        page.locator("button[value='copied.undo']").click()
    page.wait_for_selector("form#entry[data-ready]")
    assert stored(entry) == {"volume_1": "3"}
    expect(page.locator("button[value='copied.copy']")).to_be_visible()


def test_copied_answers_are_confirmed_part_by_part(last: Entry, page: Page, entry: Entry) -> None:
    with page.expect_navigation():
        page.locator("[data-copy]").click()
    with page.expect_navigation():
        page.locator("button[value='copied.confirm.target']").click()
    expect(page.locator("#q-target_1 .copied-mark")).to_have_count(0)
    expect(page.locator("#q-product_1 .copied-mark")).to_be_visible()
    with page.expect_navigation():
        page.locator("button[value='copied.confirm']").click()
    expect(page.locator(".copied-mark")).to_have_count(0)
    assert stored(entry).keys() == LAST.keys() - {"performed_on", "lot_1"}


def test_the_treatments_since_the_last_visit_are_typed_in_lines(
    person: Participant,
    coordinator: User,
    jss: Site,
    open_as: Any,  # noqa: F811
) -> None:
    by = actor(coordinator, jss)
    with seeing(jss):
        first = person.entries.get(instrument="concurrent", visit__code="w0")
        save_entry(entry=first, changes={"acupuncture": "yes", "acupuncture_count": "4"}, by=by)
        visit = person.visits.get(code="w1")
        record_visit(visit=visit, on=jss.today(), out_of_window_reason="대상자 사정", by=by)
        entry = person.entries.get(instrument="concurrent", visit=visit)
    page: Page = open_as(coordinator, f"/uspp/entries/{entry.pk}/")
    page.wait_for_selector("form#entry[data-ready]")
    expect(page.locator("#line-acupuncture_line .line-before")).to_contain_text("4 회")
    page.focus("#f-acupuncture")
    typed(page, "1")
    at(page, "acupuncture_count")
    typed(page, "'3", "Enter")
    at(page, "herbal")
    typed(page, "2", "2", "2", "1")
    at(page, "chuna_count")
    left(page)
    assert stored(entry) == {
        "acupuncture": "yes",
        "acupuncture_count": 3,
        "herbal": "no",
        "moxibustion": "no",
        "cupping": "no",
        "chuna": "yes",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 820, 390])
def test_nothing_keeps_anybody_out_of_a_treatment(
    last: Entry, page: Page, entry: Entry, coordinator: User, width: int, scheme: Any
) -> None:
    with seeing(entry.site):
        copy_last(entry=entry, by=actor(coordinator, entry.site))
    page.reload()
    page.wait_for_selector("form#entry[data-ready]")
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()
    small = page.evaluate(
        """[...document.querySelectorAll('#entry .tile, #entry .button, #entry .spot rect')]
        .filter((each) => each.checkVisibility())
        .map((each) => each.getBoundingClientRect())
        .filter((box) => box.width < 43.5 || box.height < 43.5).length"""
    )
    assert small == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
