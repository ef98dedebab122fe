"""A dataset: built from one snapshot, kept under its SHA-256, registered once, taken out on record.

What identifies a dataset is its scope, the protocol versions, the position of the trail, and the
builder (`key`). No clock time of the run goes into it, so that building it again from the same
state gives the same bytes, which an inspector may try.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _

from crf import codelists
from crf.definitions import definition_of
from crf.instrument import CodeItem, Definition
from exports import files
from exports.archive import COMPRESSION, Archive
from exports.formats import csv
from exports.models import Download, Release
from exports.snapshot import Snapshot, snapshot
from exports.tables import Column, Table, tables
from registry.jobs import Held, finishing, request_job
from registry.models import Job, Participant
from sites.access import Refused, roles_of
from sites.audit import Actor, acting
from sites.models import Site, Study
from sites.roles import Permission, permissions

KIND = "release"
# Counts up whenever the same data could give another file.
BUILDER = f"2 ({COMPRESSION})"
FORMAT = {
    "files": "analysis CSV (RFC 4180): comma, CRLF, UTF-8 without byte order mark",
    "values": "exact; text is not changed for spreadsheet programs; empty means no value",
    "dates": "YYYY-MM-DD, partial ones YYYY or YYYY-MM; moments in UTC",
}
README = """\
{title_en}
{title_ko}

This is an analysis dataset. Start with codebook.csv (every column of every file, in Korean and
English), then long.csv (one row per participant and visit) or wide.csv (one row per participant).
manifest.json lists every file with its rows and SHA-256, and the state of the data it was made of.

All files are CSV in UTF-8. Read them with a statistics program. In a spreadsheet program use its
import from text with UTF-8, and columns as text: values are exactly as they were entered, so that
a text may begin with = + - or @, which such programs take for a formula when a file is opened.

분석용 데이터셋입니다. 모든 열의 설명은 codebook.csv에 한국어와 영어로 있습니다. 분석은
long.csv(대상자 × 방문) 또는 wide.csv(대상자당 한 행)에서 시작하십시오. manifest.json에는 파일별
행 수와 SHA-256, 자료의 시점이 기록되어 있습니다. 모든 파일은 UTF-8 CSV입니다. 스프레드시트에서는
파일을 바로 열지 말고 ‘텍스트 가져오기(UTF-8)’를 사용하십시오.
"""
CODEBOOK = (
    "file",
    "column",
    "item",
    "label_ko",
    "label_en",
    "type",
    "codes_ko",
    "codes_en",
    "unit_ko",
    "unit_en",
    "derivation_ko",
    "derivation_en",
    "source",
    "since_version",
    "until_version",
)  # fmt: skip


@dataclass(frozen=True)
class Built:
    """A finished archive and what is said of it."""

    key: str
    locked: bool
    manifest: dict[str, Any]
    sha256: str
    size: int


# Asking -----------------------------------------------------------------------------------------


def request_release(*, study: Study, sites: Sequence[Site], reason: str, by: Actor) -> Job:
    """Ask for a dataset of these sites; a worker builds it."""
    if not sites:
        raise Refused(_("Please choose at least one site."), "sites")
    if not reason.strip():
        raise Refused(_("Please say what the dataset is for."), "reason")
    scope = sorted(site.pk for site in sites)
    return request_job(
        study=study, kind=KIND, params={"sites": scope, "reason": reason.strip()}, by=by
    )


def readable(study: Study, sites: Iterable[int]) -> QuerySet[Release]:
    """Datasets all of whose sites are among these."""
    return Release.objects.filter(study=study, site_ids__contained_by=sorted(sites))


# Building ---------------------------------------------------------------------------------------


def make_release(held: Held) -> None:
    """The work of a job: ask again who may, build, keep, register."""
    job = held.job
    scope = _permitted(job)
    part = folder() / f"{job.pk}.{held.attempt}.part"
    for left in part.parent.glob(f"{job.pk}.*.part"):
        left.unlink(missing_ok=True)  # of an attempt that was cut off
    try:
        built = build(job.study, scope, part, held.advance)
        held.advance(99)
        files.keep(part, artefact(built.sha256))
        _register(held, scope, built)
    finally:
        part.unlink(missing_ok=True)


def _permitted(job: Job) -> list[int]:
    """The sites of a request, if its requester may still have all of them."""
    scope = [int(site) for site in job.params["sites"]]
    person = job.requested_by
    roles = roles_of(person.pk, job.study_id) if person and person.is_active else {}
    if not all(Permission.RELEASE in permissions(roles.get(site, ())) for site in scope):
        raise Refused(_("You no longer have the right to this dataset, so it was not made."))
    return scope


def build(
    study: Study,
    sites: Iterable[int],
    path: Path,
    advance: Callable[[int], None] = lambda percent: None,
) -> Built:
    """Write the archive of these sites to `path`; the same for a job and for `manage.py export`."""
    with snapshot(sites) as shot, Archive(path) as archive:
        state = _state(shot, study)
        definitions = [definition_of(pk) for pk in state.pop("version_ids")]
        protocol = definitions[-1].protocol
        plan = tables(definitions)
        archive.add(
            "README.txt",
            [(README.format(title_ko=protocol.title.ko, title_en=protocol.title.en).encode(), 0)],
        )
        _add(archive, "codebook.csv", CODEBOOK, list(codebook(plan)))
        lists = list(code_lists(definitions))
        if lists:
            _add(archive, "code_lists.csv", ("list", "version", "code", "ko", "en"), lists)
        for number, table in enumerate(plan):
            still = functools.partial(advance, 100 * number // len(plan))
            pieces = _written(shot, table)
            archive.add(table.name, pieces, columns=len(table.columns), each=still)
        manifest = {**state, "format": FORMAT, "files": list(archive.files)}
        text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        archive.add("manifest.json", [(text.encode(), 0)])
    sha256, size = files.synced(path)
    return Built(state["key"], state["locked"], manifest, sha256, size)


def _written(shot: Snapshot, table: Table) -> Iterator[tuple[bytes, int]]:
    yield csv.header([column.name for column in table.columns]), 0
    yield from csv.lines(shot.rows(csv.copying(table.query(shot.sites))))


def _add(archive: Archive, name: str, columns: Sequence[str], rows: Sequence[Any]) -> None:
    archive.add(name, [(csv.written(columns, rows), len(rows))], columns=len(columns))


def _state(shot: Snapshot, study: Study) -> dict[str, Any]:
    """Of what a dataset is made: scope, versions, locks, position of the trail, builder, key."""
    scope = list(shot.sites)
    versions = shot.fetch(
        "SELECT v.id, v.number, v.label, v.sha256 FROM registry_protocolversion v"
        " WHERE v.study_id = %s AND ("
        " EXISTS (SELECT FROM registry_siteapproval WHERE version_id = v.id AND site_id = ANY(%s))"
        " OR EXISTS (SELECT FROM registry_participant WHERE version_id = v.id"
        " AND site_id = ANY(%s))) ORDER BY v.number",
        [study.pk, scope, scope],
    )
    if not versions:
        raise Refused(_("None of these sites works under a published protocol yet."))
    sites = shot.fetch(
        "SELECT s.code, s.name_ko, s.name_en, to_char(l.locked_at AT TIME ZONE 'UTC',"
        """ 'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM sites_site s"""
        " LEFT JOIN crf_lock l ON l.site_id = s.id AND l.released_at IS NULL"
        " WHERE s.id = ANY(%s) ORDER BY s.code",
        [scope],
    )
    state: dict[str, Any] = {
        "study": {"code": study.code, "name_ko": study.name_ko, "name_en": study.name_en},
        "sites": [
            {"code": code, "name_ko": ko, "name_en": en, "locked_at": locked}
            for code, ko, en, locked in sites
        ],
        "locked": all(locked for *_names, locked in sites),
        "protocol_versions": [
            {"number": number, "label": label, "sha256": sha256}
            for _pk, number, label, sha256 in versions
        ],
        "trail": shot.trail(),
        "builder": BUILDER,
    }
    content = json.dumps(state, ensure_ascii=False, sort_keys=True)
    state["key"] = hashlib.sha256(content.encode()).hexdigest()
    return state | {"version_ids": [pk for pk, *_rest in versions]}


def codebook(plan: Iterable[Table]) -> Iterator[tuple[str, ...]]:
    """A line for every column of every file."""
    for table in plan:
        for column in table.columns:
            yield (
                table.name,
                column.name,
                column.item,
                column.label.ko,
                column.label.en,
                column.type,
                _codes(column, "ko"),
                _codes(column, "en"),
                column.unit.ko if column.unit else "",
                column.unit.en if column.unit else "",
                column.derivation.ko if column.derivation else "",
                column.derivation.en if column.derivation else "",
                column.source or "registry",
                column.since,
                column.until,
            )


def _codes(column: Column, lang: str) -> str:
    return " | ".join(f"{code}={label.get(lang)}" for code, label in column.codes)


def code_lists(definitions: Iterable[Definition]) -> Iterator[tuple[str, ...]]:
    """Every entry of every code list that a form uses."""
    used = {
        item.list
        for definition in definitions
        for instrument in definition.instruments.values()
        for item in instrument.items
        if isinstance(item, CodeItem)
    }
    for name in sorted(used):
        for coded in codelists.entries(name):
            yield name, codelists.version(name), coded.code, coded.ko, coded.en


# Keeping ----------------------------------------------------------------------------------------


def folder() -> Path:
    return files.folder("releases")


def artefact(sha256: str) -> Path:
    return folder() / f"{sha256}.zip"


def _register(held: Held, scope: list[int], built: Built) -> Release:
    """Write the release down in the transaction that checks lease and attempt."""
    job = held.job
    with finishing(held), acting(Actor.job(KIND), job.params["reason"]):
        Study.objects.select_for_update().get(pk=job.study_id)  # numbers are given one by one
        last = Release.objects.filter(study=job.study).aggregate(last=Max("number"))["last"]
        number = (last or 0) + 1
        return Release.objects.create(
            study=job.study,
            number=number,
            job=job,
            site_ids=scope,
            locked=built.locked,
            key=built.key,
            file_name=f"{job.study.code}-{number:03d}.zip",
            sha256=built.sha256,
            size=built.size,
            manifest=built.manifest,
            requested_by_id=job.requested_by_id or 0,
            reason=job.params["reason"],
        )


# Taking out -------------------------------------------------------------------------------------


def participants_of(release: Release) -> QuerySet[Participant]:
    """Everybody who is in a dataset: who was in the trail of its sites when it was built.

    Also those who are in it as a number alone, void or withdrawn.
    """
    position: Mapping[str, int] = release.manifest["trail"]["registry_participant"]
    then = Participant.history.filter(
        history_type="+", history_id__lte=position["last"], site_id__in=release.site_ids
    )
    return Participant.objects.filter(
        pk__in=then.values("id"), site_id__in=release.site_ids
    ).only("pk", "site_id")  # fmt: skip


def download(*, release: Release, reason: str, by: Actor) -> Download:
    """Record that somebody takes a dataset out, and what for; the caller hands over the file."""
    if not reason.strip():
        raise Refused(_("Please say what you take the file for."), "reason")
    path = artefact(release.sha256)
    if not path.is_file() or path.stat().st_size != release.size:
        raise Refused(_("The file of this dataset is not there. Please ask for the dataset again."))
    with acting(by, reason.strip()):
        return Download.objects.create(
            release=release, by_id=by.user_id or 0, reason=reason.strip()
        )
