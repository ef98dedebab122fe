"""Participants, by number; who they are is never given out here."""

from __future__ import annotations

from django.db.models import Prefetch, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from registry.api.base import (
    Filters,
    Refusal,
    called,
    filters,
    page_of,
    paged,
    site_ids,
)
from registry.models import Consent, Participant
from sites.access import Request, find, rows
from sites.roles import Permission

# The rows that are in each state of `Participant.state`.
_ENROLLED = Q(voided_at=None, enrolled_at__isnull=False)
_BEFORE = Q(voided_at=None, enrolled_at=None, ended_on=None)
STATES: dict[str, Q] = {
    "consented": _BEFORE & Q(failed_criteria__isnull=True, screened_at=None),
    "screened": _BEFORE & Q(failed_criteria__isnull=True, screened_at__isnull=False),
    "failed": _BEFORE & Q(failed_criteria__isnull=False),
    "enrolled": _ENROLLED & Q(ended_on=None),
    "ended": Q(voided_at=None, ended_on__isnull=False),
    "void": Q(voided_at__isnull=False),
}


class ConsentOut(serializers.ModelSerializer[Consent]):
    class Meta:
        model = Consent
        fields = ("kind", "form_version", "given", "signed_on")
        read_only_fields = fields


class ParticipantOut(serializers.ModelSerializer[Participant]):
    site = serializers.CharField(source="site.code", read_only=True)
    state = serializers.ChoiceField(choices=list(STATES), read_only=True)
    version = serializers.CharField(source="version.label", read_only=True)
    failed_criteria = serializers.ListField(
        child=serializers.CharField(), allow_null=True, read_only=True
    )
    arm = serializers.SerializerMethodField(help_text="null unless you may see it")
    consents = ConsentOut(many=True, read_only=True, source="valid_consents")
    withdrawals = serializers.SerializerMethodField(help_text="scopes of what was withdrawn")

    class Meta:
        model = Participant
        fields = (
            "id",
            "site",
            "screening_number",
            "subject_number",
            "state",
            "version",
            "sex",
            "birth_year",
            "age",
            "cohort",
            "arm",
            "consented_on",
            "consents",
            "withdrawals",
            "failed_criteria",
            "enrolled_on",
            "ended_on",
            "end_reason",
            "void_reason",
        )
        read_only_fields = fields

    def get_arm(self, person: Participant) -> str | None:
        allocation = getattr(person, "allocation", None)
        if allocation and self.context["request"].may(Permission.SEE_ARM, person.site_id):
            return str(allocation.arm)
        return None

    def get_withdrawals(self, person: Participant) -> list[str]:
        return [each.scope for each in person.withdrawals.all()]


class ParticipantFilters(Filters):
    site = serializers.CharField(required=False, max_length=10)
    state = serializers.ChoiceField(required=False, choices=list(STATES))
    number = serializers.CharField(
        required=False, max_length=30, help_text="screening or subject number"
    )


def _people(request: Request) -> QuerySet[Participant]:
    consents = Consent.objects.filter(voided_at=None)
    return (
        rows(request, Participant)
        .select_related("site", "version", "allocation")
        .defer("version__content")
        .prefetch_related(
            Prefetch("consents", queryset=consents, to_attr="valid_consents"), "withdrawals"
        )
    )


@extend_schema(
    operation_id="participants",
    parameters=[ParticipantFilters],
    responses={200: page_of(ParticipantOut), 400: Refusal},
)
@api_view(["GET"])
def participants(request: ApiRequest) -> Response:
    """The participants of your site."""
    here, asked = called(request), filters(request, ParticipantFilters)
    found = _people(here)
    if "site" in asked:
        found = found.filter(site_id__in=site_ids(here, asked["site"]))
    if "state" in asked:
        found = found.filter(STATES[asked["state"]])
    if "number" in asked:
        number = asked["number"]
        found = found.filter(Q(screening_number=number) | Q(subject_number=number))
    return paged(request, found, ParticipantOut, asked)


@extend_schema(operation_id="participant", responses={200: ParticipantOut, 404: Refusal})
@api_view(["GET"])
def participant(request: ApiRequest, pk: int) -> Response:
    """One participant."""
    found = find(called(request), _people(called(request)), pk=pk)
    return Response(ParticipantOut(found, context={"request": called(request)}).data)
