"""`manage.py casebook SUBJECT --out FILE.pdf [--lang ko|en]`: a participant's casebook, as a worker
prints it.

For whoever runs the server: it asks for no permission, and says on every page that it was made
there. What people print goes through the pages.
"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone, translation

from exports.documents.casebook import Printed
from exports.documents.making import LANGUAGES, print_casebook
from registry.models import Participant
from sites.access import Refused, system
from sites.models import Site


class Command(BaseCommand):
    help = "Writes the casebook of one participant as PDF."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", metavar="SUBJECT", help="subject or screening number")
        parser.add_argument("--out", type=Path, required=True, metavar="FILE.pdf")
        parser.add_argument("--lang", choices=LANGUAGES, default="ko")
        parser.add_argument("--study", default="", help="where a number exists in several studies")

    def handle(self, *args: Any, **options: Any) -> None:
        person = self._person(options["subject"], options["study"])
        if not options["out"].parent.is_dir():
            raise CommandError(f"There is no folder {options['out'].parent}.")
        printed = Printed(by="manage.py casebook", at=timezone.now().replace(microsecond=0))
        part = options["out"].with_suffix(".part")
        try:
            with translation.override(options["lang"]):
                _number, _key, pages = print_casebook(person.pk, [person.site_id], printed, part)
            part.replace(options["out"])
        except (Refused, RuntimeError) as error:
            raise CommandError(str(error)) from None
        finally:
            part.unlink(missing_ok=True)
        self.stdout.write(f"{options['out']}: {person.number}, {pages} pages")

    def _person(self, number: str, study: str) -> Participant:
        sites = Site.objects.filter(study__code=study) if study else Site.objects.all()
        with system("documents", sites=list(sites.values_list("pk", flat=True))):
            wanted = Q(subject_number=number) | Q(screening_number=number)
            found = list(Participant.objects.filter(wanted).select_related("site__study"))
        if not found:
            raise CommandError(f"There is no participant {number!r}.")
        if len(found) > 1:
            studies = ", ".join(sorted(each.site.study.code for each in found))
            raise CommandError(f"{number!r} exists in {studies}: say which by --study.")
        return found[0]
