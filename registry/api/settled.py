"""What Django REST framework is told in the settings: who calls, how often, in what form.

Apart from the endpoints, since the framework imports these classes before it is there itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError
from django.utils.translation import gettext as _
from redis.exceptions import RedisError
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle

from crf.services import Incomplete
from safety.services import Wrong
from sites.models import ApiToken, User


class Settled(BaseAuthentication):
    """`api()` has read the token before the view runs; here it is only handed on."""

    def authenticate(self, request: ApiRequest) -> tuple[User, ApiToken]:
        here: Any = request._request
        return here.user, here.api_token

    def authenticate_header(self, request: ApiRequest) -> str:
        return "Token"


class PerToken(SimpleRateThrottle):
    """So many requests in a minute for each token; none are refused while Redis is away."""

    scope = "token"

    def get_cache_key(self, request: ApiRequest, view: Any) -> str:
        return f"api-token-{request.auth.pk}" if request.auth else ""

    def allow_request(self, request: ApiRequest, view: Any) -> bool:
        try:
            return bool(super().allow_request(request, view))
        except RedisError:
            return True


class Json(JSONParser):
    """JSON that PostgreSQL can keep: no numbers without end, no half of a surrogate pair."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            content = json.loads(stream.read(), parse_constant=_no_number)
            json.dumps(content, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise ParseError(_("This is not valid JSON.")) from None
        return content


def _no_number(name: str) -> None:
    raise ValueError(name)


# Refusals ---------------------------------------------------------------------------------------


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """An answer for what a program did wrong; None leaves the rest to `api()`, which logs it."""
    if isinstance(error, ValidationError):
        errors = dict(_sentences(error.detail))
        return Response({"detail": _("This can't be taken as it is."), "errors": errors}, 400)
    if isinstance(error, Wrong):
        return Response(
            {"detail": _("This can't be kept as it is."), "errors": error.problems}, 400
        )
    if isinstance(error, Incomplete):
        return Response({"detail": str(error), "items": error.items}, 409)
    if isinstance(error, IntegrityError) and "operation_once" in str(error):
        return Response(
            {"detail": _("This operation id was already used for something else.")}, 409
        )
    if isinstance(error, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        sentence = _("This is too much at once; at most %(most)d bytes can be taken.")
        return Response({"detail": sentence % {"most": most}}, 413)
    if isinstance(error, APIException):
        headers = {}
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(int(wait) + 1)
        return Response({"detail": str(error.detail)}, error.status_code, headers=headers)
    return None


def _sentences(detail: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """(field, sentence) of nested messages, as field.item."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _sentences(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(detail, list | tuple) and any(isinstance(d, Mapping) for d in detail):
        for number, inner in enumerate(detail):
            yield from _sentences(inner, f"{field}.{number}")
    else:
        texts = detail if isinstance(detail, list | tuple) else [detail]
        yield field, " ".join(str(text) for text in texts)
