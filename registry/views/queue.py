"""The queue of adverse events across the sites that somebody sees, and each site's own list."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from registry.forms.safety import QueueFilter
from safety.display import text_of
from safety.models import AdverseEvent, AEReview
from safety.queue import (
    NEEDS_REVIEW,
    Events,
    counts,
    in_order,
    of_valid_participants,
    waiting,
    with_clock,
    with_state,
)
from safety.services import rules_at
from sites.access import Request, rows, show
from sites.models import Site
from sites.roles import Permission as P

PER_PAGE = 50


@dataclass
class Row:
    """An event in the queue. `days` are left until the report; `decision` is the newest one."""

    event: Any
    site: Site
    term: str
    causality: str
    days: int | None
    decision: str
    stripe: int
    link: str = ""


def events(request: Request) -> HttpResponse:
    """What needs review first, the most urgent first; every filter stands in the URL."""
    reviewing = [site for site in request.sites if request.may(P.REVIEW_EVENTS, site)]
    default = "needs" if reviewing else "all"
    chosen = QueueFilter(request.GET, sites=list(request.sites.values()), default=default)
    asked = reviewing or list(request.sites)
    condition = chosen.condition(
        Q(voided_at=None, review_state__in=NEEDS_REVIEW, site_id__in=asked)
    )
    # The page is found by ids, in the index that the queue is sorted by; only they are read whole.
    found, numbers = _found(request), counts(waiting(asked))
    paginator = Paginator(in_order(found.filter(condition)).values("pk"), PER_PAGE)
    if chosen.cleaned_data.get("state") == "needs" and not chosen.narrowed:
        paginator.__dict__["count"] = numbers["needs"]  # counted above, with the others
    page = paginator.get_page(request.GET.get("page"))
    ids: Any = page.object_list
    listed = with_state(found.filter(pk__in=ids).select_related("participant"))
    shown = list(in_order(listed))
    show(request, shown)
    context = {
        "filter": chosen,
        "page_obj": page,
        "rows": _linked(request, [_row(request, event) for event in shown]),
        "views": _views(request, chosen, numbers),
        "reviewing": bool(reviewing),
        "queue": request.GET.urlencode(),
    }
    return render(request, "events/events.html", context)


def _found(request: Request) -> Events:
    """With the clock, by which they are sorted."""
    events = of_valid_participants(rows(request, AdverseEvent), list(request.sites))
    return with_clock(events, rules_at(request.sites))


def _row(request: Request, event: Any) -> Row:
    site = request.sites[event.site_id]
    left = (event.report_by - site.today()).days if event.report_by else None
    decision = AEReview.Decision(event.decision).label if event.decision else ""
    return Row(
        event,
        site,
        text_of(event, "term"),
        text_of(event, "causality"),
        left,
        str(decision),
        site.position % 8,
    )


def _linked(request: Request, found: list[Row]) -> list[Row]:
    """Each row's link carries the filter and the row after it, to come back to."""
    for row, following in zip_longest(found, found[1:]):
        carried = {"queue": request.GET.urlencode()}
        if following is not None:
            carried["next"] = str(following.event.pk)
        url = reverse("event", args=[request.study.code, row.event.pk])
        row.link = f"{url}?{urlencode(carried)}"
    return found


def row_of(request: Request, event: Any) -> dict[str, Any]:
    """One row as it is now, for the queue from which it was decided."""
    [found] = with_state(_found(request).filter(pk=event.pk).select_related("participant"))
    row = _row(request, found)
    carried = {"queue": request.POST.get("queue", ""), "next": request.POST.get("next", "")}
    url = reverse("event", args=[request.study.code, event.pk])
    row.link = f"{url}?{urlencode(carried)}"
    return {"row": row, "event": found}


def back_to_queue(request: Request, pk: int) -> str:
    """The queue with its filter, at the next row's link, where the browser puts the focus."""
    queue, following = request.POST.get("queue", ""), request.POST.get("next", "")
    url = reverse("events", args=[request.study.code])
    anchor = f"#event-{following}-link" if following.isdecimal() else ""
    return f"{url}?{queue}{anchor}" if queue else f"{url}{anchor}"


def _views(request: Request, chosen: QueueFilter, numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """Saved views: links with a count, each a filter of its own."""
    base = reverse("events", args=[request.study.code])
    here = {name: value for name, value in chosen.cleaned_data.items() if value}
    offered = [
        (_("Needs review"), {"state": "needs"}, numbers["needs"]),
        (_("Serious"), {"state": "needs", "serious": "yes"}, numbers["sae"]),
        (_("Grade 3 or higher"), {"state": "needs", "grade": "3+"}, numbers["severe"]),
        (_("All"), {"state": "all"}, None),
    ]
    return [
        {
            "label": label,
            "url": f"{base}?{urlencode(wanted)}",
            "count": count,
            "current": here == wanted,
            "danger": "serious" in wanted and bool(count),
        }
        for label, wanted, count in offered
    ]
