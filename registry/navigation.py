"""What surrounds every page: the menu that this person's permissions allow, studies, sites."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from sites.models import Study
from sites.roles import Permission as P

# Route name, label, icon, permission; the first that a person may open is their start page.
MENU = (
    ("today", _("Today"), "today", P.SEE_DATA),
    ("participants", _("Participants"), "people", P.SEE_DATA),
    ("queries", _("Queries"), "query", P.SEE_DATA),
    ("events", _("Adverse events"), "alert", P.SEE_DATA),
    ("screening_log", _("Screening log"), "list", P.SEE_DATA),
    ("locks", _("Locking"), "lock", P.LOCK),
    ("releases", _("Datasets"), "download", P.RELEASE),
    ("people", _("People"), "badge", P.SEE_STUDY),
    ("study_sites", _("Sites and protocol"), "site", P.SEE_STUDY),
    ("access_log", _("Access log"), "eye", P.SEE_ACCESS),
)


def studies_of(user: Any) -> list[Study]:
    """Studies in which this person holds, or held, a role; their pages decide about today."""
    return list(Study.objects.filter(memberships__user=user).distinct().order_by("code"))


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Template context: `nav` and `study` on pages of a study, nothing elsewhere."""
    held = getattr(request, "held", None)
    study = getattr(request, "study", None)
    if not held or study is None:
        return {}
    here = request.resolver_match.view_name if request.resolver_match else ""
    permissions = frozenset().union(*held.values())
    return {
        "study": study,
        "nav": [
            {
                "url": reverse(name, args=[study.code]),
                "label": label,
                "icon": icon,
                "current": name == here,
            }
            for name, label, icon, permission in MENU
            if permission in permissions
        ],
    }
