"""What every endpoint shares: what may be sent, how a refusal and a page of a list look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from registry.api.settled import Settled
from sites.access import Request, show

MOST = 500  # records in one answer
BIGGEST = 2**63 - 1


def called(request: ApiRequest) -> Request:
    """The request as `api()` settled it: study, sites, actor."""
    return cast(Request, request._request)


class SettledScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = Settled
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of the page “API tokens”: of one person, at one site.",
        }


class Refusal(serializers.Serializer[Any]):
    """Why nothing was done: a sentence, and one for each field where that is known."""

    detail = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(), required=False
    )


# What may be sent -------------------------------------------------------------------------------


class Strict(serializers.Serializer[Any]):
    """Refuses what it does not know, so that a misspelt or forbidden field is never ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(set(data) - {*self.fields})
            if unknown:
                raise ValidationError(
                    {name: _("This field is not known here.") for name in unknown}
                )
        return super().to_internal_value(data)


def sent(request: ApiRequest, kind: type[Strict]) -> dict[str, Any]:
    """The body of a request, checked."""
    body = kind(data=request.data)
    body.is_valid(raise_exception=True)
    return cast(dict[str, Any], body.validated_data)


class Filters(Strict):
    """What every list can be asked for: so many records, after one."""

    after = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=BIGGEST, help_text="id of the last record"
    )
    size = serializers.IntegerField(required=False, default=100, min_value=1, max_value=MOST)


def filters(request: ApiRequest, kind: type[Strict]) -> dict[str, Any]:
    """The query of a request, checked; each name once."""
    twice = [name for name in request.query_params if len(request.query_params.getlist(name)) > 1]
    if twice:
        raise ValidationError(dict.fromkeys(twice, _("This is given twice.")))
    asked = kind(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    return cast(dict[str, Any], asked.validated_data)


def site_ids(request: Request, code: str) -> Sequence[int]:
    """The sites of this code among the caller's; none if it is somebody else's, or nobody's."""
    return [site.pk for site in request.sites.values() if site.code == code]


# Lists ------------------------------------------------------------------------------------------


def page_of(kind: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """How a page of such records is described."""
    name = kind.__name__.removesuffix("Out") + "Page"
    link = serializers.URLField(allow_null=True, help_text="the next page; null on the last")
    return inline_serializer(name, {"next": link, "results": kind(many=True)})


def paged(
    request: ApiRequest,
    records: QuerySet[Any],
    kind: type[serializers.Serializer[Any]],
    asked: Mapping[str, Any],
    around: Callable[[Sequence[Any]], dict[str, Any]] | None = None,
) -> Response:
    """One page in the order of ids, so that nobody is missed or told twice while data come in.

    `around` finds what else the records of the page need, all at once.
    """
    here, size = called(request), asked["size"]
    found: list[Model] = list(records.filter(pk__gt=asked["after"]).order_by("pk")[: size + 1])
    more, found = len(found) > size, found[:size]
    show(here, found)
    following = None
    if more:
        query = request.query_params.copy()
        query["after"] = str(found[-1].pk)
        following = f"{request.build_absolute_uri(request.path)}?{query.urlencode()}"
    context = {"request": here} | (around(found) if around else {})
    told = kind(found, many=True, context=context)
    return Response({"next": following, "results": told.data})
