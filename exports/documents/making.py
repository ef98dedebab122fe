"""Asking for a document, making it in a worker, keeping it, and who may have it.

What identifies a document is its scope, the protocol versions, where the trail stood, and the
builder. A casebook is a copy for one person, who stands on each of its pages: who asked, when and
why belong to its key as well, and only that person is given the file. Blank forms hold nobody's
data and are everybody's who sees the study.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from exports import files
from exports.archive import COMPRESSION, Archive
from exports.documents.blank import packet
from exports.documents.casebook import Printed, casebook, told
from exports.documents.pdf import fonts, print_to
from exports.models import Document
from exports.snapshot import snapshot
from registry.jobs import Held, finishing, request_job
from registry.models import Job, Participant, ProtocolVersion
from sites.access import Refused, roles_of
from sites.audit import Actor, acting
from sites.models import Site, Study
from sites.roles import Permission, permissions

Kind = Document.Kind
# What a kind of document asks of its reader at its sites, now and again in the worker.
NEEDS = {
    Kind.BLANK: Permission.SEE_STUDY,
    Kind.CASEBOOK: Permission.SEE_TRAIL,
    Kind.CASEBOOKS: Permission.RELEASE,
}
LANGUAGES = ("ko", "en")
# Counts up whenever the same data could give another file.
BUILDER = f"1 (WeasyPrint {version_of('weasyprint')}, {COMPRESSION})"
Alive = Callable[[int], None]


@dataclass(frozen=True)
class Made:
    """A document on the disk, not registered yet."""

    key: str
    file_name: str
    pages: int
    people: list[int]
    version: ProtocolVersion | None = None


# Asking -----------------------------------------------------------------------------------------


def request_casebook(*, participant: Participant, language: str, reason: str, by: Actor) -> Job:
    """Ask for the casebook of one participant."""
    params = {"participant": participant.pk, "sites": [participant.site_id]}
    return _request(Kind.CASEBOOK, participant.site.study, params, language, reason, by)


def request_casebooks(*, site: Site, language: str, reason: str, by: Actor) -> Job:
    """Ask for the casebooks of everybody at a site: one PDF each, in one archive."""
    return _request(Kind.CASEBOOKS, site.study, {"sites": [site.pk]}, language, reason, by)


def request_blank(*, version: ProtocolVersion, language: str, by: Actor) -> Job:
    """Ask for the blank forms of a protocol version."""
    params = {"version": version.pk, "sites": []}
    return _request(Kind.BLANK, version.study, params, language, _("Blank forms"), by)


def _request(
    kind: Kind, study: Study, params: dict[str, Any], language: str, reason: str, by: Actor
) -> Job:
    if language not in LANGUAGES:
        raise Refused(_("Please choose a language."), "language")
    if not reason.strip():
        raise Refused(_("Please say what you take the file for."), "reason")
    params |= {"language": language, "reason": reason.strip()}
    return request_job(study=study, kind=kind, params=params, by=by)


# Making -----------------------------------------------------------------------------------------


def make_document(held: Held) -> None:
    """The work of a job: ask again who may, print, keep, register."""
    job = held.job
    held_there = _permitted(job)
    part = files.folder("documents") / f"{job.pk}.{held.attempt}.part"
    for left in part.parent.glob(f"{job.pk}.*.part*"):
        left.unlink(missing_ok=True)  # of an attempt that was cut off
    try:
        with translation.override(job.params["language"]):
            made = _MAKERS[Kind(job.kind)](job, held_there, part, held.advance)
        sha256, size = files.synced(part)
        held.advance(99)
        files.keep(part, artefact(sha256, made.file_name))
        _register(held, made, sha256, size)
    finally:
        for left in part.parent.glob(f"{part.name}*"):
            left.unlink(missing_ok=True)


def _permitted(job: Job) -> frozenset[Permission]:
    """What the requester may do at the document's sites, if that is still enough."""
    person, sites = job.requested_by, job.params["sites"]
    roles = roles_of(person.pk, job.study_id) if person and person.is_active else {}
    if not sites:  # of the study and no site's: the permission at any of them will do
        sites = [next(iter(roles), 0)]
    held = frozenset.intersection(*(permissions(roles.get(site, ())) for site in sites))
    if NEEDS[Kind(job.kind)] not in held:
        raise Refused(_("You no longer have the right to this document, so it was not made."))
    return held


def _for(job: Job, held: frozenset[Permission]) -> Printed:
    person = job.requested_by
    return Printed(
        by=f"{person} ({person.username})" if person else "",
        at=job.requested_at,
        reason=job.params["reason"],
        see_arm=Permission.SEE_ARM in held,
    )


def _make_casebook(job: Job, held: frozenset[Permission], path: Path, alive: Alive) -> Made:
    printed, pk = _for(job, held), int(job.params["participant"])
    number, key, pages = print_casebook(pk, job.params["sites"], printed, path, alive)
    return Made(key, f"casebook-{number}-{job.params['language']}.pdf", pages, [pk])


def _make_casebooks(job: Job, held: frozenset[Permission], path: Path, alive: Alive) -> Made:
    """Each casebook from a moment of its own: a whole site takes longer than a snapshot should."""
    printed, sites = _for(job, held), job.params["sites"]
    with snapshot(sites, "documents"):
        found = Participant.objects.filter(site_id__in=sites).order_by("screening_number")
        people = [(each.pk, each.site) for each in found.select_related("site")]
    if not people:
        raise Refused(_("Nobody has been recorded at this site yet."))
    keys: list[str] = []
    pages = 0
    pdf = path.with_name(f"{path.name}.pdf")
    with Archive(path) as archive:
        for place, (pk, _site) in enumerate(people):
            share = functools.partial(_still, alive, 100 * place // len(people))
            number, key, some = print_casebook(pk, sites, printed, pdf, share)
            archive.add(f"casebook-{number}.pdf", [(pdf.read_bytes(), 0)])
            keys, pages = [*keys, key], pages + some
    name = f"casebooks-{people[0][1].code}-{job.params['language']}.zip"
    return Made(_key(keys=keys), name, pages, [pk for pk, _site in people])


def _still(alive: Alive, share: int, _percent: int) -> None:
    """How far the whole is, whatever one of its parts says."""
    alive(share)


def _make_blank(job: Job, held: frozenset[Permission], path: Path, alive: Alive) -> Made:
    version = ProtocolVersion.objects.select_related("study").get(pk=job.params["version"])
    pages, key = print_blank(version, path, alive)
    name = f"{version.study.code}-{version.label}-blank-{job.params['language']}.pdf"
    return Made(key, name, pages, [], version)


_MAKERS = {
    Kind.BLANK: _make_blank,
    Kind.CASEBOOK: _make_casebook,
    Kind.CASEBOOKS: _make_casebooks,
}


def print_casebook(
    pk: int,
    sites: Sequence[int],
    printed: Printed,
    path: Path,
    alive: Alive = lambda percent: None,
) -> tuple[str, str, int]:
    """Write a casebook in the language that is active; its number, key and pages.

    The same for a job and for `manage.py casebook`.
    """
    fonts()
    with snapshot(sites, "documents"):
        found = Participant.objects.select_related("site__study", "version")
        person = found.filter(pk=pk, site_id__in=sites).first()
        if person is None:
            raise Refused(_("There is no such participant."))
        book = casebook(person, printed)
        alive(10)
        html = render_to_string("documents/pdf/casebook.html", _context(**told(book)))
    alive(30)
    key = _key(
        kind="casebook",
        participant=[person.site.study.code, person.site.code, person.screening_number],
        version=person.version.sha256,
        trail=book.trail,
        digest=book.digest,
        printed=[printed.by, printed.at.isoformat(), printed.reason, printed.see_arm],
    )
    return person.number, key, print_to(path, html, lambda: alive(50))


def print_blank(
    version: ProtocolVersion, path: Path, alive: Alive = lambda percent: None
) -> tuple[int, str]:
    """Write the blank forms in the language that is active; their pages and key."""
    fonts()
    html = render_to_string("documents/pdf/blank.html", _context(packet=packet(version)))
    alive(30)
    key = _key(kind="blank", version=version.sha256)
    return print_to(path, html, lambda: alive(50)), key


def _context(**context: Any) -> dict[str, Any]:
    return context | {"language": translation.get_language() or "ko"}


def _key(**parts: Any) -> str:
    parts |= {"builder": BUILDER, "language": translation.get_language()}
    parts["type"] = [font.family for font in fonts()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


# Keeping and having ------------------------------------------------------------------------------


def artefact(sha256: str, file_name: str) -> Path:
    return files.folder("documents") / f"{sha256}{Path(file_name).suffix}"


def _register(held: Held, made: Made, sha256: str, size: int) -> Document:
    """Write the document down in the transaction that checks lease and attempt."""
    job = held.job
    with finishing(held), acting(Actor.job("documents"), job.params["reason"]):
        return Document.objects.create(
            study=job.study,
            job=job,
            kind=job.kind,
            version=made.version,
            language=job.params["language"],
            site_ids=job.params["sites"],
            participant_ids=made.people,
            key=made.key,
            file_name=made.file_name,
            sha256=sha256,
            size=size,
            pages=made.pages,
            requested_by_id=job.requested_by_id or 0,
            reason=job.params["reason"],
        )


def requests_of(study: Study, user_id: int) -> QuerySet[Job]:
    """Requests whose document this person may have: their own, and everybody's for blank forms."""
    jobs = Job.objects.filter(study=study, kind__in=Kind.values)
    mine = jobs.filter(requested_by=user_id) | jobs.filter(kind=Kind.BLANK)
    return mine.select_related("requested_by", "document")


def opened(document: Document) -> Path:
    """The file of a document, or a sentence if it is gone."""
    path = artefact(document.sha256, document.file_name)
    if not path.is_file() or path.stat().st_size != document.size:
        raise Refused(_("The file of this document is not there. Please ask for it again."))
    return path
