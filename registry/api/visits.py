"""Visits: planned, held, missed, with the same status that the pages show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from crf.models import Lock
from crf.services import signature_state
from crf.workflow import Around
from registry import work
from registry.api.base import BIGGEST, Filters, Refusal, called, filters, page_of, paged, site_ids
from registry.display import visit_title
from registry.models import Visit
from registry.services import protocol_of
from sites.access import Request, find, rows


class VisitOut(serializers.ModelSerializer[Visit]):
    site = serializers.CharField(source="site.code", read_only=True)
    subject = serializers.CharField(source="participant.number", read_only=True)
    number = serializers.IntegerField(read_only=True, help_text="counts unscheduled visits")
    title = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField(help_text=", ".join(work.VISIT_STATUS))

    class Meta:
        model = Visit
        fields = (
            "id",
            "site",
            "participant",
            "subject",
            "code",
            "number",
            "title",
            "status",
            "day",
            "due_on",
            "opens_on",
            "closes_on",
            "happened_on",
            "out_of_window_reason",
            "missed_at",
            "missed_reason",
            "cancelled_at",
            "voided_at",
            "void_reason",
        )
        read_only_fields = fields

    def get_title(self, visit: Visit) -> str:
        return visit_title(protocol_of(visit.participant.version_id), visit)

    def get_status(self, visit: Visit) -> str:
        around = Around(
            today=visit.site.today(),
            locked=visit.site_id in self.context["locked"],
            signature=self.context["signed"].get(visit.participant_id),
        )
        tally = self.context["tallies"].get(visit.pk)
        return str(work.visit_status(visit, around.today, tally, around))


class VisitFilters(Filters):
    site = serializers.CharField(required=False, max_length=10)
    participant = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST)
    code = serializers.CharField(required=False, max_length=20)


def _visits(request: Request) -> QuerySet[Visit]:
    return rows(request, Visit).select_related("site", "participant")


def _around(visits: Sequence[Visit]) -> dict[str, Any]:
    people = sorted({visit.participant_id for visit in visits})
    sites = {visit.site_id for visit in visits}
    held = Lock.objects.filter(site__in=sites, released_at=None)
    return {
        "tallies": work.tallies(people),
        "signed": signature_state(people),
        "locked": set(held.values_list("site_id", flat=True)),
    }


@extend_schema(
    operation_id="visits",
    parameters=[VisitFilters],
    responses={200: page_of(VisitOut), 400: Refusal},
)
@api_view(["GET"])
def visits(request: ApiRequest) -> Response:
    """The visits of your site."""
    here, asked = called(request), filters(request, VisitFilters)
    found = _visits(here)
    if "site" in asked:
        found = found.filter(site_id__in=site_ids(here, asked["site"]))
    for name in ("participant", "code"):
        if name in asked:
            found = found.filter(**{name: asked[name]})
    return paged(request, found, VisitOut, asked, _around)


@extend_schema(operation_id="visit", responses={200: VisitOut, 404: Refusal})
@api_view(["GET"])
def visit(request: ApiRequest, pk: int) -> Response:
    """One visit."""
    here = called(request)
    found = find(here, _visits(here), pk=pk)
    return Response(VisitOut(found, context={"request": here} | _around([found])).data)
