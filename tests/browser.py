"""A real browser against a real server: for tests whose promise is kept on the screen.

Import the fixtures into the test module. The server runs in threads of this process on a database
of the test's own, so that a test can write through the services and look at the same rows.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections
from django.test.testcases import LiveServerThread
from playwright.sync_api import BrowserContext, Page

from sites.models import User
from tests.conftest import Database

# Playwright's own event loop runs in this thread; the database is used between its calls only.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

PATIENCE = 15_000  # milliseconds that a state may take to be reached on a busy machine
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return {"executable_path": found, "args": ["--no-sandbox", "--disable-dev-shm-usage"]}


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    return {
        "locale": "ko-KR",
        "timezone_id": "Asia/Seoul",
        "viewport": {"width": 1280, "height": 900},
    }


@pytest.fixture
def server(fresh_database: Database) -> Iterator[str]:
    """The address of the application, served on this test's own database."""
    thread = LiveServerThread("localhost", lambda application: application)
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    if thread.error:
        raise thread.error
    yield f"http://localhost:{thread.port}"
    thread.terminate()
    connections.close_all()


@pytest.fixture
def complaints(context: BrowserContext) -> Iterator[list[str]]:
    """What the browser had to complain about: script errors and breaches of the CSP fail a test."""
    found: list[str] = []
    context.on("weberror", lambda error: found.append(str(error.error)))
    context.on(
        "console",
        lambda said: found.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield found
    assert not found, found


@pytest.fixture
def open_as(
    server: str, context: BrowserContext, complaints: list[str]
) -> Callable[[User, str], Page]:
    """Opens a page as somebody of the cast, in a tab of the test's browser."""

    def open_page(user: User, path: str, within: BrowserContext | None = None) -> Page:
        inside = within or context
        sign_in(inside, user, server)
        page = inside.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(server + path)
        return page

    return open_page


def sign_in(context: BrowserContext, user: User, server: str) -> None:
    """Give a browser the session of somebody who has just signed in."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": server}
    context.add_cookies([cookie])  # type: ignore[list-item]
