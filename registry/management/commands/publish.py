"""`manage.py publish uspp`: check a study's folder and store it as its next version.

With `--dry-run` nothing is stored: it tells what the version changes and which existing entries its
checks would flag.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from crf.amendment import Difference, differences, flags
from crf.definitions import definition_of
from crf.instrument import Broken, Definition, canonical, load
from registry.models import ProtocolVersion
from registry.services import publish, require_new_label
from sites.access import Refused, set_sites, system
from sites.models import Study

MARKS = {"added": "+", "removed": "-", "changed": "~"}


class Command(BaseCommand):
    help = "Checks a study's folder and publishes it; what was published never changes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study")
        parser.add_argument("--folder", type=Path, help="instead of registry/protocols/STUDY")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="store nothing: tell what changes, and which existing entries would be flagged",
        )

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
        try:
            if options["dry_run"]:
                self._foretell(definition)
            else:
                self._publish(definition)
        except Refused as refused:
            raise CommandError(str(refused)) from None

    def _publish(self, definition: Definition) -> None:
        with system("publish", sites=[]) as by:
            published = publish(content=canonical(definition), sha256=definition.sha256, by=by)
        version = published.version
        said = "published" if published.new else "was published before"
        self.stdout.write(f"{version} {said} (number {version.number}, SHA-256 {version.sha256})")

    def _foretell(self, definition: Definition) -> None:
        protocol = definition.protocol
        with system("publish", sites=[]):
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION READ ONLY")  # the database holds us to it
            study = Study.objects.filter(code=protocol.code).first()
            self.stdout.write(f"{protocol.code} {protocol.version}: nothing is published.")
            if study is None:
                self.stdout.write("The study is new: there are no entries to flag.")
                return
            last = study.versions.order_by("number").last()
            assert last is not None
            if ProtocolVersion.objects.filter(study=study, sha256=definition.sha256).exists():
                self.stdout.write("This content was published before: nothing would change.")
                return
            require_new_label(study, protocol)
            for line in _changes(differences(definition_of(last.pk), definition), last.label):
                self.stdout.write(line)
            sites = list(study.sites.all())
            set_sites([site.pk for site in sites])
            found = list(flags(definition, sites))
            for flag in found:
                about = f"{flag.entry.site.code} {flag.entry.participant.number}"
                place = f"{about} | {flag.visit or '-'} | {flag.form} {flag.entry.number}"
                self.stdout.write(f"{place} | {flag.item} | {flag.check or '-'} | {flag.sentence}")
        self.stdout.write(f"{len(found)} finding(s) in existing entries; these keep their version.")


def _changes(found: list[Difference], label: str) -> Iterator[str]:
    yield f"{len(found)} change(s) since {label}:"
    for each in found:
        ends = [end for end in (each.before, each.after) if end]
        values = f": {each.before or '–'} → {each.after or '–'}" if ends else ""
        yield f"  {MARKS[each.kind]} {each.place} · {each.what}{values}"
