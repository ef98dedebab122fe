"""Brings an installation to where it can be used; safe to run at every start.

Roles where a superuser's address is given (a managed server; compose and the embedded server
have made them already), then migrations as the owner. With DEMO also the protocols that come
with the code, the log-ins that everybody knows, and simulated participants: a real registry
publishes its protocol by hand, since that is somebody's decision.
"""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from registry import database, environment


class Command(BaseCommand):
    help = "Creates roles where it may, migrates, and with DEMO loads something to try."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in settings.DATABASES:
            raise CommandError("OWNER_DATABASE_URL is missing: only the owner may migrate.")
        if superuser_url := environment.text("SUPERUSER_DATABASE_URL", ""):
            self._create(superuser_url)
        call_command("migrate", database="owner", interactive=False, verbosity=0)
        self.check(databases=["default"], display_num_errors=False)
        if settings.DEMO:
            for protocol in sorted((settings.BASE_DIR / "registry" / "protocols").iterdir()):
                if protocol.is_dir():
                    call_command("publish", protocol.name, stdout=self.stdout)
            call_command("demo", stdout=self.stdout)

    def _create(self, superuser_url: str) -> None:
        aliases = {"app": "default", "owner": "owner", "backup": "backup"}
        if missing := aliases.values() - settings.DATABASES.keys():
            raise CommandError(f"Roles need an address for each: {', '.join(missing)} is missing.")
        for role, alias in aliases.items():
            if settings.DATABASES[alias]["USER"] != f"edc_{role}":
                raise CommandError(f"The database {alias!r} must log in as edc_{role}.")
        passwords = {role: settings.DATABASES[alias]["PASSWORD"] for role, alias in aliases.items()}
        database.create(superuser_url, settings.DATABASES["owner"]["NAME"], passwords)
