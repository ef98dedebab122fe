"""Where somebody arrives: the study's start page, the language, and a sign of life."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from registry.navigation import start_of
from sites.access import Request
from sites.accounts import remember_language
from sites.audit import Actor, acting


def home(request: Request) -> HttpResponse:
    """One study: straight to the first page that the person's roles open; else a choice."""
    places = list(request.places.values())
    if len(places) == 1:
        return redirect(start_of(places[0]), places[0].code)
    choices = [(place, reverse(start_of(place), args=[place.code])) for place in places]
    return render(request, "home.html", {"choices": choices})


def language(request: HttpRequest) -> HttpResponseBase:
    """Switch the language, for this browser and for the person's account."""
    wanted = request.POST.get("language", "")
    back = request.POST.get("next", "") or request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}):
        back = settings.LOGIN_REDIRECT_URL
    response = redirect(back)
    if request.method == "POST" and wanted in dict(settings.LANGUAGES):
        remember_language(response, wanted)
        if request.user.is_authenticated and request.user.language != wanted:
            by = Actor(label=f"user:{request.user.pk}", user_id=request.user.pk)
            with acting(by):
                request.user.language = wanted
                request.user.save(update_fields=["language"])
    return response


def alive(request: HttpRequest) -> HttpResponse:
    """For load balancers: the process answers; whether the database does is for monitoring."""
    return HttpResponse("ok", content_type="text/plain")
