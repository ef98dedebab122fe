"""Histories: of one question beside the form, of a form, and of everything of a participant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.history import entry_changes, kinds_of, newest_first, participant_changes
from crf.models import Entry
from registry.models import Participant
from safety.history import changes_of
from sites.access import Request, find
from sites.roles import Permission as P

PER_PAGE = 100


def entry_history(request: Request, pk: int) -> HttpResponse:
    """Everything that happened to a form."""
    entry = _entry(request, pk)
    title = instrument_of(entry).title.get(get_language() or "ko")
    return _page(request, entry, title, entry_changes(entry))


def item_history(request: Request, pk: int, item: str) -> HttpResponse:
    """Everything that happened to one question: in the drawer of the form, or as a page."""
    entry = _entry(request, pk)
    instrument = instrument_of(entry)
    if not instrument.has(item):
        raise Http404
    label = instrument.item(item).label.get(get_language() or "ko")
    changes = entry_changes(entry, item)
    if request.headers.get("X-Requested-With") == "fetch":
        context = {
            "label": label,
            "changes": changes,
            "may_ask": request.may(P.QUERY, entry.site_id),
            "ask_url": f"{reverse('entry_ask', args=[request.study.code, pk])}?item={item}",
        }
        return render(request, "history/_drawer.html", context)
    return _page(request, entry, label, changes, hide_item=True)


def participant_history(request: Request, pk: int) -> HttpResponse:
    """The timeline of a participant over all protected tables."""
    participant = find(request, Participant, pk=pk)
    participant.site = request.sites[participant.site_id]
    see_arm = request.may(P.SEE_ARM, participant.site_id)
    changes = participant_changes(participant, see_arm=see_arm)
    for event in participant.adverse_events.all():
        event.site = participant.site
        subject = f"{_('Adverse event')} {event.number}"
        changes += [replace(each, subject=subject) for each in changes_of(event)]
    changes = newest_first(changes)
    kind = request.GET.get("kind", "")
    chosen = [change for change in changes if kind in ("", change.kind)]
    context = {
        "participant": participant,
        "page_obj": Paginator(chosen, PER_PAGE).get_page(request.GET.get("page")),
        "kinds": kinds_of(changes),
        "kind": kind,
        "crumbs": _crumbs(request, participant, []),
    }
    return render(request, "history/participant.html", context)


def _entry(request: Request, pk: int) -> Entry:
    entry = find(request, Entry.objects.select_related("participant", "visit"), pk=pk)
    entry.site = entry.participant.site = request.sites[entry.site_id]
    if entry.visit:
        entry.visit.participant = entry.participant
    return entry


def _page(
    request: Request, entry: Entry, title: str, changes: list[Any], *, hide_item: bool = False
) -> HttpResponse:
    form = instrument_of(entry).title.get(get_language() or "ko")
    url = reverse("entry", args=[request.study.code, entry.pk])
    context = {
        "entry": entry,
        "participant": entry.participant,
        "visit": entry.visit,
        "title": title,
        "form_title": form,
        "changes": changes,
        "hide_item": hide_item,
        "entry_url": url,
        "crumbs": _crumbs(request, entry.participant, [{"label": form, "url": url}]),
    }
    return render(request, "history/entry.html", context)


def _crumbs(
    request: Request, participant: Participant, between: list[dict[str, str]]
) -> list[dict[str, str]]:
    study = request.study.code
    return [
        {"label": _("Participants"), "url": reverse("participants", args=[study])},
        {
            "label": participant.number,
            "url": reverse("participant", args=[study, participant.pk]),
        },
        *between,
        {"label": _("History"), "url": ""},
    ]
