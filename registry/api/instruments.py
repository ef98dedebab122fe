"""What a form asks, as JSON Schema made of the same instrument as its page."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils.translation import get_language
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from crf.definitions import definition_of
from crf.instrument.schema import answers_schema
from registry.api.base import Refusal, Strict, called, filters
from registry.models import ProtocolVersion
from registry.services import version_at
from sites.access import Request


class VersionFilters(Strict):
    version = serializers.CharField(
        required=False,
        max_length=20,
        help_text="of the protocol, as an entry names it; default: the one in use at your site",
    )


class InstrumentOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    title = serializers.CharField()
    repeating = serializers.BooleanField()


class InstrumentsOut(serializers.Serializer[Any]):
    version = serializers.CharField()
    instruments = InstrumentOut(many=True)


def _version(request: ApiRequest, here: Request) -> ProtocolVersion:
    asked = filters(request, VersionFilters)
    if "version" not in asked:
        return version_at(next(iter(here.sites.values())))
    published = ProtocolVersion.objects.defer("content").filter(study=here.study)
    version = published.filter(label=asked["version"]).first()
    if version is None:
        raise Http404
    return version


@extend_schema(
    operation_id="instruments",
    parameters=[VersionFilters],
    responses={200: InstrumentsOut, 404: Refusal},
)
@api_view(["GET"])
def instruments(request: ApiRequest) -> Response:
    """The instruments of a version of the protocol."""
    version = _version(request, called(request))
    language = get_language() or "ko"
    listed = [
        {"code": each.code, "title": each.title.get(language), "repeating": each.repeating}
        for each in definition_of(version.pk).instruments.values()
    ]
    return Response(InstrumentsOut({"version": version.label, "instruments": listed}).data)


@extend_schema(
    operation_id="instrument",
    parameters=[VersionFilters],
    responses={200: OpenApiTypes.OBJECT, 404: Refusal},
)
@api_view(["GET"])
def instrument(request: ApiRequest, code: str) -> Response:
    """JSON Schema of the answers to one instrument."""
    version = _version(request, called(request))
    found = definition_of(version.pk).instruments.get(code)
    if found is None:
        raise Http404
    return Response(answers_schema(found, get_language() or "ko"))
