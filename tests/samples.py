"""One row of every kind at a site, written directly: for proofs about tables, not about rules.

Who tests a rule makes participants through the services; here a row must only exist, so that the
database's own guards can be tried on every table in the same way.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import uuid

from django.db import models
from django.utils import timezone

from crf.models import (
    Entry,
    Handover,
    Import,
    Operation,
    Query,
    QueryMessage,
    Reminder,
    SecondLook,
    Signature,
    Verification,
)
from exports.models import Document, Download, Release
from registry.models import (
    Allocation,
    Consent,
    Identity,
    Job,
    Participant,
    Prescreen,
    ProtocolVersion,
    SiteApproval,
    Visit,
    Withdrawal,
)
from safety.models import AdverseEvent, AEReview
from sites.models import Site, User

DAY = dt.date(2026, 6, 1)
_numbers = itertools.count(1)


def version(site: Site) -> ProtocolVersion:
    """The study's newest version, or one without content where none is published yet."""
    found = ProtocolVersion.objects.filter(study=site.study).order_by("-number").first()
    return found or ProtocolVersion.objects.create(
        study=site.study,
        number=1,
        label="0",
        content=json.dumps({}),
        sha256=hashlib.sha256(site.study.code.encode()).hexdigest(),
        published_by="job:publish",
    )


def participant(site: Site) -> Participant:
    n = next(_numbers)
    return Participant.objects.create(
        site=site,
        version=version(site),
        screening_number=f"T-{site.code}-{n}",
        sex="female",
        birth_year=1980,
        age=46,
        consented_on=DAY,
    )


def rows(site: Site, user: User) -> dict[str, models.Model]:
    """A row of every site-scoped model, by the model's label; needs the site's context."""
    person = participant(site)
    visit = Visit.objects.create(
        site=site, participant=person, code="w0", day=0, due_on=DAY, opens_on=DAY, closes_on=DAY
    )
    entry = Entry.objects.create(
        site=site,
        participant=person,
        visit=visit,
        instrument="nrs",
        version=person.version,
        answers={"pain": 7},
    )
    event = AdverseEvent.objects.create(
        site=site,
        participant=person,
        number=1,
        symptom="bruise",
        onset="2026-06-02",
        grade=1,
        causality="possible",
        outcome="1",
        aware_on=DAY,
    )
    query = Query.objects.create(
        site=site, participant=person, entry=entry, item="pain", text="Is it so?", opened_by=user
    )
    by_participant = {"site": site, "participant": person}
    made: list[models.Model] = [
        person,
        visit,
        entry,
        event,
        query,
        SiteApproval.objects.get_or_create(
            site=site,
            version=person.version,
            defaults={"approved_on": DAY, "reference": "IRB 1"},
        )[0],
        Prescreen.objects.create(site=site, on=DAY, reason="no time"),
        Identity.objects.create(
            **by_participant, name="x", birth_date="x", chart_number="x", chart_digest="x"
        ),
        Consent.objects.create(
            **by_participant,
            kind="study",
            form_version="1",
            given=True,
            signed_on=DAY,
            explained_by="somebody",
        ),
        Withdrawal.objects.create(
            **by_participant, scope="sharing", withdrawn_on=DAY, taken_by="somebody"
        ),
        Allocation.objects.create(**by_participant, arm="A"),
        Handover.objects.create(
            **by_participant,
            visit=visit,
            way="tablet",
            instruments=["nrs"],
            digest=uuid.uuid4().hex,
            created_by=user,
            expires_at=timezone.now(),
        ),
        Reminder.objects.create(
            **by_participant, visit=visit, occasion="due", claimed_at=timezone.now()
        ),
        Operation.objects.create(site=site, user=user, op=uuid.uuid4(), entry=entry, answer={}),
        QueryMessage.objects.create(site=site, query=query, act="ask", text="Is it so?", by=user),
        SecondLook.objects.create(**by_participant, entry=entry),
        Verification.objects.create(site=site, entry=entry, digest=entry.digest, verified_by=user),
        Import.objects.create(
            site=site,
            file_name="a.csv",
            sha256="0" * 64,
            size=1,
            parser="1",
            lines=1,
            uploaded_by=user,
        ),
        Signature.objects.create(
            **by_participant,
            meaning="reviewed",
            digest="0" * 64,
            signed_by=user,
            printed_name=user.name,
        ),
        AEReview.objects.create(
            site=site, adverse_event=event, decision="reviewed", digest="", reviewed_by=user
        ),
    ]
    return {row._meta.label: row for row in made}


def release(site: Site, user: User) -> tuple[Release, Download]:
    """A finished dataset and its download."""
    job = Job.objects.create(
        study=site.study,
        kind="release",
        params={"sites": [site.pk], "reason": "analysis"},
        params_sha256="0" * 64,
        state=Job.State.DONE,
        progress=100,
        requested_by=user,
    )
    made = Release.objects.create(
        study=site.study,
        number=next(_numbers),
        job=job,
        site_ids=[site.pk],
        locked=True,
        key="0" * 64,
        file_name="a.zip",
        sha256="0" * 64,
        size=1,
        manifest={
            "protocol_versions": [{"number": 1, "label": "1.0", "sha256": "0" * 64}],
            "sites": [{"code": site.code, "locked_at": "2026-06-01 00:00:00"}],
            "trail": {"registry_participant": {"last": 0, "rows": 0}},
            "files": [
                {"name": "long.csv", "rows": 0, "columns": 9, "bytes": 1, "sha256": "0" * 64}
            ],
        },
        requested_by=user,
        reason="analysis",
    )
    return made, Download.objects.create(release=made, by=user, reason="analysis")


def document(site: Site, user: User, person: Participant) -> Document:
    """A finished casebook, printed for somebody."""
    scope = {"sites": [site.pk], "participant": person.pk}
    job = Job.objects.create(
        study=site.study,
        kind="casebook",
        params=scope | {"language": "ko", "reason": "IRB"},
        params_sha256="0" * 64,
        state=Job.State.DONE,
        progress=100,
        requested_by=user,
    )
    return Document.objects.create(
        study=site.study,
        job=job,
        kind="casebook",
        language="ko",
        site_ids=[site.pk],
        participant_ids=[person.pk],
        key="0" * 64,
        file_name="casebook.pdf",
        sha256="0" * 64,
        size=1,
        pages=1,
        requested_by=user,
        reason="IRB",
    )
