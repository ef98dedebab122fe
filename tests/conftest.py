"""What every test may ask for: the database, the cast, and a browser's client for each of them.

There are two kinds of tests. An ordinary one asks for an account or for `db` and runs as the
runtime role in a transaction that is rolled back. One whose data must be committed (threads,
workers, servers, real browsers) asks for `fresh_database` and gets a copy of the template of its
own; nothing is ever flushed. Owner-made rows belong into the template, since the two roles do not
see each other's uncommitted work.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.test import Client
from django.utils import translation

from registry.models import Participant
from sites.models import Site, Study, User
from tests import databases
from tests.cast import CAST, actor, seeing
from tests.story import play


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-access-matrix",
        action="store_true",
        help="write tests/access_matrix.csv anew instead of comparing with it",
    )


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """A copy of the template for this process; pytest-django's own would flush and mirror."""
    with django_db_blocker.unblock():
        name = databases.copy(template_name())
        before = databases.point(name)
    yield
    with django_db_blocker.unblock():
        databases.point(before)
        # A session that closes a moment later must not fail a run; the next one drops the copy.
        with contextlib.suppress(psycopg.errors.ObjectInUse):
            databases.drop(name)


def template_name() -> str:
    if not _template:
        databases.point(str(connections.databases["default"]["NAME"]))
        _template.append(databases.template())
    return _template[0]


_template: list[str] = []


@dataclass(frozen=True)
class Database:
    """A database of one test's own, and how another process reaches it."""

    name: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a worker or server that shall work on this database."""
        variables = {"default": "DATABASE_URL", "owner": "OWNER_DATABASE_URL"}
        return {**os.environ} | {
            variable: "postgresql://{USER}:{password}@{HOST}:{PORT}/{NAME}".format(
                password=quote(connections.databases[alias]["PASSWORD"], safe=""),
                **{k: connections.databases[alias][k] for k in ("USER", "HOST", "PORT")},
                NAME=self.name,
            )
            for alias, variable in variables.items()
        }

    def connect(self, role: str = "default", **options: object) -> Any:
        """A plain psycopg connection as a role: default, owner or backup."""
        return databases.connect(self.name, role, **options)


@pytest.fixture
def fresh_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[Database]:
    """A copy of the template for one test alone, where commits are commits."""
    with django_db_blocker.unblock():
        name = databases.copy(template_name())
        before = databases.point(name)
        yield Database(name)
        databases.point(before)
        databases.drop(name)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> None:
    """Whichever of the two kinds of database this test asked for."""
    request.getfixturevalue("fresh_database" if "fresh_database" in request.fixturenames else "db")


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Nothing here reaches out: only this machine, and the Redis of the settings, answer."""
    redis = urlsplit(settings.REDIS_URL).hostname or ""
    allowed = {"127.0.0.1", "::1", "localhost", redis, socket.gethostbyname(redis)}
    really = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in allowed:
            raise OSError(f"tests reach nothing but this machine, not {address[0]}")
        really(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield


@pytest.fixture(autouse=True)
def _in_korean() -> None:
    """Each test begins in the installation's language, whatever a request before it asked for."""
    translation.activate(settings.LANGUAGE_CODE)


@pytest.fixture(autouse=True)
def _own_counters() -> None:
    """The rate limits of one test don't count in the next: Redis is one for all."""
    caches["default"].key_prefix = uuid.uuid4().hex


def _account(username: str) -> Callable[[None], User]:
    @pytest.fixture(name=username)
    def account(database: None) -> User:
        return User.objects.get(username=username)

    return account


for _username in CAST:
    globals()[f"_{_username}"] = _account(_username)


@pytest.fixture
def as_(database: None) -> Callable[[User], Client]:
    """A signed-in browser for somebody of the cast."""

    def client(user: User) -> Client:
        signed_in = Client()
        signed_in.force_login(user)
        return signed_in

    return client


@pytest.fixture
def uspp(database: None) -> Study:
    return Study.objects.get(code="uspp")


@pytest.fixture
def needle(database: None) -> Study:
    return Study.objects.get(code="needle")


@pytest.fixture
def jss(uspp: Study) -> Site:
    return uspp.sites.get(code="JSS")


@pytest.fixture
def djj(uspp: Study) -> Site:
    return uspp.sites.get(code="DJJ")


@pytest.fixture
def nda(needle: Study) -> Site:
    return needle.sites.get(code="NDA")


@pytest.fixture
def participant(database: None) -> Callable[..., Participant]:
    """Makes a participant through the services, as that site's coordinator (`tests/story.py`)."""

    def make(site: Site, *, by: User | None = None, **told: Any) -> Participant:
        user = (
            by
            or User.objects.filter(memberships__role="coordinator", memberships__site=site)
            .order_by("pk")
            .first()
            or User.objects.get(username="coordinator")
        )
        with seeing(site):
            return play(site, actor(user, site), **told)

    return make
