"""Adverse events: read with where their review stands, reported and changed like on the pages."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from registry.api.base import (
    BIGGEST,
    Filters,
    Refusal,
    Strict,
    called,
    filters,
    page_of,
    paged,
    sent,
    site_ids,
)
from registry.models import Participant
from safety import causality, codes
from safety.models import AdverseEvent
from safety.queue import CHANGED, NEW, REVIEWED, with_clock, with_state
from safety.services import Facts, change_event, report_event, rules_at
from sites.access import Request, find, rows

STATES = (NEW, CHANGED, REVIEWED)


class EventOut(serializers.ModelSerializer[AdverseEvent]):
    site = serializers.CharField(source="site.code", read_only=True)
    subject = serializers.CharField(source="participant.number", read_only=True)
    review = serializers.ChoiceField(
        choices=list(STATES), source="state", read_only=True, help_text="where the review stands"
    )
    report_by = serializers.DateField(
        read_only=True, allow_null=True, help_text="of a serious event"
    )
    seriousness = serializers.ListField(child=serializers.CharField(), read_only=True)
    causality_answers = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = AdverseEvent
        fields = (
            "id",
            "site",
            "participant",
            "subject",
            "number",
            "symptom",
            "onset",
            "ended",
            "term",
            "term_version",
            "grade",
            "causality",
            "causality_answers",
            "suggested_causality",
            "serious",
            "seriousness",
            "expected",
            "outcome",
            "action",
            "treatment",
            "aware_on",
            "narrative",
            "report_by",
            "review",
            "digest",
            "reported_at",
            "voided_at",
            "void_reason",
        )
        read_only_fields = fields


class EventFilters(Filters):
    site = serializers.CharField(required=False, max_length=10)
    participant = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST)
    serious = serializers.BooleanField(required=False, allow_null=True, default=None)
    grade = serializers.IntegerField(required=False, min_value=1, max_value=5)
    review = serializers.ChoiceField(required=False, choices=list(STATES))


def _listed(offered: Any) -> str:
    return ", ".join(code.code for code in offered)


class FactsIn(Strict):
    """What a site says of an event."""

    symptom = serializers.CharField(help_text="in the site's own words, without names")
    onset = serializers.CharField(max_length=20, help_text="2026-11-21, 2026-11 or 2026")
    ended = serializers.CharField(max_length=20, required=False, allow_blank=True)
    term = serializers.CharField(
        max_length=10, required=False, allow_blank=True, help_text="CTCAE code"
    )
    grade = serializers.IntegerField(min_value=1, max_value=5)
    causality = serializers.CharField(
        max_length=20, help_text=", ".join(category for category in causality.Category)
    )
    causality_answers = serializers.DictField(
        child=serializers.CharField(max_length=20, allow_blank=True), required=False
    )
    serious = serializers.BooleanField()
    seriousness = serializers.ListField(
        child=serializers.CharField(max_length=20),
        required=False,
        help_text=_listed(codes.SERIOUSNESS),
    )
    expected = serializers.BooleanField(required=False, allow_null=True)
    outcome = serializers.CharField(max_length=2, help_text=_listed(codes.OUTCOMES))
    action = serializers.CharField(
        max_length=2, required=False, allow_blank=True, help_text=_listed(codes.ACTIONS)
    )
    treatment = serializers.CharField(required=False, allow_blank=True)
    aware_on = serializers.DateField()
    narrative = serializers.CharField(required=False, allow_blank=True)


class EventIn(FactsIn):
    participant = serializers.IntegerField(min_value=1, max_value=BIGGEST)
    op = serializers.UUIDField(
        required=False, default=None, help_text="sent twice, one event is recorded"
    )


class EventChangeIn(FactsIn):
    """What changes; everything else stays."""

    reason = serializers.CharField(help_text="why the event is changed")
    seen = serializers.CharField(max_length=64, help_text="`digest` of the event that you read")

    def get_fields(self) -> dict[str, Any]:
        found = super().get_fields()
        for each in fields(Facts):
            found[each.name].required = False
        return found


def _events(request: Request) -> QuerySet[AdverseEvent]:
    found = rows(request, AdverseEvent).select_related("site", "participant")
    return with_clock(with_state(found), rules_at(request.sites))


@extend_schema(
    methods=["GET"],
    operation_id="events",
    parameters=[EventFilters],
    responses={200: page_of(EventOut), 400: Refusal},
)
@extend_schema(
    methods=["POST"],
    operation_id="event_new",
    request=EventIn,
    responses={201: EventOut, 400: Refusal, 404: Refusal, 409: Refusal},
)
@api_view(["GET", "POST"])
def events(request: ApiRequest) -> Response:
    """The adverse events of your site. A POST reports one."""
    here = called(request)
    if request.method == "POST":
        return _report(request, here)
    asked = filters(request, EventFilters)
    found = _events(here)
    if "site" in asked:
        found = found.filter(site_id__in=site_ids(here, asked["site"]))
    if asked["serious"] is not None:
        found = found.filter(serious=asked["serious"])
    for name, column in (("participant", "participant"), ("grade", "grade"), ("review", "state")):
        if name in asked:
            found = found.filter(**{column: asked[name]})
    return paged(request, found, EventOut, asked)


def _report(request: ApiRequest, here: Request) -> Response:
    given = sent(request, EventIn)
    person = find(here, Participant.objects.select_related("site"), pk=given.pop("participant"))
    op = given.pop("op")
    event = report_event(participant=person, facts=Facts(**given), op=op, by=here.by)
    return Response(EventOut(_events(here).get(pk=event.pk)).data, status=201)


@extend_schema(methods=["GET"], operation_id="event", responses={200: EventOut, 404: Refusal})
@extend_schema(
    methods=["PATCH"],
    operation_id="event_change",
    request=EventChangeIn,
    responses={200: EventOut, 400: Refusal, 404: Refusal, 409: Refusal},
)
@api_view(["GET", "PATCH"])
def event(request: ApiRequest, pk: int) -> Response:
    """One adverse event. A PATCH changes it for a reason."""
    here = called(request)
    found = find(here, _events(here), pk=pk)
    if request.method == "PATCH":
        given = sent(request, EventChangeIn)
        reason, seen = given.pop("reason"), given.pop("seen")
        change_event(event=found, facts=_facts(found, given), reason=reason, seen=seen, by=here.by)
        found = _events(here).get(pk=pk)
    return Response(EventOut(found).data)


def _facts(event: AdverseEvent, given: dict[str, Any]) -> Facts:
    """The event as it is, with what was sent."""
    known: dict[str, Any] = {each.name: getattr(event, each.name) for each in fields(Facts)}
    return Facts(**(known | given))
