"""How PostgreSQL finds the rows of the lists at 100,000 participants, as the runtime role.

A list that starts from open work must not read a large table from end to end: each of these has an
index that holds the open rows alone, or that begins with the site.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from benchmarks import databases
from benchmarks.measure import Row
from benchmarks.stage import Stage
from crf.models import Entry, Query
from registry import work
from registry.models import Identity, Participant, Visit
from safety.models import AdverseEvent
from sites.access import set_sites
from sites.models import Site

SMALL = 1_000  # rows: reading a smaller table whole is right


def plans(stage: Stage) -> Iterator[Row]:
    """Large tables that each list reads from end to end, at one of ten sites."""
    databases.point(stage.many)
    with transaction.atomic():
        site = Site.objects.get(code="B01")
        set_sites([site.pk])
        sizes = _sizes()
        for name, rows in _lists(site, stage.participant(stage.many)).items():
            read = list(_nodes(_plan(rows())))
            whole = [
                node["Relation Name"]
                for node in read
                if node["Node Type"] == "Seq Scan" and sizes[node["Relation Name"]] > SMALL
            ]
            indexes = sorted({node["Index Name"] for node in read if "Index Name" in node})
            yield Row(
                f"plan: {name}", "tables", 0, len(whole), len(whole), 0, note=", ".join(indexes)
            )


def _lists(site: Site, participant: int) -> dict[str, Callable[[], QuerySet[Any]]]:
    sites = [site]
    return {
        "visits overdue": lambda: work.overdue(sites)[:20],
        "visits due": lambda: work.due(sites)[:20],
        "visits due soon": lambda: work.due_soon(sites)[:20],
        "forms to finish": lambda: work.unfinished(sites)[:20],
        "open queries": lambda: Query.objects.waiting_for(answering=[site.pk], asking=[])[:20],
        "grid, newest first": lambda: Participant.objects.filter(site=site).order_by("-pk")[:50],
        "a subject number": lambda: Participant.objects.filter(
            site=site, subject_number="B01-05000"
        ).order_by(),
        "a chart number": lambda: Identity.objects.filter(site=site, chart_digest="0" * 64),
        "a participant's visits": lambda: Visit.objects.filter(participant_id=participant),
        "a participant's forms": lambda: Entry.objects.filter(participant_id=participant),
        "a participant's events": lambda: AdverseEvent.objects.filter(participant_id=participant),
    }


def _sizes() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, reltuples::bigint FROM pg_class WHERE relkind = 'r'")
        return dict(cursor.fetchall())


def _plan(rows: QuerySet[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rows.explain(format="json"))[0]["Plan"]
    return found


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
