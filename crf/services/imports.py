"""Writing what a list from elsewhere brought: kept encrypted, looked at, then written row by row.

A row is one form of one line, and is stored whole or not at all: a list of a thousand lines is
not held up by one wrong cell, and what was refused is listed with its line number. Each row is a
save of `save_entry`, with its checks, queries and history, under an operation id that follows from
the import and the line: a worker that is killed and begins again, or somebody who presses twice,
writes nothing a second time.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from crf.definitions import definition_of
from crf.imports.mapping import checked, guess
from crf.imports.plan import CHANGED, NEW, REFUSED, UNCHANGED, Plan, make_plan, versions_of
from crf.imports.sheet import PARSER, Sheet, file_name, read_sheet
from crf.instrument import Definition
from crf.models import Entry, Import
from crf.services.entries import save_entry
from crf.services.words import words
from registry.identity import decrypt, encrypt
from registry.jobs import Held, finishing, request_job
from registry.models import Job
from sites.access import Refused, refusal, roles_of, set_sites, system
from sites.audit import Actor, acting
from sites.models import Site
from sites.roles import Permission, permissions

KIND = "import"
AT_ONCE = 50  # rows that are written while the person waits; more are a worker's
_IDS = uuid.UUID("6d1f3a34-4b0e-5f0d-9d0e-0a4f6b1f7c21")


def upload(*, site: Site, name: str, content: bytes, by: Actor) -> Import:
    """Read a file and keep its lines, encrypted, until they are written or thrown away."""
    shown = file_name(name)
    sheet = read_sheet(shown, content)
    held = {"headers": sheet.headers, "lines": sheet.lines, "encoding": sheet.encoding}
    with acting(by):
        return Import.objects.create(
            site=site,
            file_name=shown,
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            parser=f"{PARSER}, {sheet.encoding}",
            lines=len(sheet.lines),
            headers=sheet.headers,
            content=encrypt(json.dumps(held, ensure_ascii=False)),
            uploaded_by_id=by.person,
        )


def sheet_of(record: Import) -> Sheet:
    """The lines of an import that is still open."""
    held = json.loads(decrypt(record.content))
    return Sheet(held["headers"], [(n, cells) for n, cells in held["lines"]], held["encoding"])


def definition_at(site: Site) -> Definition:
    """The forms whose questions a list may answer: those in use at the site."""
    version = versions_of([site])
    if version is None:
        raise Refused(_("%(site)s has no recorded IRB approval yet.") % {"site": site})
    return definition_of(version.pk)


def proposed(record: Import) -> dict[str, Any]:
    """A mapping to begin with: that of the last list with the same headings, or a guess."""
    same = (
        Import.objects.filter(site=record.site, headers=record.headers)
        .exclude(mapping={})
        .order_by("-pk")
        .first()
    )
    if same is not None:
        return dict(same.mapping)
    found = guess([name for name in record.headers if name], definition_at(record.site))
    return {"columns": {name: {"to": to} for name, to in found.items()}}


def set_mapping(*, record: Import, mapping: Mapping[str, Any], by: Actor) -> Import:
    """Say what the columns are; possible until the import is written."""
    require_open(record)
    content = checked(dict(mapping), definition_at(record.site), record.headers)
    with acting(by):
        record.mapping = json.loads(content.model_dump_json())
        record.save(update_fields=["mapping"])
    return record


def require_open(record: Import) -> None:
    if record.committed_at or record.discarded_at:
        raise Refused(_("This import is closed."))


def plan_of(record: Import) -> Plan:
    """What the list would do now."""
    mapping = checked(record.mapping, definition_at(record.site), record.headers)
    return make_plan(sheet_of(record), mapping, [record.site], _done_before(record))


def _done_before(record: Import) -> dict[int, set[str]]:
    """Line → questions that earlier imports of the same file have written at this site."""
    found: dict[int, set[str]] = {}
    earlier = Import.objects.filter(site=record.site, sha256=record.sha256).exclude(pk=record.pk)
    for outcome in earlier.values_list("outcome", flat=True):
        for row in outcome:
            if row["state"] in (NEW, CHANGED, UNCHANGED):
                found.setdefault(row["line"], set()).update(
                    f"{row['form']}.{item}" for item in row["items"]
                )
    return found


def discard(*, record: Import, by: Actor) -> Import:
    """Throw the lines of a list away; that it was there stays."""
    require_open(record)
    with acting(by):
        record.discarded_at, record.content = timezone.now(), ""
        record.save(update_fields=["discarded_at", "content"])
    return record


class Differs(Refused):
    """Between the look and the yes somebody changed what the list is about."""

    def __init__(self) -> None:
        super().__init__(
            _("The data changed since you looked at the list. This is how it looks now.")
        )


def commit(
    *,
    record: Import,
    shown: str,
    reason: str,
    confirmed: bool = False,
    here_and_now: bool = False,
    by: Actor,
) -> Import:
    """Write what was shown: at once when it is short, else by a worker.

    `shown` is the digest of the plan that the person saw; `confirmed` that they saw that completed
    or signed forms are among it; `here_and_now` that no worker is to be asked, however long it is.
    """
    reason = words(reason, "reason", ask=_("Please say where these answers come from."))
    # Of two who say yes at once, the second is told.
    require_open(Import.objects.select_for_update().get(pk=record.pk))
    plan = plan_of(record)
    if plan.digest != shown:
        raise Differs
    counts = plan.counts
    if not counts[NEW] + counts[CHANGED]:
        raise Refused(_("There is nothing to write: no line would change anything."))
    if plan.touches and not confirmed:
        raise Refused(
            _("Please confirm that completed or signed forms are to be changed."), "confirmed"
        )
    with acting(by, reason):
        record.committed_at, record.committed_by_id = timezone.now(), by.person
        record.reason = reason
        rows = [row.as_data() for row in plan.rows]
        record.content = encrypt(json.dumps({"rows": rows}, ensure_ascii=False))
        record.save(update_fields=["committed_at", "committed_by", "reason", "content"])
    if here_and_now or counts[NEW] + counts[CHANGED] <= AT_ONCE:
        outcome = list(_written(record, by, lambda: nullcontext()))
        with acting(by, reason):
            _close(record, outcome)
    else:
        go_on(record=record, by=by)
    return record


def go_on(*, record: Import, by: Actor) -> Job:
    """Let a worker write what was said yes to; also again, after a worker failed."""
    return request_job(
        study=record.site.study,
        kind=KIND,
        params={"import": record.pk, "site": record.site_id},
        by=by,
    )


def job_of(record: Import) -> Job | None:
    """The newest job of an import, if it has one."""
    return Job.objects.filter(kind=KIND, params__import=record.pk).first()


def take_in(held: Held) -> None:
    """The work of a job: ask again who may, write the rows, close the import."""
    job, site_id = held.job, int(held.job.params["site"])

    def here() -> AbstractContextManager[Any]:
        return system(KIND, sites=[site_id])

    by = _permitted(job, site_id)
    with here():
        record = Import.objects.select_related("site").get(pk=job.params["import"])
    if record.finished_at:
        raise Refused(_("This import is closed."))
    outcome = []
    total = len(_rows(record))
    for number, row in enumerate(_written(record, by, here), start=1):
        outcome.append(row)
        held.advance(100 * number // max(total, 1))
    with here(), finishing(held), acting(by, record.reason):
        set_sites([site_id])
        _close(record, outcome)


def _permitted(job: Job, site_id: int) -> Actor:
    """Who said yes, if they may still enter data at the site."""
    person = job.requested_by
    roles = roles_of(person.pk, job.study_id) if person and person.is_active else {}
    through = [r for r in roles.get(site_id, ()) if Permission.ENTER in permissions([r])]
    if person is None or not through:
        raise Refused(_("You may no longer enter data at this site, so nothing more was written."))
    return Actor(
        label=f"user:{person.pk}",
        user_id=person.pk,
        roles={site_id: through[0]},
        request=str(job.pk),
    )


def _rows(record: Import) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(decrypt(record.content))["rows"]
    return rows


def _written(
    record: Import, by: Actor, here: Callable[[], AbstractContextManager[Any]]
) -> Iterator[dict[str, Any]]:
    """Write row after row, each in a transaction of its own, and say what became of it."""
    by = replace(by, source=KIND)
    for row in _rows(record):
        told = {key: row[key] for key in ("line", "state", "subject", "visit", "form", "entry")}
        told |= {"items": sorted(row["new"]), "sentence": row["sentence"]}
        if row["state"] in (NEW, CHANGED):
            with here():
                sentence = _save(record, row, by)
            if sentence:
                told |= {"state": REFUSED, "sentence": sentence}
        yield told


def _save(record: Import, row: Mapping[str, Any], by: Actor) -> str:
    """One row through the same door as every other answer; a sentence when it was refused."""
    changes = {i: None if isinstance(v, dict) else v for i, v in row["new"].items()}
    missing = {i: v["missing"] for i, v in row["new"].items() if isinstance(v, dict)}
    try:
        saved = save_entry(
            entry=Entry(pk=row["entry"]),
            changes=changes,
            missing=missing,
            base=row["old"],
            reason=f"{record.reason} [{KIND} {record.pk}:{row['line']}]",
            op=uuid.uuid5(_IDS, f"{record.pk}:{record.sha256}:{row['line']}:{row['form']}"),
            strict=True,
            by=by,
        )
    except (Refused, DatabaseError) as error:
        sentence = refusal(error)
        if sentence is None:
            raise
        return sentence
    if saved.conflicts:
        return _("The answer changed after the list was looked at.")
    return " ".join(saved.errors.values()) or (
        _("This form is complete; a change needs a reason.") if saved.needs_reason else ""
    )


def _close(record: Import, outcome: Iterable[dict[str, Any]]) -> None:
    """Keep what became of each line, and let the lines themselves go; the caller is `acting`."""
    record.outcome = list(outcome)
    record.counts = {
        state: sum(row["state"] == state for row in record.outcome)
        for state in (NEW, CHANGED, UNCHANGED, REFUSED)
    }
    record.finished_at, record.content = timezone.now(), ""
    record.save(update_fields=["outcome", "counts", "finished_at", "content"])
