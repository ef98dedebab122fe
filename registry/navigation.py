"""What surrounds every page: the menu that this person's permissions allow, studies, sites."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve, reverse
from django.utils.html import conditional_escape
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from registry.management.commands.demo import PEOPLE
from registry.skeleton import Marks, Skeleton
from sites.access import Place
from sites.roles import Permission as P
from sites.roles import permissions

# Route name, label, icon, permission; the first that a person may open is their start page.
MENU = (
    ("today", _("Today"), "today", P.SEE_DATA),
    ("participants", _("Participants"), "grid", P.SEE_DATA),
    ("queries", _("Queries"), "query", P.SEE_DATA),
    ("second_looks", _("Second look"), "eye", P.SEE_DATA),
    ("events", _("Adverse events"), "ae", P.SEE_DATA),
    ("screening_log", _("Screening log"), "consent", P.SEE_DATA),
    ("imports", _("Import"), "history", P.SEE_DATA),
    ("locks", _("Locking"), "lock", P.LOCK),
    ("releases", _("Datasets"), "release", P.RELEASE),
    ("people", _("People"), "users", P.SEE_STUDY),
    ("study_sites", _("Sites and protocol"), "building", P.SEE_STUDY),
    ("access_log", _("Access log"), "eye", P.SEE_ACCESS),
)


# Lists to which one comes back from the pages that were opened from them.
LISTS = frozenset({"today", "participants", "queries", "events"})
OPENED = frozenset({"visit", "entry", "query", "event", "participant", "sign", "consents"})


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Template context: on every page the bar on top, in a study its menu."""
    study = getattr(request, "study", None)
    here = request.resolver_match.view_name if request.resolver_match else ""
    around: dict[str, Any] = {
        "topbar": functools.partial(_topbar, request),
        "demo_accounts": list(PEOPLE) if settings.DEMO else [],
    }
    if study is None:
        return around
    if here in OPENED:
        around["back"] = back(request)
    held = _permissions(request.places[study.code])  # type: ignore[attr-defined]
    return around | {"study": study, "nav": _menu(study.code, held, here, get_language())}


def back(request: HttpRequest) -> str:
    """The list from which this page was opened, at its row; empty when it was none.

    Addresses carry it as `back`, and so does the page before this one, after a form was sent.
    Without a script it is the list itself, when that was the page before. Only a path of this
    installation counts: an address may be made by anybody.
    """
    asked = request.GET.get("back")
    if asked is None:
        before = urlsplit(request.headers.get("referer", ""))
        if before.netloc != request.get_host():
            return ""
        asked = parse_qs(before.query).get("back", [""])[0]
        if not asked and _is_list(before.path):
            asked = before.path + (f"?{before.query}" if before.query else "")
    local = asked.startswith("/") and url_has_allowed_host_and_scheme(asked, allowed_hosts=None)
    return asked if local and _is_list(urlsplit(asked).path) else ""


def _is_list(path: str) -> bool:
    try:
        return resolve(path).view_name in LISTS
    except Resolver404:
        return False


def _topbar(request: HttpRequest) -> SafeString:
    """The bar on top: one for each person, study and language, but for the marks in it."""
    places, study = getattr(request, "places", {}), getattr(request, "study", None)
    place = places[study.code] if study else None
    held = _permissions(place) if place else frozenset()
    user: Any = getattr(request, "user", None)
    bar = _bar(
        get_language(),
        (user.get_full_name() or user.get_username()) if user and user.is_authenticated else "",
        tuple((start_of(each), each.code, each.name) for each in places.values()),
        tuple(str(role.label) for role in place.distinct_roles) if place else (),
        study.code if study else "",
        P.SEE_DATA in held,
        P.USE_API in held,
    )
    return bar.filled(
        {
            "csrf": get_token(request),
            "path": conditional_escape(request.get_full_path()),
            "query": conditional_escape(request.GET.get("q", "")),
        }
    )


@functools.lru_cache(maxsize=2048)
def _bar(
    language: str | None,
    name: str,
    places: tuple[tuple[str, str, str], ...],
    roles: tuple[str, ...],
    study: str,
    may_search: bool,
    may_use_api: bool,
) -> Skeleton:
    mark = Marks()
    studies = [
        {"url": reverse(start, args=[code]), "label": label, "current": code == study}
        for start, code, label in places
    ]
    context = {
        "name": name,
        "studies": studies,
        "role_labels": roles,
        "in_study": bool(study),
        "search_url": reverse("participants", args=[study]) if may_search else "",
        "tokens_url": reverse("tokens", args=[study]) if may_use_api else "",
        "mark": mark,
        "csrf_token": mark["csrf"],
    }
    return Skeleton.of(render_to_string("_parts/topbar.html", context))


@functools.lru_cache(maxsize=2048)
def _menu(study: str, held: frozenset[P], here: str, language: str | None) -> str:
    """The menu's list, which is the same for all who may do the same."""
    items = [
        {"url": reverse(name, args=[study]), "label": label, "icon": icon, "current": name == here}
        for name, label, icon, permission in MENU
        if permission in held
    ]
    return render_to_string("_parts/nav.html", {"items": items})


def start_of(place: Place) -> str:
    """The name of the first page that this person's roles open in a study."""
    held = _permissions(place)
    return next(name for name, _label, _icon, permission in MENU if permission in held)


def _permissions(place: Place) -> frozenset[P]:
    return permissions({role for roles in place.roles.values() for role in roles})
