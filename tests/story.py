"""Participants as a site makes them: through the services, in the order of the protocol.

`tests/samples.py` writes rows directly and proves what the database does with them; here every
rule of the registry has been kept.
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

from crf.services import add_entry, complete, save_entry
from registry.models import Participant
from registry.services import (
    ConsentGiven,
    NewParticipant,
    assess,
    consent,
    enrol,
    protocol_of,
    record_visit,
    screen,
    version_at,
)
from sites.audit import Actor
from sites.models import Site

STAGES = ("consented", "screened", "enrolled", "begun")
ELIGIBLE: dict[str, dict[str, Any]] = {
    "uspp": {
        "diagnosis": "M50.1",
        "region": "cervical",
        "screening_nrs": 7,
        "procedure_planned": "yes",
        "consent_difficulty": "no",
        "pregnancy": "no",
        "severe_disease": "no",
        "unsuitable": "no",
    },
    "needle": {"months_of_pain": 6, "fear_of_needles": "no"},
}
_numbers = itertools.count(1)


def play(
    site: Site,
    by: Actor,
    *,
    stage: str = "begun",
    days_ago: int = 30,
    answers: dict[str, Any] | None = None,
    birth_date: dt.date = dt.date(1980, 5, 5),
    sex: str = "female",
    name: str = "",
) -> Participant:
    """A participant of `site` as far as `stage`; needs the site's context.

    consented, screened (eligible), enrolled, or begun: the first planned visit was held. All of
    it happened `days_ago`; `answers` replace those of an eligible participant.
    """
    reached = STAGES.index(stage)
    day = site.today() - dt.timedelta(days=days_ago)
    protocol = protocol_of(version_at(site))
    number = next(_numbers)
    person = consent(
        site=site,
        person=NewParticipant(name or f"홍길동{number}", birth_date, sex, f"C-{number:05}"),
        consents=[
            ConsentGiven(each.kind, form.version, True, day, "김설명")
            for each in protocol.consents
            if (form := each.valid_on(day))
        ],
        by=by,
    ).participant
    if reached >= STAGES.index("screened"):
        _screen(person, ELIGIBLE[site.study.code] | (answers or {}), by)
    if reached >= STAGES.index("enrolled"):
        enrol(participant=person, on=day, by=by)
    if reached >= STAGES.index("begun"):
        first = person.visits.order_by("day").first()
        assert first is not None
        record_visit(visit=first, on=day, by=by)
    person.refresh_from_db()
    return person


def _screen(person: Participant, answers: dict[str, Any], by: Actor) -> None:
    protocol = protocol_of(person.version)
    form = add_entry(participant=person, instrument=protocol.screening, by=by)
    saved = save_entry(entry=form, changes=answers, by=by)
    assert not saved.errors, saved.errors
    form.refresh_from_db()
    complete(entry=form, by=by)
    verdict = assess(protocol, form.answers, person)
    failed = [code for code, allows in verdict.items() if not allows]
    cohort = form.answers.get(protocol.cohort.item, "") if protocol.cohort else ""
    screen(participant=person, failed=failed, cohort=cohort, by=by)
