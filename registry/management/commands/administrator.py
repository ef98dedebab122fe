"""`manage.py administrator STUDY USERNAME NAME EMAIL`: the first account of a new installation.

Everybody else is invited by an administrator through the pages.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from registry.invitation import mail_invitation
from sites.access import Refused, system
from sites.models import Study
from sites.roles import Role
from sites.services import give_role, invite


class Command(BaseCommand):
    help = "Invites an administrator of all sites of a study; the link to set a password is mailed."

    def add_arguments(self, parser: CommandParser) -> None:
        for name in ("study", "username", "name", "email"):
            parser.add_argument(name)

    def handle(self, *args: Any, **options: Any) -> None:
        study = Study.objects.filter(code=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study {options['study']!r}; publish it first.")
        try:
            with system("administrator", sites=[]) as by:
                user = invite(
                    username=options["username"],
                    name=options["name"],
                    email=options["email"],
                    by=by,
                )
                give_role(
                    user=user,
                    study=study,
                    site=None,
                    role=Role.ADMINISTRATOR,
                    since=timezone.localdate(),
                    by=by,
                )
        except Refused as refused:
            raise CommandError(str(refused)) from None
        mail_invitation(user)
        self.stdout.write(
            f"{user} is administrator of {study.code}; the link went to {user.email}."
        )
