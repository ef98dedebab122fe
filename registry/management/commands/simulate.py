"""`manage.py simulate --participants 60 --seed 1`: invented participants, through the services.

The same seed makes the same answers. All of it is one transaction: it is there whole, or not at
all. Refused in production, where an invented participant could be taken for a real one.
"""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.simulation import simulate
from sites.access import Refused, system
from sites.models import Study


class Command(BaseCommand):
    help = (
        "Writes plausible invented participants (never in production); the same for the same seed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--participants", type=int, required=True)
        parser.add_argument("--seed", type=int, required=True)
        parser.add_argument("--study", default="uspp")
        parser.add_argument(
            "--settled",
            action="append",
            default=[],
            metavar="SITE",
            help="a site at which everybody is through, so that it can nearly be locked",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("Nobody is invented in production.")
        study = Study.objects.filter(code=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study {options['study']!r}; publish it first.")
        sites = list(study.sites.all())
        unknown = set(options["settled"]) - {site.code for site in sites}
        if unknown:
            raise CommandError(f"{study.code} has no site {', '.join(sorted(unknown))}.")
        try:
            with system("simulate", sites=[site.pk for site in sites]) as by:
                states = simulate(
                    study=study,
                    sites=sites,
                    participants=options["participants"],
                    seed=options["seed"],
                    settled=options["settled"],
                    password=settings.DEMO_PASSWORD,
                    by=by,
                )
        except Refused as refused:
            raise CommandError(f"Nobody was simulated: {refused}") from None
        told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
        self.stdout.write(f"{study.code}: {states.total()} simulated participants ({told})")
