"""Every page in real Chromium, in both languages and themes and at three widths: axe finds
nothing, the CSP refuses nothing, no script fails, and no page is wider than its window.

The pages come from the URL map, so that a new one is looked at as well.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page

from crf.services import add_entry, complete, save_entry, void_entry
from registry.services import record_visit, void_participant
from sites.models import Site, User
from sites.roles import PERMISSIONS, Permission
from tests.browser import browser_type_launch_args, server, sign_in  # noqa: F401
from tests.cast import CAST, actor, seeing
from tests.desk import watch
from tests.story import play
from tests.test_routes import OURS, fill, made_at

pytestmark = pytest.mark.browser

WIDTHS = (1280, 820, 390)
AXE = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"],
}
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Routes that answer with something other than a page of their own.
NO_PAGES = {
    "alive", "set_language", "entry_save", "second_look_save", "styleguide", "import_map",
}  # fmt: skip
ACCOUNT = ("password/change/", "logout/")
OUTSIDE = ("login/", "password/reset/", "password/reset/done/", "password/reset/key/1-x/")
# Whom a page shows more, or something else, than the first who may read it.
AS_OTHERS = {
    "monitor": ("today", "entry", "event", "events", "query", "queries", "participant"),
    "investigator": ("today", "participant"),
    "datamanager": ("today", "participants"),
    "auditor": ("participant", "entry"),
    "admin": ("people", "person", "study_sites"),
    "nobody": ("home",),
}


@pytest.fixture
def addresses(server: str, coordinator: User, jss: Site) -> list[tuple[str, str]]:  # noqa: F811
    """(who, path) of every page, with something on it."""
    objects = made_at(jss, coordinator)
    paths = {
        name: fill(path, objects)
        for name, (path, _view) in OURS.items()
        if name not in NO_PAGES and not name.startswith("api_")
    }
    found = [(_who(OURS[name][1].access), path) for name, path in paths.items()]
    found += [(who, paths[name]) for who, names in AS_OTHERS.items() for name in names]
    found += [("coordinator", f"/account/{path}") for path in ACCOUNT]
    found += [("", f"/account/{path}") for path in OUTSIDE]
    found += [("coordinator", path) for path in _forms(jss, coordinator)]
    found.append(("coordinator", "/uspp/participants/999999/"))  # what is not there
    return list(dict.fromkeys(found))


def _who(access: dict[str, Any]) -> str:
    """The first of the cast who may read a page of the first site."""
    needed = access.get("read", Permission.SIGNED_IN)
    return next(
        name
        for name, parts in CAST.items()
        if any(needed in PERMISSIONS[part.role] for part in parts) or needed == Permission.SIGNED_IN
    )


def _forms(site: Site, user: User) -> list[str]:
    """Every form in its states, and participants at every stage."""
    by = actor(user, site)
    with seeing(site):
        lumbar = play(site, by, answers={"region": "lumbar", "diagnosis": "M51.1"})
        fourth = lumbar.visits.get(code="w4")
        record_visit(visit=fourth, on=site.today() - dt.timedelta(days=2), by=by)
        logs = [
            add_entry(participant=lumbar, instrument=log, by=by)
            for log in ("procedure", "deviation", "procedure")
        ]
        baseline = lumbar.entries.get(instrument="baseline")
        unlikely = {"height": "120", "occupation": "other", "main_diagnosis": "M51.1"}
        save_entry(entry=baseline, changes=unlikely, missing={"weight": "not_done"}, by=by)
        whole = lumbar.entries.get(instrument="nrs", visit__code="w0")
        save_entry(entry=whole, changes={"pain": 5}, by=by)
        complete(entry=whole, by=by)
        save_entry(entry=logs[2], changes={"max_insertion": "20"}, by=by)
        void_entry(entry=logs[2], reason="두 번 입력됨", by=by)
        held = lumbar.entries.filter(visit__happened_on__isnull=False) | lumbar.entries.filter(
            visit=None
        )
        waiting = play(site, by, stage="consented")
        failed = play(site, by, stage="screened", answers={"screening_nrs": 2})
        gone = play(site, by, stage="consented")
        void_participant(participant=gone, reason="다른 환자", by=by)
        people = (lumbar, waiting, failed, gone)
        return [
            *(f"/uspp/entries/{entry.pk}/" for entry in held),
            *(f"/uspp/participants/{each.pk}/" for each in people),
            f"/uspp/participants/{waiting.pk}/screening/",
            f"/uspp/visits/{lumbar.visits.get(code='w8').pk}/",
        ]


@pytest.mark.parametrize(
    ("language", "theme", "width"), [("ko", "light", 1280), ("en", "dark", 390)]
)
def test_nothing_is_wrong_with_any_page(
    browser: Browser,
    server: str,  # noqa: F811
    addresses: list[tuple[str, str]],
    language: str,
    theme: str,
    width: int,
) -> None:
    seats: dict[str, tuple[BrowserContext, Page, list[str]]] = {}
    problems: dict[str, Any] = {}
    for who, path in addresses:
        if who not in seats:
            seats[who] = _seat(browser, server, who, language, theme)
        _context, page, complaints = seats[who]
        page.set_viewport_size({"width": width, "height": 900})
        answer = page.goto(server + path)
        found = _looked_at(page, language, width) + _expected(
            complaints, answer.status if answer else 0
        )
        complaints.clear()
        if found:
            problems[f"{who or 'nobody signed in'} {path}"] = found
    for context, _page, _complaints in seats.values():
        context.close()
    assert not problems, "\n".join(f"{where}: {what}" for where, what in problems.items())


def _seat(
    browser: Browser, url: str, who: str, language: str, theme: Any
) -> tuple[BrowserContext, Page, list[str]]:
    context = browser.new_context(locale="ko-KR", timezone_id="Asia/Seoul", color_scheme=theme)
    if who:
        sign_in(context, User.objects.get(username=who), url)
    context.add_cookies(
        [{"name": settings.LANGUAGE_COOKIE_NAME, "value": language, "url": url}]  # type: ignore[list-item]
    )
    return context, context.new_page(), watch(context)


def _looked_at(page: Page, language: str, width: int) -> list[str]:
    # As high as the page, so that what sticks to an edge of the window covers nothing.
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(max(height, 900), 12_000)})
    found = [
        f"{each['id']}: {[node['target'] for node in each['nodes']][:4]}"
        for each in Axe().run(page, options=AXE).response["violations"]
    ]
    if page.locator("html").get_attribute("lang") != language:
        found.append(f"is not in {language}")
    for wide in WIDTHS:
        page.set_viewport_size({"width": wide, "height": 900})
        over = page.evaluate(TOO_WIDE)
        if over > 0:
            found.append(f"is {over} px too wide at {wide} px")
    return found


def _expected(complaints: list[str], status: int) -> list[str]:
    """Chromium says of a page that is a refusal that it could not be loaded."""
    return [said for said in complaints if status < 400 or "Failed to load resource" not in said]
