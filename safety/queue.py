"""The queue of whoever reviews adverse events: what needs a look, the most urgent first.

Where an event stands follows from the newest review: none (`new`), one of what is there now
(`reviewed`), or one of something that the site has changed since (`changed`). The database keeps it
beside the event, and an index of those that need a review, from which the queue starts. Functions
take and give query sets, so that pages, exports and counts share them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import (
    Case,
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
from registry.models import Participant
from safety.deadlines import FATAL, Rules
from safety.models import AdverseEvent, AEReview

NEW, CHANGED, REVIEWED = "new", "changed", "reviewed"  # as AdverseEvent.ReviewState
NEEDS_REVIEW = (NEW, CHANGED)
SEVERE = 3  # from this grade on, as for serious events, each one is looked at by itself

# Recovering, not recovered, unknown; the same condition as of the index.
ONGOING = Q(voided_at=None, ended="", outcome__in=["0", "2", "3"])

Events = QuerySet[AdverseEvent]


def waiting(sites: Collection[int]) -> Events:
    """Those that need a review, the most urgent first: what the work list starts from."""
    return (
        AdverseEvent.objects.valid()
        .filter(site_id__in=sites, review_state__in=NEEDS_REVIEW)
        .exclude(participant_id__in=_void(sites))
        .order_by("-serious", "-grade", "reported_at", "pk")
    )


def ongoing(sites: Collection[int]) -> Events:
    """Those that the site follows up: neither ended nor recovered, serious ones first."""
    return (
        AdverseEvent.objects.filter(ONGOING, site_id__in=sites)
        .exclude(participant_id__in=_void(sites))
        .order_by("-serious", "onset", "pk")
    )


def of_valid_participants(events: Events, sites: Collection[int]) -> Events:
    """Without those of participants entered in error, who are few: nothing is joined for it."""
    return events.exclude(participant_id__in=_void(sites))


def _void(sites: Collection[int]) -> QuerySet[Participant, Any]:
    return Participant.objects.void(sites).values("pk")


def with_state(events: Events) -> Events:
    """Adds `state`, the newest review's `review_id` and `decision`, and whether a query is open."""
    newest = AEReview.objects.filter(adverse_event=OuterRef("pk")).order_by("-reviewed_at", "-id")
    return events.annotate(
        review_id=Subquery(newest.values("pk")[:1]),
        decision=Subquery(newest.values("decision")[:1]),
        state=F("review_state"),
        query_open=asked(Query.State.OPEN),
        query_answered=asked(Query.State.ANSWERED),
    )


def asked(state: Query.State) -> Exists:
    """Whether a query about the event stands so."""
    return Exists(Query.objects.filter(adverse_event=OuterRef("pk"), state=state))


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


def counts(events: Events) -> dict[str, int]:
    """How many of the events that wait each view has, in one statement."""
    return events.aggregate(
        needs=Count("pk"),
        sae=Count("pk", filter=Q(serious=True)),
        severe=Count("pk", filter=Q(grade__gte=SEVERE)),
    )
