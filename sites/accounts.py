"""Signing in: allauth does it; here is what it may do, what it records, and how long it lasts.

Accounts are made by invitation only. The place of a second factor is `allauth.mfa`, which plugs
into the same log-in stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from sites.access import client_ip, log_event
from sites.models import SecurityEvent

CHECKED_EVERY = 60  # seconds between two writes of the session's clock


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    """No sign-up; log-ins and failed log-ins are kept; the log-in's language is the person's."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request) or "unknown"

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        super().authentication_failed(request, **credentials)
        log_event(request, SecurityEvent.Kind.LOGIN_FAILED)

    def post_login(self, request: HttpRequest, user: Any, **options: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **options)
        request.session["since"] = request.session["seen"] = int(time.time())
        log_event(request, SecurityEvent.Kind.LOGIN, user_id=user.pk)
        remember_language(response, user.language)
        return response

    def logout(self, request: HttpRequest) -> None:
        if request.user.is_authenticated:
            log_event(request, SecurityEvent.Kind.LOGOUT, user_id=request.user.pk)
        super().logout(request)


def remember_language(response: HttpResponse, language: str) -> None:
    """Show everything from now on in `language` on this browser."""
    translation.activate(language)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=365 * 24 * 3600,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )


def session_limits(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: a session ends when nobody used it for a while, and after a working day at most.

    Both clocks are the server's (K05); the session is written at most once a minute.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = int(time.time())
            seen = request.session.get("seen", now)
            since = request.session.setdefault("since", now)
            idle = now - seen > 60 * settings.SESSION_IDLE_MINUTES
            if idle or now - since > 3600 * settings.SESSION_HOURS:
                logout(request)
            elif now - seen >= CHECKED_EVERY or "seen" not in request.session:
                request.session["seen"] = now
        return get_response(request)

    return middleware
