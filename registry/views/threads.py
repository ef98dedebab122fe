"""What was asked and remarked about one question: in the drawer of its form, or as a page.

Who enters data remarks, who reviews them asks; both read everything, and answer or close where they
stand. A remark waits for a reviewer as an answered query does, who closes it when it is read.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.models import Entry, Query
from crf.services import remark
from crf.workflow import Act, refusal
from registry.forms import put
from registry.forms.queries import SayForm
from registry.views.queries import thread_of, threads
from sites.access import Refused, Request, find, rows
from sites.roles import Permission as P


def item_queries(request: Request, pk: int, item: str) -> HttpResponse:
    """The threads of one question, with what one may say there."""
    return _page(request, _entry(request, pk, item), item, SayForm())


def item_remark(request: Request, pk: int, item: str) -> HttpResponse:
    """A remark of the site about one question."""
    entry = _entry(request, pk, item)
    if request.method != "POST":
        return redirect("item_queries", request.study.code, pk, item)
    form = SayForm(request.POST)
    if form.is_valid():
        try:
            remark(entry=entry, item=item, text=form.cleaned_data["text"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            return _done(request, entry, item, _("Your remark was kept."))
    return _page(request, entry, item, form, status=422)


def _done(request: Request, entry: Entry, item: str, said: str) -> HttpResponse:
    if request.htmx:  # type: ignore[attr-defined]
        return _page(request, entry, item, SayForm(), done=said)
    messages.success(request, said)
    return redirect("item_queries", request.study.code, entry.pk, item)


def _entry(request: Request, pk: int, item: str) -> Entry:
    entry = find(request, Entry.objects.select_related("participant", "visit"), pk=pk)
    if not instrument_of(entry).has(item):
        raise Http404
    return entry


def _page(
    request: Request, entry: Entry, item: str, form: SayForm, *, done: str = "", status: int = 200
) -> HttpResponse:
    study, instrument = request.study.code, instrument_of(entry)
    found = threads(rows(request, Query.objects.filter(entry=entry, item=item)))
    open_to_say = not refusal(Act.QUERY, entry)
    here = reverse("item_queries", args=[study, entry.pk, item])
    context: dict[str, Any] = {
        "entry": entry,
        "participant": entry.participant,
        "visit": entry.visit,
        "item": item,
        "label": instrument.item(item).label.get(get_language() or "ko"),
        "threads": [thread_of(request, each) for each in found],
        "here": here,
        "form": form,
        "said": done,
        "may_remark": open_to_say and request.may(P.ENTER, entry.site_id),
        "may_ask": open_to_say and request.may(P.QUERY, entry.site_id),
        "nothing_yet": refusal(Act.QUERY, entry),
        "ask_url": f"{reverse('entry_ask', args=[study, entry.pk])}?item={item}",
    }
    drawer = request.htmx or request.headers.get("X-Requested-With") == "fetch"  # type: ignore[attr-defined]
    name = "queries/_item.html" if drawer else "queries/item.html"
    return render(request, name, context, status=status)
