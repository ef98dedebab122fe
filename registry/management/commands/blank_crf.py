"""`manage.py blank_crf --study uspp --out FILE.pdf [--lang ko|en]`: all forms of the version that
was published last, to print before the system is down.
"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation

from exports.documents.making import LANGUAGES, print_blank
from registry.models import ProtocolVersion
from sites.access import Refused


class Command(BaseCommand):
    help = "Writes the blank forms of a study's newest protocol version as PDF."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True)
        parser.add_argument("--out", type=Path, required=True, metavar="FILE.pdf")
        parser.add_argument("--lang", choices=LANGUAGES, default="ko")

    def handle(self, *args: Any, **options: Any) -> None:
        versions = ProtocolVersion.objects.filter(study__code=options["study"])
        version = versions.select_related("study").order_by("number").last()
        if version is None:
            raise CommandError(f"No protocol of {options['study']!r} is published.")
        if not options["out"].parent.is_dir():
            raise CommandError(f"There is no folder {options['out'].parent}.")
        part = options["out"].with_suffix(".part")
        try:
            with translation.override(options["lang"]):
                pages, _key = print_blank(version, part)
            part.replace(options["out"])
        except (Refused, RuntimeError) as error:
            raise CommandError(str(error)) from None
        finally:
            part.unlink(missing_ok=True)
        self.stdout.write(f"{options['out']}: {version}, {pages} pages")
