"""`manage.py rescore [--dry-run]`: stored scores that differ from what today's rules compute.

A score is a pure function of the answers, so any stored one can be computed again; what differs is
listed line by line. A locked site is listed and left as it is: whoever wants it rescored unlocks
it first.
"""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from crf.definitions import instrument_of
from crf.instrument import judge
from crf.models import Entry
from crf.services import is_locked
from crf.services.entries import VERSIONS, entry_facts, scores_of
from sites.access import system
from sites.audit import Actor, acting
from sites.models import Site, Study


class Command(BaseCommand):
    help = "Lists, and without --dry-run stores, scores that today's rules compute otherwise."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", help="default: every study")
        parser.add_argument("--dry-run", action="store_true", help="only list")

    def handle(self, *args: Any, **options: Any) -> None:
        studies = Study.objects.order_by("code")
        if options["study"]:
            studies = studies.filter(code=options["study"])
            if not studies:
                raise CommandError(f"There is no study {options['study']!r}.")
        found = changed = 0
        for site in Site.objects.filter(study__in=studies).order_by("study__code", "position"):
            with system("rescore", sites=[site.pk]) as by:
                keep = options["dry_run"] or is_locked(site)
                for entry, scores in _differing(site):
                    found += 1
                    for line in _lines(entry, scores):
                        self.stdout.write(line)
                    if not keep:
                        changed += _store(entry, scores, by)
        self.stdout.write(f"{found} forms differ, {changed} were changed.")


def _differing(site: Site) -> Iterator[tuple[Entry, dict[str, Any]]]:
    entries: QuerySet[Entry] = Entry.objects.valid().filter(site=site, started_at__isnull=False)
    around = ("participant__site", "participant__allocation", "visit", "site")
    for entry in entries.select_related(*around).order_by("pk").iterator(chunk_size=500):
        instrument = instrument_of(entry)
        if not instrument.scores and not entry.scores:
            continue
        shown = judge(instrument, entry.answers, entry_facts(entry)).shown
        scores = scores_of(instrument, entry.answers, shown)
        if scores != entry.scores:
            yield entry, scores


def _lines(entry: Entry, scores: dict[str, Any]) -> Iterator[str]:
    visit = f" {entry.visit.code}" if entry.visit else ""
    where = f"{entry.site.code} {entry.participant}{visit} {entry.instrument} {entry.number}"
    old, new = _flat(entry.scores), _flat(scores)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{where}: {name} {old.get(name)} → {new.get(name)}"


def _flat(scores: dict[str, Any]) -> dict[str, Any]:
    """Outputs, and beside them "rule <score>" with the version that computed them."""
    versions = {f"rule {name}": version for name, version in scores.get(VERSIONS, {}).items()}
    return {name: value for name, value in scores.items() if name != VERSIONS} | versions


def _store(entry: Entry, scores: dict[str, Any], by: Actor) -> int:
    with acting(by, "scores computed again by the rules of this version of the software"):
        entry.scores = scores
        entry.save(update_fields=["scores"])
    return 1
