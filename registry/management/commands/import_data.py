"""`manage.py import_data FILE --map MAP.yaml [--dry-run]`: a list from elsewhere, line by line.

The same code as the pages. A dry run tells what each line would change and writes nothing; without
it the rows are written in the name of `--user`, who must be allowed to enter data at the site.
Exit code 0: nothing was refused; 2: some lines were; 1: the file or its map can't be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from crf.imports.mapping import checked, read_map
from crf.imports.plan import CHANGED, NEW, REFUSED, UNCHANGED, Plan, make_plan
from crf.imports.sheet import read_sheet
from crf.services.imports import commit, definition_at, plan_of, set_mapping, upload
from sites.access import Refused, roles_of, set_sites, system
from sites.audit import Actor
from sites.models import Site, Study, User
from sites.roles import Permission, permissions


class Command(BaseCommand):
    help = "Imports the answers of a CSV or XLSX file, or tells what it would change."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--map", type=Path, required=True, help="what the columns are (YAML)")
        parser.add_argument("--dry-run", action="store_true", help="write nothing")
        parser.add_argument("--site", default="", help="its code; else what the map says")
        parser.add_argument("--user", default="", help="in whose name the answers are written")
        parser.add_argument("--reason", default="", help="where the answers come from")
        parser.add_argument(
            "--correct", action="store_true", help="also change completed and signed forms"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            content = read_map(options["map"])
            study = _study(content)
            code = options["site"] or (content.get("site") or "")
            sites = list(study.sites.filter(code=code) if code else study.sites.all())
            if not sites:
                raise Refused(f"The study has no site {code!r}.")
            if options["dry_run"]:
                counts = self._foretell(options["file"], content, sites)
            else:
                counts = self._write(options, content, sites)
        except Refused as refused:
            raise CommandError(str(refused)) from None
        except OSError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(", ".join(f"{name}: {count}" for name, count in counts.items()))
        if counts[REFUSED]:
            raise CommandError("Some lines were refused; they are listed above.", returncode=2)

    def _foretell(self, path: Path, content: Any, sites: list[Site]) -> dict[str, int]:
        sheet = read_sheet(path.name, path.read_bytes())
        with system("import", sites=[]):
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION READ ONLY")  # the database holds us to it
            set_sites([site.pk for site in sites])
            approved = [site for site in sites if _works(site)]
            if not approved:
                raise Refused("None of these sites works under a published protocol yet.")
            mapping = checked(content, definition_at(approved[-1]), sheet.headers)
            plan = make_plan(sheet, mapping, approved)
            self._tell(plan)
        self.stdout.write("Nothing was written (dry run).")
        return plan.counts

    def _write(self, options: dict[str, Any], content: Any, sites: list[Site]) -> dict[str, int]:
        by, site = _person(options["user"], sites)
        path: Path = options["file"]
        with system("import", sites=[site.pk]):
            record = upload(site=site, name=path.name, content=path.read_bytes(), by=by)
            set_mapping(record=record, mapping=content, by=by)
            plan = plan_of(record)
            if not plan.counts[NEW] + plan.counts[CHANGED]:
                self._tell(plan)
                self.stdout.write("Nothing was written: no line would change anything.")
                return plan.counts
            commit(
                record=record,
                shown=plan.digest,
                reason=options["reason"],
                confirmed=options["correct"],
                by=by,
                here_and_now=True,
            )
            for row in record.outcome:
                if row["state"] == REFUSED:
                    self.stdout.write(_line(row["line"], row["state"], row, row["sentence"]))
            self.stdout.write(f"Import {record.pk} (SHA-256 {record.sha256})")
            return dict(record.counts)

    def _tell(self, plan: Plan) -> None:
        for row in plan.rows:
            if row.state != UNCHANGED:
                told = "; ".join(
                    f"{item}: {_value(row.old[item])} → {_value(new)}"
                    for item, new in row.new.items()
                )
                self.stdout.write(_line(row.line, row.state, row.as_data(), row.sentence or told))


def _study(content: Any) -> Study:
    if not isinstance(content, dict) or not content.get("study"):
        raise Refused("The map must name the study: “study: uspp”.")
    study = Study.objects.filter(code=content["study"]).first()
    if study is None:
        raise Refused(f"There is no study {content['study']!r}.")
    return study


def _works(site: Site) -> bool:
    try:
        definition_at(site)
    except Refused:
        return False
    return True


def _person(username: str, sites: list[Site]) -> tuple[Actor, Site]:
    """Who writes, and at which of the sites they may."""
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None:
        raise Refused("Say with --user in whose name the answers are written.")
    held = roles_of(person.pk, sites[0].study_id)
    through = {
        site.pk: role
        for site in sites
        for role in held.get(site.pk, ())
        if Permission.ENTER in permissions([role])
    }
    if not through:
        raise Refused(f"{username} may not enter data there.")
    if len(through) > 1:
        raise Refused("Say with --site to which site the list belongs.")
    (site,) = [site for site in sites if site.pk in through]
    return Actor(label=f"user:{person.pk}", user_id=person.pk, roles=through), site


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"[{value['missing']}]"
    return "–" if value is None else str(value)


def _line(number: int, state: str, row: dict[str, Any], said: str) -> str:
    return f"line {number}: {state} | {row['subject']} | {row['visit']} | {row['form']} | {said}"
