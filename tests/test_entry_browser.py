"""Entering a form in real Chromium: keys, saving, conflicts, and what happens when it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from crf.models import Entry, Lock
from crf.services import complete, save_entry
from registry.models import Participant
from sites.audit import acting
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

SAVED = "[data-save-line][data-state=saved]"


@pytest.fixture
def begun(
    fresh_database: Any, participant: Callable[..., Participant], jss: Site
) -> Callable[[str], Entry]:
    """The entry of an instrument at the first visit of one participant."""
    person = participant(jss)

    def entry(instrument: str) -> Entry:
        with seeing(jss):
            return Entry.objects.get(
                participant=person, instrument=instrument, visit__code="w0", voided_at=None
            )

    return entry


@pytest.fixture
def opened(open_as: Any, begun: Callable[[str], Entry], coordinator: User) -> Callable[[str], Page]:  # noqa: F811
    """The coordinator's page of a form, ready for keys."""

    def page_of(instrument: str, user: User | None = None) -> Page:
        page: Page = open_as(user or coordinator, f"/uspp/entries/{begun(instrument).pk}/")
        ready(page)
        return page

    return page_of


def ready(page: Page) -> None:
    page.wait_for_selector("form#entry[data-ready]")


def stored(jss: Site, begun: Callable[[str], Entry], instrument: str) -> dict[str, Any]:
    with seeing(jss):
        return dict(begun(instrument).answers)


def versions(jss: Site, begun: Callable[[str], Entry], instrument: str) -> int:
    """How many history rows the form has."""
    with seeing(jss):
        return int(begun(instrument).history.count())


def test_digit_keys_answer_question_after_question(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("ndi")
    page.focus("#f-ndi_01")
    page.keyboard.press("3")
    expect(page.locator("#q-ndi_02 input").first).to_be_focused()
    for digit in "0152430":
        page.keyboard.press(digit)
    page.wait_for_selector(SAVED)
    page.locator("#q-ndi_09 input[value='4']").click()
    page.locator("#q-ndi_10 input[value='5']").click()
    expect(page.locator("[data-answered]")).to_have_text("10")
    expect(page.locator("[data-output=ndi_percent]")).to_contain_text("%")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_selector(SAVED)
    answers = stored(jss, begun, "ndi")
    assert [answers[f"ndi_{n:02}"] for n in range(1, 11)] == [3, 0, 1, 5, 2, 4, 3, 0, 4, 5]


def test_one_waits_for_ten_and_fifteen_is_refused(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("nrs")
    page.focus("#f-pain")
    page.keyboard.press("1")
    expect(page.locator(".tile.pending")).to_have_count(1)
    page.keyboard.press("5")
    expect(page.locator("[data-not-on-scale]")).to_be_visible()
    expect(page.locator("#q-pain input:checked")).to_have_count(0)
    page.keyboard.press("1")
    page.keyboard.press("0")
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "nrs") == {"pain": 10}
    assert versions(jss, begun, "nrs") == 2  # expected, and one save: never "1" before "10"


def test_enter_takes_the_waiting_one(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("nrs")
    page.focus("#f-pain")
    page.keyboard.press("Numpad1")
    page.keyboard.press("Enter")
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "nrs") == {"pain": 1}


def test_keys_work_in_hangul_mode_and_can_be_switched_off(
    opened: Any, begun: Any, jss: Site
) -> None:
    page = opened("ndi")
    page.focus("#f-ndi_01")
    page.evaluate(
        """document.activeElement.dispatchEvent(new KeyboardEvent('keydown',
        {key: 'ㅓ', code: 'KeyJ', bubbles: true, cancelable: true}))"""
    )
    expect(page.locator("#q-ndi_02 input").first).to_be_focused()
    page.evaluate(
        """document.activeElement.dispatchEvent(new KeyboardEvent('keydown',
        {key: 'Process', code: 'Digit4', isComposing: true, bubbles: true, cancelable: true}))"""
    )
    expect(page.locator("#q-ndi_02 input:checked")).to_have_count(0)
    page.uncheck("#digits")
    page.focus("#f-ndi_02")
    page.keyboard.press("4")
    expect(page.locator("#q-ndi_02 input:checked")).to_have_count(0)
    assert stored(jss, begun, "ndi") == {}


def test_arrow_keys_pass_by_without_a_trace(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("nrs")
    page.focus("#f-pain")
    for _step in range(6):
        page.keyboard.press("ArrowRight")
    expect(page.locator("[data-save-line]")).to_have_attribute("data-state", "typing")
    page.keyboard.press("Tab")
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "nrs") == {"pain": 6}
    assert versions(jss, begun, "nrs") == 2


def test_a_slow_typist_leaves_one_answer(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("baseline")
    page.focus("#f-height")
    page.locator("#f-height").press_sequentially("１６８．５", delay=150)
    page.keyboard.press("Enter")
    expect(page.locator("#f-weight")).to_be_focused()
    page.wait_for_selector(SAVED)
    expect(page.locator("#f-height")).to_have_value("168.5")
    assert stored(jss, begun, "baseline") == {"height": "168.5"}
    assert versions(jss, begun, "baseline") == 2


def test_an_unlikely_value_is_kept_questioned_and_confirmed(
    opened: Any, begun: Any, jss: Site
) -> None:
    page = opened("baseline")
    page.fill("#f-height", "120")
    page.keyboard.press("Tab")
    check = page.locator("#q-height .check")
    expect(check).to_contain_text("130")
    check.locator("summary").click()
    check.locator("textarea").fill("차트에서 다시 확인함")
    check.locator("[data-confirm]").click()
    expect(page.locator("#q-height .check.confirmed")).to_be_visible()
    with seeing(jss):
        query = begun("baseline").queries.get()
        assert (query.state, query.value_at_confirmation) == ("closed", {"height": "120"})
        assert query.messages.last().text == "차트에서 다시 확인함"
    assert stored(jss, begun, "baseline") == {"height": "120"}


def test_a_resident_number_is_refused_beside_its_field(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("baseline")
    page.select_option("#f-occupation", "other")
    expect(page.locator("#q-occupation_other")).not_to_have_attribute("data-skipped", "")
    page.fill("#f-occupation_other", "환자 900101-1234567")
    page.keyboard.press("Tab")
    expect(page.locator("#q-occupation_other .field-error")).to_be_visible()
    expect(page.locator("#f-occupation_other")).to_have_value("환자 900101-1234567")
    expect(page.locator("[data-save-line]")).to_have_attribute("data-state", "error")
    assert stored(jss, begun, "baseline") == {"occupation": "other"}
    page.fill("#f-occupation_other", "=1+1")
    page.keyboard.press("Tab")
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "baseline")["occupation_other"] == "=1+1"


def test_what_depends_on_an_answer_follows_it_and_is_never_cleared(
    opened: Any, begun: Any, jss: Site
) -> None:
    page = opened("baseline")
    expect(page.locator("#q-cigarettes_per_day")).to_have_attribute("data-skipped", "")
    page.locator("#q-smoking input[value=current]").click()
    expect(page.locator("#q-cigarettes_per_day")).not_to_have_attribute("data-skipped", "")
    page.fill("#f-cigarettes_per_day", "10")
    page.keyboard.press("Tab")
    page.locator("#q-smoking input[value=never]").click()
    expect(page.locator("#q-cigarettes_per_day")).to_have_attribute("data-skipped", "")
    expect(page.locator("#f-cigarettes_per_day")).to_have_value("10")
    expect(page.locator("#q-cigarettes_per_day .check")).to_be_visible()
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "baseline") == {"smoking": "never", "cigarettes_per_day": 10}


def test_missing_with_its_reason_and_back(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("ndi")
    page.focus("#f-ndi_08")
    page.keyboard.press("m")
    page.locator("#q-ndi_08 .missing input[value=not_applicable]").click()
    page.wait_for_selector(SAVED)
    with seeing(jss):
        assert begun("ndi").meta["ndi_08"]["missing"] == "not_applicable"
    page.locator("#q-ndi_08 .answer input[value='2']").click()
    expect(page.locator("#q-ndi_08")).not_to_have_attribute("data-missing", "")
    page.wait_for_selector("[data-save-line][data-state=typing]")
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "ndi") == {"ndi_08": 2}


def test_a_diagnosis_is_found_by_its_korean_name(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("baseline")
    page.locator("#f-main_diagnosis").press_sequentially("요추 추간판")
    option = page.locator("#l-main_diagnosis [role=option]").first
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    code = page.input_value("#f-main_diagnosis")
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "baseline") == {"main_diagnosis": code}
    expect(page.locator("#q-main_diagnosis [data-coded]")).not_to_be_empty()


def test_rows_are_added_and_close_up(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("baseline")
    group = page.locator("#g-additional")
    for number, code in ((1, "M54.2"), (2, "M50.1"), (3, "M54.1")):
        if number > 1:
            group.locator("[data-row-add]").click()
        page.fill(f"#f-additional_diagnosis_{number}", code)
        page.keyboard.press("Escape")
        page.keyboard.press("Tab")
    expect(page.locator("#q-additional_diagnosis_3")).not_to_have_attribute("data-skipped", "")
    group.locator("[data-row='2'] [data-row-remove]").click()
    page.locator("[data-save-line][data-unsaved='0'][data-state=saved]").wait_for()
    assert stored(jss, begun, "baseline") == {
        "additional_diagnosis_1": "M54.2",
        "additional_diagnosis_2": "M54.1",
    }


def test_a_lost_connection_is_said_and_made_up_for_once(
    opened: Any, begun: Any, jss: Site, context: BrowserContext
) -> None:
    page = opened("nrs")
    context.set_offline(True)
    page.locator("#q-pain input[value='7']").click()
    line = page.locator("[data-save-line]")
    expect(line).to_have_attribute("data-state", "offline")
    assert stored(jss, begun, "nrs") == {}
    context.set_offline(False)
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "nrs") == {"pain": 7}
    assert versions(jss, begun, "nrs") == 2


def test_an_answer_that_got_lost_on_its_way_back_changes_nothing_twice(
    opened: Any, begun: Any, jss: Site
) -> None:
    page = opened("nrs")
    asked: list[str] = []

    def lose(route: Any) -> None:
        asked.append(route.request.post_data_json["op"])
        if len(asked) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/save/", lose)
    page.locator("#q-pain input[value='7']").click()
    expect(page.locator("[data-save-line]")).to_have_attribute("data-state", "offline")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.wait_for_selector(SAVED)
    assert len(asked) == 2
    assert asked[0] == asked[1]
    assert versions(jss, begun, "nrs") == 2


def test_two_people_on_one_form_choose_item_by_item(
    opened: Any, begun: Any, jss: Site, investigator: User
) -> None:
    page = opened("ndi")
    entry = begun("ndi")
    with seeing(jss):
        save_entry(entry=entry, changes={"ndi_01": 4, "ndi_02": 4}, by=actor(investigator, jss))
    page.locator("#q-ndi_03 input[value='1']").click()
    page.wait_for_selector(SAVED)  # different items merge
    page.locator("#q-ndi_01 input[value='2']").click()
    conflict = page.locator("#q-ndi_01 .conflict")
    expect(conflict).to_contain_text("investigator")
    expect(conflict.locator(".value")).to_have_text(["2", "4"])
    expect(page.locator("[data-save-line]")).to_have_attribute("data-state", "conflict")
    assert stored(jss, begun, "ndi") == {"ndi_01": 4, "ndi_02": 4, "ndi_03": 1}
    conflict.locator("[data-take=mine]").click()
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "ndi")["ndi_01"] == 2
    page.locator("#q-ndi_02 input[value='0']").click()
    page.locator("#q-ndi_02 [data-take=theirs]").click()
    expect(page.locator("#q-ndi_02 input[value='4']")).to_be_checked()
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "ndi")["ndi_02"] == 4


def test_a_completed_form_asks_for_a_reason_per_change(
    opened: Any, begun: Any, jss: Site, coordinator: User
) -> None:
    with seeing(jss):
        entry = begun("nrs")
        save_entry(entry=entry, changes={"pain": 3}, by=actor(coordinator, jss))
        complete(entry=entry, by=actor(coordinator, jss))
    page = opened("nrs")
    page.locator("#q-pain input[value='8']").click()
    expect(page.locator("#r-pain")).to_be_visible()
    expect(page.locator("[data-save-line]")).to_have_attribute("data-state", "error")
    assert stored(jss, begun, "nrs") == {"pain": 3}
    page.fill("#r-pain", "종이 서식을 잘못 읽음")
    page.keyboard.press("Tab")
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "nrs") == {"pain": 8}
    with seeing(jss):
        assert begun("nrs").history.first().history_change_reason == "종이 서식을 잘못 읽음"


def test_a_session_that_ends_while_typing_loses_nothing(
    opened: Any,
    begun: Any,
    jss: Site,
    coordinator: User,
    investigator: User,
    context: BrowserContext,
    server: str,  # noqa: F811
) -> None:
    page = opened("nrs")
    context.clear_cookies()
    page.locator("#q-pain input[value='9']").click()
    expect(page.locator("#signed-out")).to_be_visible()
    sign_in(context, investigator, server)
    page.locator("[data-retry]").click()
    expect(page.locator("[data-other-user]")).to_be_visible()  # never in somebody else's name
    assert stored(jss, begun, "nrs") == {}
    sign_in(context, coordinator, server)
    page.locator("[data-retry]").click()
    page.wait_for_selector(SAVED)
    assert stored(jss, begun, "nrs") == {"pain": 9}


def test_completing_points_at_what_is_open(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("ndi")
    page.locator("#q-ndi_01 input[value='1']").click()
    page.locator("[data-submit][value=complete]").click()
    expect(page.locator(".error-summary")).to_be_focused()
    assert page.title().startswith(("오류:", "Error:"))
    page.locator(".error-summary a").first.click()
    expect(page.locator("#f-ndi_02")).to_be_focused()
    for number in range(2, 11):
        page.locator(f"#q-ndi_{number:02} input[value='1']").click()
    here = page.url
    page.locator("[data-submit][value=complete]").click()
    page.wait_for_url(lambda url: url != here)
    with seeing(jss):
        assert begun("ndi").completed_at is not None


def test_a_form_of_the_lock_says_so(
    opened: Any, begun: Any, jss: Site, datamanager: User, participant: Any
) -> None:
    page = opened("nrs")
    with seeing(jss), acting(actor(datamanager, jss)):
        Lock.objects.create(site=jss, locked_by=datamanager)
    page.locator("#q-pain input[value='9']").click()
    expect(page.locator("#refused")).to_be_visible()
    expect(page.locator("[data-refused]")).not_to_be_empty()
    assert stored(jss, begun, "nrs") == {}


def test_history_of_a_question_opens_beside_it(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("nrs")
    page.locator("#q-pain input[value='9']").click()
    page.wait_for_selector(SAVED)
    page.locator("#q-pain [data-history]").click()
    expect(page.locator("#drawer .timeline li").first).to_contain_text("9")
    expect(page.locator("#drawer")).to_contain_text("coordinator")
    expect(page.locator("#drawer")).to_contain_text("+09:00")


def test_the_whole_form_works_without_scripts(
    begun: Any,
    jss: Site,
    coordinator: User,
    browser: Any,
    server: str,  # noqa: F811
) -> None:
    context = browser.new_context(java_script_enabled=False, locale="ko-KR")
    sign_in(context, coordinator, server)
    page = context.new_page()
    page.goto(f"{server}/uspp/entries/{begun('nrs').pk}/")
    page.locator("#q-pain input[value='6']").check()
    page.locator(".entry-bar button[value=complete]").click()
    with seeing(jss):
        entry = begun("nrs")
        assert entry.answers == {"pain": 6}
        assert entry.completed_at is not None
    context.close()


def test_nothing_is_kept_in_the_browser(opened: Any, begun: Any, jss: Site) -> None:
    page = opened("nrs")
    page.locator("#q-pain input[value='6']").click()
    page.wait_for_selector(SAVED)
    kept = page.evaluate("[{...localStorage}, {...sessionStorage}]")
    assert kept[0] == {}
    assert set(kept[1]) <= {"htmx-current-path-for-history"}  # an address, no data


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_keeps_anybody_out(opened: Any, width: int, scheme: str) -> None:
    page = opened("baseline")
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.fill("#f-height", "120")
    page.keyboard.press("Tab")
    expect(page.locator("#q-height .check")).to_be_visible()
    page.locator("#q-weight summary").click()
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [1280, 820, 390])
def test_every_control_can_be_touched(opened: Any, width: int) -> None:
    page = opened("nrs")
    page.set_viewport_size({"width": width, "height": 900})
    small = page.evaluate(
        """[...document.querySelectorAll('#entry .tile, #entry .button, #entry summary')]
        .filter((each) => each.checkVisibility())
        .map((each) => [each.textContent.trim(), each.getBoundingClientRect().height])
        .filter(([, height]) => height && height < 43.5)"""
    )
    assert small == []
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    rows = page.evaluate(
        """new Set([...document.querySelectorAll('#q-pain .scale .tile')]
        .map((each) => each.getBoundingClientRect().top)).size"""
    )
    assert rows == (1 if width >= 768 else rows)
