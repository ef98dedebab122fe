"""Where tests get their databases: one migrated template, and a copy of it for whoever needs one.

The template holds the schema, the studies and the cast, committed. It is built once and kept
between runs under a name that ends in a digest of everything that decides its content; a copy
takes some 50 ms. `default` is always the runtime role and `owner` always the owner, as in
production, so that a right which is missing there is missing here.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from registry.database import restrict
from tests import cast

ROOT = Path(__file__).resolve().parent.parent
DECIDES = (
    "*/migrations/*.py",
    *(f"sites/{name}.py" for name in ("audit", "models", "protection", "roles", "services")),
    "registry/database.py",
    "registry/sql/*.sql",
    "registry/models.py",
    "registry/protocol.py",
    "registry/services*",
    "registry/services/*.py",
    "registry/management/commands/publish.py",
    "registry/protocols/**/*.yaml",
    "crf/instrument*",
    "crf/instrument/*.py",
    "crf/instruments/**/*.yaml",
    "tests/protocols/**/*.yaml",
    "tests/cast.py",
    "tests/databases.py",
    "requirements-dev.txt",
)
KEPT = 3  # templates of earlier states: going back to a branch is quick as well
TEMPLATE, COPY = "edc_template_", "edc_test_"
BUILDING = 4_711_018  # the advisory lock of whoever builds

ALIASES = ("default", "owner", "backup")
_numbers = itertools.count()


def fingerprint() -> str:
    """A digest of every file that decides what the template holds."""
    files = {path for pattern in DECIDES for path in ROOT.glob(pattern) if path.is_file()}
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def connect(database: str, role: str = "owner", **options: object) -> psycopg.Connection:
    """A plain connection in the name of a role of the installation, beside Django's own."""
    wanted = connections.databases[role]
    return psycopg.connect(
        host=wanted["HOST"],
        port=wanted["PORT"],
        user=wanted["USER"],
        password=wanted["PASSWORD"],
        dbname=database,
        options="-c TimeZone=UTC",
        **options,
    )


@contextlib.contextmanager
def _home() -> Iterator[psycopg.Connection]:
    """The owner's connection to a database that no test touches."""
    with connect(_home_name, autocommit=True) as connection:
        yield connection


_home_name: str = ""


def point(name: str) -> str:
    """Let every role's connection, in every thread from now on, lead to this database."""
    global _home_name
    before = str(connections.databases["default"]["NAME"])
    _home_name = _home_name or before
    for alias in ALIASES:
        connections[alias].close()
        connections.databases[alias]["NAME"] = name
    return before


def _names(connection: psycopg.Connection, prefix: str) -> list[str]:
    found = connection.execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY oid", [prefix]
    )
    return [name for (name,) in found]


def template() -> str:
    """The name of the template for the files as they are; the first who asks builds it."""
    name = TEMPLATE + fingerprint()
    with _home() as home:
        home.execute("SELECT pg_advisory_lock(%s)", [BUILDING])
        for copy in _names(home, COPY):
            if not psutil.pid_exists(int(copy.removeprefix(COPY).split("_")[0])):
                with contextlib.suppress(psycopg.errors.ObjectInUse):
                    drop(copy)
        built = _names(home, TEMPLATE)
        if name in built:
            return name
        _build(home, name)
        for old in built[: max(0, len(built) + 1 - KEPT)]:
            drop(old)
    return name


def _build(home: psycopg.Connection, name: str) -> None:
    building = sql.Identifier("edc_building")
    home.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(building))
    home.execute(
        sql.SQL(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
            " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
        ).format(building)
    )
    with connect("edc_building") as connection:
        restrict(connection)
    before = point("edc_building")
    try:
        call_command("migrate", database="owner", verbosity=0, skip_checks=True)
        cast.make()
    finally:
        point(before)
    home.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(building, sql.Identifier(name)))
    # Nobody may be connected while it is copied.
    home.execute(
        sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name))
    )


def copy(of: str) -> str:
    """A database of its own for one worker or one test, with the rights that copying loses."""
    name = f"{COPY}{os.getpid()}_{next(_numbers)}"
    with _home() as home:
        home.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(of)
            )
        )
    with connect(name) as connection:
        restrict(connection)
    return name


def drop(name: str) -> None:
    with _home() as home:
        home.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
