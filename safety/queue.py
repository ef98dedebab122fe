"""The queue of whoever reviews adverse events: what needs a look, the most urgent first.

Where an event stands follows from the newest review: none (`new`), one of what is there now
(`reviewed`), or one of something that the site has changed since (`changed`). Nothing is stored
for it. Functions take and give query sets, so that pages, exports and counts share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Count,
    DateField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)

from crf.models import Query
from safety.deadlines import FATAL, Rules
from safety.models import AdverseEvent, AEReview

NEW, CHANGED, REVIEWED = "new", "changed", "reviewed"
NEEDS_REVIEW = (NEW, CHANGED)
SEVERE = 3  # from this grade on, as for serious events, each one is looked at by itself

Events = QuerySet[AdverseEvent]


def with_state(events: Events) -> Events:
    """Adds `state`, the newest review's `review_id` and `decision`, and whether a query is open."""
    newest = AEReview.objects.filter(adverse_event=OuterRef("pk")).order_by("-reviewed_at", "-id")
    asked = Query.objects.filter(adverse_event=OuterRef("pk"))
    return events.annotate(
        review_id=Subquery(newest.values("pk")[:1]),
        review_digest=Subquery(newest.values("digest")[:1]),
        decision=Subquery(newest.values("decision")[:1]),
        state=Case(
            When(review_digest=None, then=Value(NEW)),
            When(review_digest=F("digest"), then=Value(REVIEWED)),
            default=Value(CHANGED),
            output_field=CharField(),
        ),
        query_open=Exists(asked.filter(state=Query.State.OPEN)),
        query_answered=Exists(asked.filter(state=Query.State.ANSWERED)),
    )


def with_clock(events: Events, rules: Mapping[int, Rules]) -> Events:
    """Adds `report_by` for serious events, by the rules of each site (`services.rules_at`)."""
    fatal = Q(seriousness__has_any_keys=sorted(FATAL))
    days = [
        each
        for site, rule in rules.items()
        for each in (
            When(fatal, serious=True, site_id=site, then=Value(rule.fatal_days)),
            When(serious=True, site_id=site, then=Value(rule.serious_days)),
        )
    ]
    return events.annotate(
        report_by=ExpressionWrapper(
            F("aware_on") + Case(*days, default=None, output_field=IntegerField()),
            output_field=DateField(),
        )
    )


def in_order(events: Events) -> Events:
    """Serious ones first, then by grade, then by the report clock, then as they came."""
    return events.order_by(
        "-serious", "-grade", F("report_by").asc(nulls_last=True), "reported_at", "pk"
    )


def counts(events: Events, *, needs: Q, chosen: Q) -> dict[str, Any]:
    """How many there are of each view, in one statement; `events` have state and clock."""
    return events.aggregate(
        needs=Count("pk", filter=needs),
        sae=Count("pk", filter=needs & Q(serious=True)),
        severe=Count("pk", filter=needs & Q(grade__gte=SEVERE)),
        chosen=Count("pk", filter=chosen),
    )
