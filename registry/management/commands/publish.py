"""`manage.py publish uspp`: check a study's folder and store it as its next version."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from crf.instrument import Broken, canonical, load
from registry.services import publish
from sites.access import Refused, system


class Command(BaseCommand):
    help = "Checks a study's folder and publishes it; what was published never changes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study")
        parser.add_argument("--folder", type=Path, help="instead of registry/protocols/STUDY")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = (
            options["folder"] or settings.BASE_DIR / "registry" / "protocols" / options["study"]
        )
        try:
            definition = load(folder)
        except Broken as broken:
            lines = [f"{p.file}:{p.line}: {p.message}" for p in broken.problems]
            raise CommandError("\n".join(["Not published.", *lines])) from None
        if definition.protocol.code != options["study"]:
            raise CommandError(f"{folder} holds the study {definition.protocol.code!r}.")
        with system("publish", sites=[]) as by:
            try:
                published = publish(content=canonical(definition), sha256=definition.sha256, by=by)
            except Refused as refused:
                raise CommandError(str(refused)) from None
        version = published.version
        said = "published" if published.new else "was published before"
        self.stdout.write(f"{version} {said} (number {version.number}, SHA-256 {version.sha256})")
