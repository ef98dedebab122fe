"""A day's story by the keyboard alone, in real Chromium: nothing here points, clicks or fills in.

Keys are pressed as a person would: Tab until one is there, then Enter, Space, arrows or letters.
Each stop on the way must be seen to have the focus, not only those where something is done.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from crf.models import Entry, Query, Signature
from crf.services import ask_query, save_entry
from registry.models import Participant, Visit
from safety.models import AdverseEvent, AEReview
from sites.models import Site, User
from tests import browser as chromium
from tests.browser import PATIENCE
from tests.cast import PASSWORD, actor, seeing
from tests.desk import SAVED, ko
from tests.events import BRUISING

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)

# Fixtures of real browsers; a name of this module is one that its tests may ask for.
browser_context_args = chromium.browser_context_args
browser_type_launch_args = chromium.browser_type_launch_args
complaints = chromium.complaints
server = chromium.server

STOPS = 150  # more than any page of the story needs; a trap in the order of Tab ends a test
# What has the focus, and whether a person sees that: a ring around it (or around the tile that
# holds it), of some size, within the window, and not all of it under something else.
FOCUS = """() => {
  const at = document.activeElement;
  if (at === document.body) return {where: 'body', seen: true};
  const ringed = [at, at.closest('label.tile, label.choice')].filter(Boolean).find((each) => {
    const style = getComputedStyle(each);
    return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  });
  const where = at.outerHTML.slice(0, 200);
  if (!ringed) return {where, seen: false};
  const box = ringed.getBoundingClientRect();
  const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
  const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  const within = right - left > 4 && bottom - top > 4;
  const shown = (x, y) => ringed.contains(
    document.elementFromPoint(left + (right - left) * x, top + (bottom - top) * y));
  const parts = [0.1, 0.5, 0.9];
  const bare = parts.some((x) => parts.some((y) => shown(x, y)));
  return {where, seen: within && bare};
}"""
HAS_FOCUS = "each => each === document.activeElement"


class Hands:
    """Two hands on the keyboard of one browser."""

    def __init__(self, page: Page) -> None:
        self.page = page

    # Where one is

    def seen(self) -> None:
        focus = self.page.evaluate(FOCUS)
        assert focus["seen"], f"the focus is not visible: {focus['where']} on {self.page.url}"

    def reach(self, wanted: Locator | str) -> None:
        """Tab until the focus is on one of these elements; each stop on the way is visible."""
        place = self.page.locator(wanted) if isinstance(wanted, str) else wanted
        expect(place.first).to_be_attached()
        for _ in range(STOPS):
            self.seen()
            if any(each.evaluate(HAS_FOCUS) for each in place.all()):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{place} is not reached by Tab on {self.page.url}")

    def says(self, text: str) -> None:
        said = self.page.locator("#main").get_by_text(ko(text), exact=True)
        expect(said.first).to_be_visible()

    def button(self, text: str) -> Locator:
        return self.page.get_by_role("button", name=ko(text), exact=True)

    # What one presses

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def enter(self) -> None:
        """Enter, which leads to another page."""
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def follow(self, wanted: Locator | str) -> None:
        self.reach(wanted)
        self.enter()

    # Ordinary forms

    def write(self, name: str, text: str) -> None:
        self.reach(f"#main [name='{name}']")
        self.type(text)

    def day(self, name: str, day: dt.date) -> None:
        for part in ("year", "month", "day"):
            self.write(f"{name}_{part}", str(getattr(day, part)))

    def choose(self, name: str, value: str) -> None:
        """Radio buttons are one stop: Space takes the first, arrows go on to the others."""
        group = f"#main input[type=radio][name='{name}']"
        self.reach(group)
        wanted = self.page.locator(f"{group}[value='{value}']")
        if wanted.evaluate(HAS_FOCUS):
            self.press("Space")
        for _ in range(self.page.locator(group).count()):
            if not wanted.is_checked():
                self.press("ArrowDown")
        expect(wanted).to_be_checked()
        expect(wanted).to_be_focused()
        self.seen()

    # What each person of the story does

    def sign_in(self, server: str, username: str) -> None:
        self.page.goto(server)
        self.reach("#id_login")
        self.type(username)
        self.reach("#id_password")
        self.type(PASSWORD)
        self.follow(self.button("Log in"))
        expect(self.page.locator(".user-name")).to_have_text(username)

    def find(self, number: str) -> None:
        """The slash goes to the search, from wherever nothing is being written."""
        self.press("/")
        expect(self.page.locator("[data-search]")).to_be_focused()
        self.seen()
        self.type(number)
        self.enter()
        expect(self.page.locator("h1")).to_contain_text(number)

    def menu(self, text: str) -> None:
        self.follow(self.page.locator("#sidenav").get_by_role("link", name=ko(text), exact=True))
        expect(self.page.locator("#sidenav [aria-current=page]")).to_contain_text(ko(text))

    def log_out(self) -> None:
        self.reach(".topbar details:has(form) summary")
        self.press("Enter")
        self.follow(".topbar .menu-panel form button")
        expect(self.page.locator("#id_password")).to_be_visible()


@pytest.fixture
def hands(context: BrowserContext, complaints: list[str]) -> Hands:
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    return Hands(page)


@pytest.fixture
def person(fresh_database: Any, participant: Callable[..., Participant], jss: Site) -> Participant:
    """Their first visit was a week ago, so that the next is due today."""
    return participant(jss, days_ago=7)


@pytest.fixture
def question(person: Participant, jss: Site, coordinator: User, monitor: User) -> Query:
    """The monitor asks about an answer of the first visit."""
    with seeing(jss):
        entry = person.entries.get(instrument="nrs", visit__code="w0")
        save_entry(entry=entry, changes={"pain": 9}, by=actor(coordinator, jss))
        entry.refresh_from_db()
        return ask_query(entry=entry, item="pain", text="9가 맞습니까?", by=actor(monitor, jss))


def the_visit(hands: Hands, day: dt.date) -> None:
    """From the table of visits, which is one stop with arrows inside, to the recorded date."""
    hands.reach("table.grid a")
    hands.press("ArrowDown")
    expect(hands.page.locator("table.grid tbody tr:nth-child(2) th a")).to_be_focused()
    hands.seen()
    hands.enter()
    hands.day("happened_on", day)
    hands.follow(hands.button("Record the visit"))
    expect(
        hands.page.locator("#main").get_by_text(ko("The visit date is recorded."))
    ).to_be_visible()


def the_form(hands: Hands) -> None:
    """Ten questions: nine by a digit each, and one that has no answer, with the reason."""
    page = hands.page
    hands.follow(page.locator("ul.work a", has_text="NDI"))
    expect(page.locator("form#entry[data-ready]")).to_be_attached()
    hands.press("j")
    expect(page.locator("#f-ndi_01")).to_be_focused()
    hands.seen()
    hands.press(*"1230123", "m")
    expect(page.locator("#q-ndi_08 .missing input").first).to_be_focused()
    hands.seen()
    hands.choose("ndi_08.missing", "refused")
    hands.reach("#q-ndi_09 .answer input")
    hands.press("4", "2")
    expect(hands.button("Complete the form")).to_be_focused()
    hands.seen()
    page.wait_for_selector(f"{SAVED}[data-unsaved='0']")
    hands.enter()
    hands.says("The form is complete.")
    expect(page.locator("form#entry[data-ready]")).to_be_attached()


def the_event(hands: Hands, day: dt.date) -> None:
    page = hands.page
    panel = page.locator("section.panel", has=page.locator("h2", has_text="이상반응"))
    hands.follow(panel.get_by_role("link").first)
    hands.write("symptom", "주사 부위에 멍이 듦")
    hands.day("onset", day)
    hands.reach("[data-find]")
    hands.type("멍")
    expect(page.locator(f"#term-results input[value='{BRUISING}']")).to_be_attached()
    hands.choose("term", BRUISING)
    expect(page.locator("#grades [role=status]")).to_contain_text("멍")
    expect(page.locator("#grades .tile")).to_have_count(2)  # those that this term has
    hands.choose("grade", "2")
    hands.choose("outcome", "1")
    hands.choose("serious", "no")
    hands.day("aware_on", day)
    hands.choose("causality", "probable")
    hands.follow(hands.button("Report the event"))
    expect(page).to_have_url(re.compile(r"/uspp/events/\d+/$"))


def the_answer(hands: Hands, query: Query) -> None:
    hands.menu("Today")
    hands.follow(hands.page.locator("ul.work").get_by_role("link", name="9가 맞습니까?"))
    thread = hands.page.locator(f"#query-{query.pk}")
    hands.write("text", "네, 다시 물어 확인했습니다")
    hands.reach(thread.get_by_role("button", name=ko("Answer"), exact=True))
    hands.press("Enter")
    expect(thread.locator(".thread")).to_contain_text("네, 다시 물어 확인했습니다")
    expect(thread.locator(".q-answered")).to_be_visible()


def the_language(hands: Hands, code: str) -> None:
    hands.follow(f".language button[value={code}]")
    expect(hands.page.locator("html")).to_have_attribute("lang", code)


def the_review(hands: Hands, number: str) -> None:
    """The queue and the event beside it; the heading says what was opened."""
    page = hands.page
    hands.menu("Adverse events")
    hands.press("j")
    expect(page.locator("#queue .row-link").first).to_be_focused()
    hands.seen()
    hands.press("Enter")
    expect(page.locator("#event-pane [data-pane-heading]")).to_be_focused()
    expect(page.locator("#event-pane")).to_contain_text(number)
    hands.reach("#event-pane [name=decision][value=reviewed]")
    hands.press("Enter")
    expect(page.locator("[data-decided]")).to_be_attached()
    hands.seen()


def the_signature(hands: Hands, number: str) -> None:
    page = hands.page
    hands.follow(page.get_by_role("link", name=ko("Read and sign")))
    for read in ("주사 부위에 멍이 듦", "NDI"):
        expect(page.locator("#main")).to_contain_text(read)
    hands.choose("meaning", "reviewed")
    hands.write("number", number[-3:])
    hands.write("password", PASSWORD)
    hands.follow(hands.button("Sign"))
    hands.says("Signed.")


def test_from_a_visit_to_a_signature_by_keyboard_alone(
    server: str, hands: Hands, person: Participant, question: Query, jss: Site
) -> None:
    today = jss.today()
    number = person.number

    hands.sign_in(server, "coordinator")
    hands.find(number)
    the_visit(hands, today)
    the_form(hands)
    with seeing(jss):
        visit = Visit.objects.get(participant=person, code="w1")
        entry = Entry.objects.get(visit=visit, instrument="ndi")
    given = dict(enumerate([1, 2, 3, 0, 1, 2, 3], 1)) | {9: 4, 10: 2}
    assert visit.happened_on == today
    assert entry.answers == {f"ndi_{item:02}": value for item, value in given.items()}
    assert entry.meta["ndi_08"]["missing"] == "refused"
    assert entry.completed_at is not None

    hands.find(number)
    the_event(hands, today)
    with seeing(jss):
        event = AdverseEvent.objects.get(participant=person)
    assert (event.symptom, event.onset) == ("주사 부위에 멍이 듦", today.isoformat())
    assert (event.term, event.grade, event.serious) == (BRUISING, 2, False)
    assert (event.outcome, event.causality) == ("1", "probable")

    the_answer(hands, question)
    with seeing(jss):
        question.refresh_from_db()
        said = question.messages.order_by("pk").last()
        assert said is not None
    assert (question.state, said.text) == ("answered", "네, 다시 물어 확인했습니다")
    the_language(hands, "en")
    assert User.objects.get(username="coordinator").language == "en"
    the_language(hands, "ko")
    hands.log_out()

    hands.sign_in(server, "monitor")
    the_review(hands, number)
    with seeing(jss):
        review = AEReview.objects.get(adverse_event=event)
    assert (review.decision, review.reviewed_by.username) == ("reviewed", "monitor")
    hands.log_out()

    hands.sign_in(server, "investigator")
    hands.find(number)
    the_signature(hands, number)
    with seeing(jss):
        signature = Signature.objects.get(participant=person)
    assert (signature.signed_by.username, signature.meaning) == ("investigator", "reviewed")
    hands.log_out()
