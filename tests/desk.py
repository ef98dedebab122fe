"""One of the cast at a browser of their own, who does what a person does: reads, types, presses.

What stands on buttons is named by its English source and looked up in Korean, so that these
tests follow the catalogue and not the other way round. Nothing here waits for time to pass:
every act ends where the page says that it is done.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from django.utils import translation
from django.utils.translation import gettext, pgettext
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.cast import PASSWORD

KOREAN = {"locale": "ko-KR", "timezone_id": "Asia/Seoul"}
SAVED = "[data-save-line][data-state=saved]"
expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
# Told to the console, where `watch` reads it: also of pages that are left at once.
_TELL = """document.addEventListener('securitypolicyviolation', (event) =>
    console.error('CSP', event.violatedDirective, event.blockedURI, event.sourceFile))"""


def ko(text: str, context: str = "") -> str:
    """What the screen says for this English source."""
    with translation.override("ko"):
        said = pgettext(context, text) if context else gettext(text)
    return re.sub(r"\s+", " ", said).strip()


def watch(context: BrowserContext) -> list[str]:
    """Collects what a browser has to complain about: scripts, the CSP, answers of the server."""
    found: list[str] = []
    context.add_init_script(_TELL)
    context.on(
        "weberror", lambda error: found.append(f"{error.page and error.page.url}: {error.error}")
    )
    context.on(
        "console",
        lambda said: (
            found.append(f"{said.location.get('url')}: {said.text}")
            if said.type in ("error", "warning")
            else None
        ),
    )
    context.on(
        "response",
        lambda answer: (
            found.append(f"{answer.url}: {answer.status}") if answer.status >= 500 else None
        ),
    )
    return found


class Desk:
    def __init__(self, browser: Browser, url: str, username: str) -> None:
        self.username = username
        self.context = browser.new_context(
            base_url=url, viewport={"width": 1280, "height": 900}, **KOREAN
        )
        self.complaints = watch(self.context)
        self.page: Page = self.context.new_page()
        self.page.goto("/")
        self.page.locator("#id_login").fill(username)
        self.page.locator("#id_password").fill(PASSWORD)
        self.press("Log in")
        expect(self.page.locator(".user-name")).to_be_visible()

    # Where one is

    def open(self, path: str) -> Page:
        self.page.goto(path)
        return self.page

    def menu(self, text: str) -> Page:
        """Goes to a page of the main menu."""
        link = self.page.locator("#sidenav a", has_text=ko(text))
        if not link.is_visible():  # beside a form it is behind its button
            self.page.locator(".menu-button").click()
        link.click()
        expect(self.page.locator("#sidenav [aria-current=page]")).to_contain_text(ko(text))
        return self.page

    def says(self, text: str, **values: Any) -> None:
        """The page says this, by a message or in its text."""
        wanted = ko(text) % values if values else ko(text)
        expect(self.page.locator("#main").get_by_text(wanted).first).to_be_visible()

    # What one presses

    def button(self, text: str, context: str = "", within: Locator | None = None) -> Locator:
        place = within or self.page.locator("body")
        return place.get_by_role("button", name=ko(text, context), exact=True)

    def press(self, text: str, context: str = "", within: Locator | None = None) -> None:
        self.button(text, context, within).click()

    def link(self, text: str, context: str = "", within: Locator | None = None) -> Locator:
        place = within or self.page.locator("#main")
        return place.get_by_role("link", name=ko(text, context))

    def follow(self, text: str, context: str = "", within: Locator | None = None) -> None:
        self.link(text, context, within).first.click()

    def act(self, text: str) -> None:
        """One of the participant's menu of acts."""
        self.page.locator("details.menu.end summary", has_text=ko("Acts")).click()
        self.page.locator(".menu-panel").get_by_role("link", name=ko(text)).click()

    def next_step(self, text: str) -> None:
        """What the participant's page offers as the next thing to do."""
        self.page.locator(".next-step .button", has_text=ko(text)).click()

    def panel(self, title: str) -> Locator:
        return self.page.locator("section.panel", has=self.page.locator("h2", has_text=title))

    # Ordinary forms

    def choose(self, name: str, value: str) -> None:
        self.page.locator(f".tile:has(input[name='{name}'][value='{value}'])").click()

    def fill(self, name: str, text: str) -> None:
        self.page.locator(f"#main [name='{name}']:visible").fill(text)

    def day(self, name: str, day: dt.date) -> None:
        for part in ("year", "month", "day"):
            self.page.locator(f"[name='{name}_{part}']").fill(str(getattr(day, part)))

    # Case report forms

    def place(self, item: str) -> Locator:
        """The question, once it is to be answered."""
        place = self.page.locator(f"#q-{item}")
        expect(place).not_to_have_attribute("data-skipped", "")
        return place

    def answer(self, answers: Mapping[str, Any]) -> None:
        expect(self.page.locator("form#entry[data-ready]")).to_be_attached()
        for item, value in answers.items():
            place = self.place(item)
            match place.get_attribute("data-widget"):
                case "scale" | "tiles":
                    self._tile(place, value).click()
                case "multi":
                    for each in value:
                        if not self._tile(place, each).locator("input").is_checked():
                            self._tile(place, each).click()
                    self.page.keyboard.press("Enter")
                case "list":
                    place.locator("select").select_option(value)
                case "date":
                    for part, text in zip(("year", "month", "day"), value.split("-"), strict=True):
                        place.locator(f"[data-part={part}]").fill(text)
                case "code":
                    self.look_up(item, value, value)
                case _:
                    place.locator(".answer input, .answer textarea").fill(str(value))

    def _tile(self, place: Locator, value: Any) -> Locator:
        return place.locator(f".answer .tile:has(input[value='{value}'])")

    def look_up(self, item: str, typed: str, code: str) -> None:
        """Finds a code by what is typed, and takes it from the list."""
        box = self.place(item).locator("[role=combobox]")
        box.clear()
        box.press_sequentially(typed)
        self.page.locator(f"#l-{item} [role=option]", has_text=code).first.click()
        expect(box).to_have_value(code)

    def missing(self, item: str, why: str) -> None:
        place = self.place(item)
        place.locator(".missing summary").click()
        place.locator(f".missing .tile:has(input[value='{why}'])").click()
        expect(place).to_have_attribute("data-missing", "")

    def correct(self, item: str, value: Any, why: str) -> None:
        """Another answer in a form that was complete, which needs a reason."""
        self.answer({item: value})
        reason = self.page.locator(f"#r-{item}")
        expect(reason).to_be_visible()
        expect(self.page.locator("[data-save-line]")).to_have_attribute("data-state", "error")
        reason.fill(why)
        reason.press("Enter")
        self.saved()

    def saved(self) -> None:
        expect(self.page.locator(f"{SAVED}[data-unsaved='0']")).to_be_visible()

    def complete(self) -> None:
        with self.page.expect_navigation():
            self.press("Complete the form")
        self.says("The form is complete.")

    def keys(self, first: str, *pressed: str) -> None:
        """A whole form by number keys from its first question on, and Enter to complete it."""
        expect(self.page.locator("form#entry[data-ready]")).to_be_attached()
        self.page.locator(f"#f-{first}").focus()
        for key in pressed:
            self.page.keyboard.press(key)
        expect(self.button("Complete the form")).to_be_focused()
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")
        self.says("The form is complete.")

    # Leaving

    def close(self) -> list[str]:
        self.context.close()
        return self.complaints
