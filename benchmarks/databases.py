"""The benchmarks' own databases: one with 600 participants, one with 100,000, one for the floors.

They lie beside the installation's own in the embedded server, whose superuser makes them, and are
kept until the files that decide their content change. Participants are made by SQL, with the
triggers of that one session off: what is measured later runs as the runtime role, with row-level
security, triggers and history as in production.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from benchmarks import load
from crf.instrument import canonical
from crf.instrument import load as load_definition
from registry import database, folder
from registry.services import approve, publish
from sites.access import system
from sites.audit import Actor, acting
from sites.models import Membership, Study, User
from sites.roles import Role

HERE = Path(__file__).parent
FEW, MANY = 600, 100_000
DECIDES = (
    "*/migrations/*.py",
    "sites/protection.py",
    "registry/sql/*.sql",
    "benchmarks/load.py",
    "benchmarks/protocol/**/*.yaml",
)
PREFIX = "edc_bench_"
BUILDING = 4_711_019  # the advisory lock of whoever builds
PEOPLE = {"coordinator": (Role.COORDINATOR, "B01"), "datamanager": (Role.DATA_MANAGER, None)}
ALIASES = ("default", "owner", "backup")
URLS = {"default": "DATABASE_URL", "owner": "OWNER_DATABASE_URL", "backup": "BACKUP_DATABASE_URL"}


class NotEmbedded(Exception):
    """Benchmarks make and drop databases, so that they only run on the embedded server."""


def data_folder() -> Path:
    """The folder of the embedded server that the environment leads to; refuses any other server."""
    data = Path(settings.DATA_DIR).parent
    known = folder.read(data / "ports.json").get("postgresql")
    for alias in ALIASES:
        wanted = settings.DATABASES.get(alias, {})
        if wanted.get("HOST") != "127.0.0.1" or wanted.get("PORT") != str(known):
            raise NotEmbedded(
                "Benchmarks make databases of their own in the embedded server: use `make bench`."
            )
    return data


def fingerprint() -> str:
    """A digest of every file that decides what the databases hold."""
    files = sorted({path for pattern in DECIDES for path in HERE.parent.glob(pattern)})
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(HERE.parent)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def name_of(what: str | int) -> str:
    return f"{PREFIX}{fingerprint()}_{what}"


def superuser(name: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        folder.superuser_url(data_folder()),
        dbname=name,
        autocommit=True,
        options="-c TimeZone=UTC",
    )


def connect(name: str, role: str = "default") -> psycopg.Connection:
    """A plain connection in the name of a role of the installation."""
    wanted = settings.DATABASES[role]
    return psycopg.connect(
        host=wanted["HOST"],
        port=wanted["PORT"],
        user=wanted["USER"],
        password=wanted["PASSWORD"],
        dbname=name,
        options="-c TimeZone=UTC",
    )


def point(name: str) -> None:
    """Let Django's connections of this process lead to one of the databases."""
    for alias in ALIASES:
        connections[alias].close()
        connections.databases[alias]["NAME"] = name


def environment(name: str) -> dict[str, str]:
    """The environment of a server on one of the databases."""
    found = dict(os.environ)
    for variable in URLS.values():
        found[variable] = urlunsplit(urlsplit(found[variable])._replace(path=f"/{name}"))
    return found


def prepare(what: str | int) -> str:
    """The name of a database that is ready: "floor", or with so many participants."""
    name = name_of(what)
    with superuser() as server:
        server.execute("SELECT pg_advisory_lock(%s)", [BUILDING])
        names = [n for (n,) in server.execute("SELECT datname FROM pg_database")]
        for old in names:
            if old.startswith(PREFIX) and not old.startswith(f"{PREFIX}{fingerprint()}_"):
                server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(old)))
        if name not in names:
            building, data = f"{PREFIX}building", data_folder()
            database.create(folder.superuser_url(data), building, folder.known_secrets(data))
            if isinstance(what, int):
                _build(building, what)
            server.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(building), sql.Identifier(name)
                )
            )
    return name


def _build(name: str, participants: int) -> None:
    before = settings.DATABASES["default"]["NAME"]
    point(name)
    try:
        call_command("migrate", database="owner", verbosity=0, skip_checks=True)
        study = _study()
    finally:
        point(before)
    with superuser(name) as server:
        load.participants(server, study.pk, participants)


def _study() -> Study:
    definition = load_definition(HERE / "protocol")
    with system("publish", sites=[]) as by:
        version = publish(content=canonical(definition), sha256=definition.sha256, by=by).version
    sites = {site.code: site for site in version.study.sites.all()}
    with system("demo", sites=[site.pk for site in sites.values()]) as by:
        for site in sites.values():
            approve(
                site=site,
                version=version,
                approved_on=dt.date(2026, 1, 1),
                reference=f"{site.code}-1",
                by=by,
            )
    with acting(Actor.job("demo"), "the people of the benchmarks"):
        for username, (role, code) in PEOPLE.items():
            Membership.objects.create(
                user=User.objects.create(
                    username=username,
                    name=username,
                    email=f"{username}@example.org",
                    password=make_password(settings.DEMO_PASSWORD),
                ),
                study=version.study,
                site=sites[code] if code else None,
                role=role,
                since=dt.date(2026, 1, 1),
            )
    return version.study
