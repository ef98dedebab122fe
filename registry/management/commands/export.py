"""`manage.py export --study uspp --out DIR [--sites JSS DJJ]`: the dataset, as the job builds it.

For whoever runs the server: it asks for no permission and is no release, so that it has no number
and nobody's name. What people take out goes through the pages.
"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exports.release import build
from sites.access import Refused
from sites.models import Study


class Command(BaseCommand):
    help = "Writes the dataset of a study, or of some of its sites, into a folder."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True)
        parser.add_argument("--out", type=Path, required=True, metavar="DIR")
        parser.add_argument("--sites", nargs="+", default=[], metavar="CODE", help="default: all")

    def handle(self, *args: Any, **options: Any) -> None:
        study = Study.objects.filter(code=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study {options['study']!r}.")
        sites = {site.code: site.pk for site in study.sites.all()}
        # Both `--sites JSS DJJ` and `--sites JSS,DJJ` are what people type.
        wanted = [code for word in options["sites"] for code in word.split(",") if code]
        if unknown := sorted(set(wanted) - sites.keys()):
            raise CommandError(f"{study.code} has no site {', '.join(unknown)}.")
        options["out"].mkdir(parents=True, exist_ok=True)
        path = options["out"] / f"{study.code}.zip"
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        try:
            built = build(study, [sites[code] for code in wanted or sites], part)
            part.replace(path)
        except Refused as refused:
            raise CommandError(str(refused)) from None
        finally:
            part.unlink(missing_ok=True)
        self.stdout.write(f"{path}: {built.size} bytes, SHA-256 {built.sha256}")
