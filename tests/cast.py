"""Who plays in the tests: a fixed cast of accounts named by role, at the sites of two studies.

They are made once, in the template database, in the way in which an installation makes them.
Every account has the same password, `PASSWORD`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.hashers import make_password
from django.db import connections, transaction

from crf.instrument import canonical, load
from registry.services import approve, publish
from sites.access import set_sites, system
from sites.audit import Actor, acting
from sites.models import Membership, Site, Study, User
from sites.roles import Role

PASSWORD = "correct-horse-8-battery"

ROOT = Path(__file__).resolve().parent.parent
# Study → the folder of its protocol, which names its sites.
STUDIES: Mapping[str, Path] = {
    "uspp": ROOT / "registry" / "protocols" / "uspp",
    "needle": ROOT / "tests" / "protocols" / "needle",
}

SINCE = dt.date(2026, 1, 1)


@dataclass(frozen=True)
class Part:
    """One role that somebody holds: at one site, or at all of the study where `site` is None."""

    role: Role
    site: str | None
    study: str = "uspp"
    until: dt.date | None = None


CAST: Mapping[str, tuple[Part, ...]] = {
    "coordinator": (Part(Role.COORDINATOR, "JSS"),),
    # A coordinator at one hospital who is monitor at another: allowed, each at its own site.
    "coordinator2": (Part(Role.COORDINATOR, "DJJ"), Part(Role.MONITOR, "JSS")),
    "investigator": (Part(Role.INVESTIGATOR, "JSS"),),
    "monitor": (Part(Role.MONITOR, None),),
    "datamanager": (Part(Role.DATA_MANAGER, None),),
    "safety": (Part(Role.SAFETY_OFFICER, None),),
    "admin": (Part(Role.ADMINISTRATOR, None),),
    "auditor": (Part(Role.AUDITOR, None),),
    "nobody": (),
    "former": (Part(Role.COORDINATOR, "JSS", until=dt.date(2026, 3, 31)),),
    "needle_coordinator": (Part(Role.COORDINATOR, "NDA", "needle"),),
    "needle_investigator": (Part(Role.INVESTIGATOR, "NDA", "needle"),),
    "needle_datamanager": (Part(Role.DATA_MANAGER, None, "needle"),),
}


def make() -> None:
    """Publish the studies, approve them at their sites, and make the cast, as the runtime role."""
    for folder in STUDIES.values():
        definition = load(folder)
        with system("publish", sites=[]) as by:
            version = publish(
                content=canonical(definition), sha256=definition.sha256, by=by
            ).version
        sites = list(version.study.sites.all())
        with system("demo", sites=[site.pk for site in sites]) as by:
            for site in sites:
                approve(
                    site=site, version=version, approved_on=SINCE, reference=f"{site.code}-1", by=by
                )
    with acting(Actor.job("demo"), "the cast of the tests"):
        password = make_password(PASSWORD)
        for username, parts in CAST.items():
            user = User.objects.create(
                username=username,
                name=username.replace("_", " "),
                email=f"{username}@example.org",
                password=password,
            )
            for part in parts:
                study = Study.objects.get(code=part.study)
                Membership.objects.create(
                    user=user,
                    study=study,
                    site=study.sites.get(code=part.site) if part.site else None,
                    role=part.role,
                    since=SINCE,
                    until=part.until,
                )


def actor(user: User, *sites: Site) -> Actor:
    """What `page()` would make of this person at these sites."""
    roles = {
        site.pk: membership.role
        for site in sites
        for membership in user.memberships.filter(study_id=site.study_id)
        if membership.site_id in (None, site.pk)
    }
    return Actor(label=f"user:{user.pk}", user_id=user.pk, roles=roles)


@contextmanager
def seeing(*sites: Site, using: str = "default") -> Iterator[None]:
    """A transaction in the context of these sites, which is gone after it."""
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT coalesce(current_setting('edc.sites', true), '')")
            (before,) = cursor.fetchone()
        set_sites([site.pk for site in sites], using=using)
        yield
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT set_config('edc.sites', %s, true)", [before])


@contextmanager
def working(user: User, *sites: Site, reason: str = "") -> Iterator[Actor]:
    """`seeing` and `acting` at once: somebody at work at these sites."""
    by = actor(user, *sites)
    with seeing(*sites), acting(by, reason):
        yield by
