"""A follow-up visit in real Chromium: what was said last time, undo, help, remarks, keystrokes."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from crf.models import Entry, Query, SecondLook
from crf.services import ask_query, complete, save_entry
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

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)

SAVED = "[data-save-line][data-state=saved]"
DOCS = Path(__file__).resolve().parent.parent / "docs" / "coordinator.md"
# What a person at their week-4 visit says; the first visit's differ, so that there is a change.
FIRST = {"nrs": {"pain": 7}, "ndi": {f"ndi_{n:02}": 3 for n in range(1, 11)}}


@pytest.fixture
def week4(
    fresh_database: Any, participant: Callable[..., Participant], jss: Site, coordinator: User
) -> Callable[[str], Entry]:
    """The form of an instrument at week 4 of somebody whose first visit is entered."""
    person = participant(jss)
    by = actor(coordinator, jss)
    with seeing(jss):
        first = person.visits.get(code="w0")
        for instrument, answers in FIRST.items():
            entry = first.entries.get(instrument=instrument)
            save_entry(entry=entry, changes=answers, by=by)
            complete(entry=entry, by=by)
        visit = person.visits.get(code="w4")
        record_visit(visit=visit, on=first.happened_on + dt.timedelta(days=28), by=by)

    def entry(instrument: str) -> Entry:
        with seeing(jss):
            return Entry.objects.get(participant=person, instrument=instrument, visit__code="w4")

    return entry


@pytest.fixture
def opened(open_as: Any, week4: Callable[[str], Entry], coordinator: User) -> Callable[..., Page]:  # noqa: F811
    def page_of(instrument: str, hash: str = "") -> Page:
        page: Page = open_as(coordinator, f"/uspp/entries/{week4(instrument).pk}/{hash}")
        page.wait_for_selector("form#entry[data-ready]")
        return page

    return page_of


def stored(jss: Site, week4: Any, instrument: str) -> dict[str, Any]:
    with seeing(jss):
        return dict(week4(instrument).answers)


def test_last_time_stands_beside_each_question_and_each_score(opened: Any) -> None:
    page = opened("ndi")
    expect(page.locator("#q-ndi_01 [data-last]")).to_contain_text("0주")
    expect(page.locator("#q-ndi_01 [data-last] b")).to_contain_text("3")
    change = page.locator("[data-change=ndi_percent]")
    expect(change).to_contain_text("60.0")
    for number in range(1, 11):
        page.locator(f"#q-ndi_{number:02} input[value='1']").click()
    page.locator("h1").click()
    expect(change).to_contain_text("60.0 → 20.0")
    expect(change).to_contain_text("−40.0")


def test_the_only_question_of_a_scale_shows_its_change_too(opened: Any) -> None:
    page = opened("nrs")
    expect(page.locator("[data-change=nrs]")).to_contain_text("7")
    page.locator("#q-pain input[value='4']").click()
    expect(page.locator("[data-change=nrs]")).to_contain_text("7 → 4")
    expect(page.locator("[data-change=nrs]")).to_contain_text("−3")
    expect(page.locator("[data-change=nrs]")).to_contain_text("0주")


def test_the_first_visit_has_nothing_to_compare_with(
    open_as: Any,  # noqa: F811
    week4: Any,
    jss: Site,
    coordinator: User,
) -> None:
    with seeing(jss):
        first = Entry.objects.get(
            participant=week4("nrs").participant_id, instrument="nrs", visit__code="w0"
        )
    page = open_as(coordinator, f"/uspp/entries/{first.pk}/")
    page.wait_for_selector("form#entry[data-ready]")
    expect(page.locator("[data-last]")).to_have_count(0)
    expect(page.locator("[data-change]")).to_have_count(0)


def test_ctrl_z_takes_the_last_answers_back_one_by_one(opened: Any, week4: Any, jss: Site) -> None:
    page = opened("ndi")
    page.focus("#f-ndi_01")
    page.keyboard.press("3")
    page.wait_for_selector(SAVED)
    assert stored(jss, week4, "ndi") == {"ndi_01": 3}
    page.keyboard.press("2")
    page.keyboard.press("Control+z")
    expect(page.locator("#q-ndi_02 input:checked")).to_have_count(0)
    expect(page.locator("#q-ndi_02 [data-undone]")).to_be_visible()
    expect(page.locator("#f-ndi_02")).to_be_focused()
    page.keyboard.press("Control+z")
    expect(page.locator("#q-ndi_01 input:checked")).to_have_count(0)
    page.wait_for_selector("[data-save-line][data-unsaved='0'][data-state=saved]")
    assert stored(jss, week4, "ndi") == {}
    with seeing(jss):
        kept = [row.answers for row in week4("ndi").history.order_by("history_id")]
    assert kept[-1] == {}
    assert {"ndi_01": 3} in kept  # what was there stays in the history


def test_ctrl_z_brings_back_what_was_marked_missing(opened: Any, week4: Any, jss: Site) -> None:
    page = opened("ndi")
    page.focus("#f-ndi_08")
    page.keyboard.press("5")
    page.focus("#f-ndi_08")
    page.keyboard.press("m")
    page.locator("#q-ndi_08 .missing input[value=refused]").click()
    expect(page.locator("#q-ndi_08")).to_have_attribute("data-missing", "")
    page.locator("h1").click()
    page.keyboard.press("Control+z")
    expect(page.locator("#q-ndi_08 .answer input[value='5']")).to_be_checked()
    expect(page.locator("#q-ndi_08")).not_to_have_attribute("data-missing", "")
    page.wait_for_selector("[data-save-line][data-unsaved='0'][data-state=saved]")
    assert stored(jss, week4, "ndi") == {"ndi_08": 5}


def test_letters_are_taken_back_by_the_browser_while_they_are_typed(
    opened: Any, week4: Any, jss: Site
) -> None:
    page = opened("eq5d5l")
    page.focus("#f-mobility")
    page.keyboard.press("2")
    page.focus("#f-eq_vas")
    page.keyboard.type("75")
    page.keyboard.press("Control+z")
    expect(page.locator("#q-mobility input[value='2']")).to_be_checked()


def test_the_question_mark_lists_the_keys(opened: Any) -> None:
    page = opened("ndi")
    page.focus("#f-ndi_01")
    page.evaluate(
        """document.activeElement.dispatchEvent(new KeyboardEvent('keydown',
        {key: '?', code: 'Slash', shiftKey: true, bubbles: true, cancelable: true}))"""
    )
    expect(page.locator("#keys")).to_be_visible()
    for key in ("Enter", "Backspace", "M", "C", "H", "Ctrl", "?"):
        expect(
            page.locator("#keys kbd", has_text=re.compile(f"^{re.escape(key)}$")).first
        ).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.locator("h1").click()
    page.keyboard.press("j")
    expect(page.locator("#f-ndi_01")).to_be_focused()


def test_c_shows_what_was_asked_and_answers_in_place(
    opened: Any, week4: Any, jss: Site, monitor: User, coordinator: User
) -> None:
    with seeing(jss):
        entry = week4("nrs")
        save_entry(entry=entry, changes={"pain": 9}, by=actor(coordinator, jss))
        entry.refresh_from_db()
        query = ask_query(entry=entry, item="pain", text="9가 맞습니까?", by=actor(monitor, jss))
    page = opened("nrs")
    page.focus("#f-pain")
    page.keyboard.press("c")
    drawer = page.locator("#drawer")
    expect(drawer).to_contain_text("9가 맞습니까?")
    drawer.locator(f"#say-{query.pk}").fill("네, 다시 확인했습니다")
    drawer.locator(f"#query-{query.pk} button.primary").click()
    expect(drawer.locator(".thread")).to_contain_text("네, 다시 확인했습니다")
    expect(page.locator("#q-pain .query-marker")).to_have_class(re.compile("q-answered"))
    with seeing(jss):
        assert Query.objects.get().state == "answered"
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.locator("#q-pain input:checked")).to_be_focused()


def test_a_remark_is_kept_beside_the_question(opened: Any, week4: Any, jss: Site) -> None:
    page = opened("nrs")
    page.focus("#f-pain")
    page.keyboard.press("8")
    page.wait_for_selector(SAVED)
    page.focus("#q-pain input:checked")
    page.keyboard.press("c")
    page.locator("#drawer #remark").fill("환자가 기침할 때만이라고 함")
    page.locator("#drawer .say button").click()
    expect(page.locator("#drawer [role=status]")).to_be_focused()
    expect(page.locator("#q-pain .asked")).to_contain_text("환자가 기침할 때만이라고 함")
    page.locator("#drawer .say button").scroll_into_view_if_needed()
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()
    with seeing(jss):
        assert Query.objects.get().messages.get().act == "remark"


def test_an_answer_that_no_longer_applies_is_asked_about_and_taken_out(
    open_as: Any,  # noqa: F811
    week4: Any,
    jss: Site,
    coordinator: User,
) -> None:
    with seeing(jss):
        entry = Entry.objects.get(
            participant=week4("nrs").participant_id, instrument="baseline", visit__code="w0"
        )
        answers = {"smoking": "current", "cigarettes_per_day": "10"}
        save_entry(entry=entry, changes=answers, by=actor(coordinator, jss))
    page = open_as(coordinator, f"/uspp/entries/{entry.pk}/")
    page.wait_for_selector("form#entry[data-ready]")
    page.locator("#q-smoking input[value=never]").click()
    page.locator("#q-cigarettes_per_day [data-clear]").click()
    expect(page.locator("#f-cigarettes_per_day")).to_have_value("")
    expect(page.locator("#q-cigarettes_per_day .check")).to_have_count(0)
    page.wait_for_selector("[data-save-line][data-unsaved='0'][data-state=saved]")
    with seeing(jss):
        entry.refresh_from_db()
    assert entry.answers == {"smoking": "never"}


def test_three_answers_wait_for_the_connection_and_go_in_order(
    opened: Any, week4: Any, jss: Site, context: BrowserContext
) -> None:
    page = opened("ndi")
    devtools = context.new_cdp_session(page)
    cut = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", cut)
    page.focus("#f-ndi_01")
    for key in "123":
        page.keyboard.press(key)
    line = page.locator("[data-save-line]")
    expect(line).to_have_attribute("data-state", "offline")
    expect(line.locator("[data-when=offline] [data-number]")).to_have_text("3")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("0")  # thought again: the later answer is the one that stays
    devtools.send("Network.emulateNetworkConditions", {**cut, "offline": False})
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.wait_for_selector("[data-save-line][data-unsaved='0'][data-state=saved]")
    expect(line.locator("[data-time]")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    assert stored(jss, week4, "ndi") == {"ndi_01": 1, "ndi_02": 2, "ndi_03": 0}


def test_leaving_with_unsent_answers_is_warned_of(opened: Any, context: BrowserContext) -> None:
    page = opened("nrs")
    context.set_offline(True)
    page.locator("#q-pain input[value='7']").click()
    expect(page.locator("[data-save-line]")).to_have_attribute("data-state", "offline")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.close(run_before_unload=True)
    page.wait_for_event("dialog") if not asked else None
    assert asked == ["beforeunload"]


class Hands:
    """Counts what is pressed, and what a mouse would click for the same answers."""

    def __init__(self, page: Page) -> None:
        self.page, self.keys, self.clicks = page, 0, 0

    def press(self, key: str) -> None:
        self.keys += 1
        self.page.keyboard.press(key)

    def form(self) -> None:
        """Answers the form that is open, from question to question, and completes it."""
        here = self.page.url.partition("#")[0]
        while (at := self.page.evaluate(WHERE))["widget"]:
            self.clicks += 1
            if at["key"]:
                self.press(at["key"])
            else:
                for digit in "75":
                    self.press(digit)
                self.press("Enter")
            self.page.wait_for_function(f"({WHERE})().item !== '{at['item']}'")
        self.press("Enter")
        self.clicks += 1
        self.page.wait_for_function(
            "here => location.href.split('#')[0] !== here"
            " || document.querySelector('form[data-completed], .error-summary')",
            arg=here,
        )
        self.page.wait_for_selector("form#entry[data-ready]")


# The question that has the focus, and the key of its last answer below the worst: "no", or 1.
WHERE = """() => {
  const box = document.activeElement.closest('[data-item]');
  if (!box) return {widget: '', item: '', key: ''};
  const widget = box.dataset.widget;
  const tiles = [...box.querySelectorAll('.answer label.tile')];
  const keys = tiles.map((tile) => (tile.querySelector('.tile-key') || tile).textContent.trim());
  const key = widget === 'scale' ? '4' : tiles.length === 2 ? keys[1] : keys[1] || '';
  return {widget, item: box.dataset.item, key};
}"""


def test_a_week_4_visit_by_keyboard_alone_and_what_it_takes(
    opened: Any, week4: Any, jss: Site
) -> None:
    page = opened("nrs", "#start")
    hands = Hands(page)
    counted = {}
    with seeing(jss):
        forms = list(
            Entry.objects.filter(visit=week4("nrs").visit_id).values_list("instrument", flat=True)
        )
    for instrument in ("nrs", "ndi", "eq5d5l", "satisfaction", "concurrent", "ae_check"):
        assert f"/entries/{week4(instrument).pk}/" in page.url, instrument
        before = hands.keys
        hands.form()
        counted[instrument] = hands.keys - before
    with seeing(jss):
        done = Entry.objects.filter(visit=week4("nrs").visit_id, completed_at__isnull=False)
        assert sorted(done.values_list("instrument", flat=True)) == sorted(forms)
    said = re.search(r"\*\*(\d+) keys\*\*.*?(\d+) clicks", DOCS.read_text(), re.DOTALL)
    assert said, (counted, hands.keys, hands.clicks)
    assert (hands.keys, hands.clicks) == (int(said[1]), int(said[2])), counted


def test_a_second_look_by_keyboard_shows_nothing_of_the_first(
    open_as: Any,  # noqa: F811
    week4: Any,
    jss: Site,
    investigator: User,
) -> None:
    with seeing(jss):
        person = week4("nrs").participant_id
        look = SecondLook.objects.get(entry__participant=person)  # of the NRS at week 0
    page = open_as(investigator, f"/uspp/second-looks/{look.pk}/")
    page.wait_for_selector("form#entry[data-ready]")
    expect(page.locator("#entry input[name=pain]:checked")).to_have_count(0)
    expect(page.locator("[data-last], [data-change], [data-history]")).to_have_count(0)
    page.focus("#f-pain")
    page.keyboard.press("4")
    page.wait_for_selector(SAVED)
    page.keyboard.press("Enter")
    expect(page.locator(".both .value")).to_have_text(["7", "4"])
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()
    page.locator(".both input[value=second]").check()
    page.locator(".both input[name='reason.pain']").fill("잘못 읽음")
    page.locator("form.form button.primary").click()
    page.wait_for_url("**/second-looks/")
    with seeing(jss):
        look.refresh_from_db()
        assert look.entry.answers == {"pain": 4}
        assert look.settled_at is not None
