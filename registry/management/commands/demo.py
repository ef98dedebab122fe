"""Demonstration accounts, one for each role, and something to try; refused in production."""

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from registry.models import Participant, ProtocolVersion
from registry.services import approve
from registry.simulation import try_out
from sites.access import system
from sites.audit import Actor, acting
from sites.models import Membership, Site, Study, User
from sites.roles import Role

STUDY = "uspp"
PARTICIPANTS, SEED = 60, 20261121
SETTLED, TO_TRY = "PNU", "JSS"  # where little stands in the way of a lock; where one is left to try
# user name → (Korean name, [(role, site code or None for all)])
PEOPLE: dict[str, tuple[str, list[tuple[Role, str | None]]]] = {
    "coordinator": ("김은지", [(Role.COORDINATOR, "JSS")]),
    "coordinator2": ("박서준", [(Role.COORDINATOR, "DJJ"), (Role.MONITOR, "JSS")]),
    "investigator": ("이정훈", [(Role.INVESTIGATOR, "JSS")]),
    "monitor": ("최유진", [(Role.MONITOR, None)]),
    "datamanager": ("정하늘", [(Role.DATA_MANAGER, None)]),
    "safety": ("한지원", [(Role.SAFETY_OFFICER, None)]),
    "admin": ("오세영", [(Role.ADMINISTRATOR, None)]),
    "auditor": ("윤태호", [(Role.AUDITOR, None)]),
    "nobody": ("문가람", []),
}


class Command(BaseCommand):
    help = "Makes the demonstration accounts and participants (DEMO only); safe to run again."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("Demonstration accounts exist only where DEMO is on.")
        study = Study.objects.get(code=STUDY)
        sites = {site.code: site for site in study.sites.all()}
        with system("demo", sites=[site.pk for site in sites.values()]) as by:
            make_accounts(study, sites, by)
            version = ProtocolVersion.objects.filter(study=study).latest("number")
            since = min(site.today() for site in sites.values()) - dt.timedelta(days=240)
            for site in sites.values():
                if not site.approvals.filter(version=version).exists():
                    approve(
                        site=site,
                        version=version,
                        approved_on=since,
                        reference=f"{site.code}-IRB-2026-001",
                        by=by,
                    )
            empty = not Participant.objects.exists()
        if empty:
            call_command(
                "simulate",
                study=STUDY,
                participants=PARTICIPANTS,
                seed=SEED,
                settled=[SETTLED],
                stdout=self.stdout,
            )
            with system("demo", sites=[sites[TO_TRY].pk]) as by:
                try_out(site=sites[TO_TRY], seed=SEED, by=by)


def make_accounts(study: Study, sites: dict[str, Site], by: Actor) -> None:
    """The demonstration accounts with the password of this installation, made or put right."""
    password = make_password(settings.DEMO_PASSWORD)  # slow by design: once is enough
    for username, (name, roles) in PEOPLE.items():
        user = User.objects.filter(username=username).first() or User(
            username=username, name=name, email=f"{username}@example.org"
        )
        user.password = password
        with acting(by, "시연용 계정"):
            user.save()
            for role, code in roles:
                site = sites[code] if code else None
                if not user.memberships.filter(study=study, site=site, role=role).exists():
                    Membership.objects.create(
                        user=user,
                        study=study,
                        site=site,
                        role=role,
                        since=dt.date(2026, 1, 1),
                    )
