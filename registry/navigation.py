"""What surrounds every page: the menu that this person's permissions allow, studies, sites."""

from __future__ import annotations

import functools
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from registry.management.commands.demo import PEOPLE
from sites.access import Place
from sites.roles import Permission as P
from sites.roles import permissions

# Route name, label, icon, permission; the first that a person may open is their start page.
MENU = (
    ("today", _("Today"), "today", P.SEE_DATA),
    ("participants", _("Participants"), "grid", P.SEE_DATA),
    ("queries", _("Queries"), "query", P.SEE_DATA),
    ("events", _("Adverse events"), "ae", P.SEE_DATA),
    ("screening_log", _("Screening log"), "consent", P.SEE_DATA),
    ("locks", _("Locking"), "lock", P.LOCK),
    ("releases", _("Datasets"), "release", P.RELEASE),
    ("people", _("People"), "users", P.SEE_STUDY),
    ("study_sites", _("Sites and protocol"), "building", P.SEE_STUDY),
    ("access_log", _("Access log"), "eye", P.SEE_ACCESS),
)


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Template context: on every page the studies to switch between, in a study its menu."""
    places = getattr(request, "places", {})
    study = getattr(request, "study", None)
    around: dict[str, Any] = {"demo_accounts": list(PEOPLE) if settings.DEMO else []}
    if places:
        around["studies"] = [
            {
                "url": reverse(start_of(place), args=[place.code]),
                "label": place.name,
                "current": study is not None and place.code == study.code,
            }
            for place in places.values()
        ]
    if study is None:
        return around
    here = request.resolver_match.view_name if request.resolver_match else ""
    held = _permissions(places[study.code])
    if P.SEE_DATA in held:
        around["search_url"] = reverse("participants", args=[study.code])
        around["search_query"] = request.GET.get("q", "")
    if P.USE_API in held:
        around["tokens_url"] = reverse("tokens", args=[study.code])
    return around | {
        "study": study,
        "role_labels": [role.label for role in places[study.code].distinct_roles],
        "nav": _menu(study.code, held, here, get_language()),
    }


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
