"""Second looks: which forms wait for one, the blind form, the two sides, and how often they differ."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count, F, Q, Sum
from django.http import HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.display import answer_text
from crf.forms import Typed
from crf.models import Entry, SecondLook
from crf.services import looks
from crf.services.entries import missing_reasons
from registry.display import visit_title
from registry.forms.entry import of_json, of_page
from registry.services import protocol_of
from registry.views.entrypage import blind_page, save_answer
from sites.access import Refused, Request, find, rows, show
from sites.roles import Permission as P

MOST = 200  # forms that are listed at once; the oldest first


def second_looks(request: Request) -> HttpResponse:
    """The forms that wait for a second look or a decision, and how often two hands differed."""
    found = rows(
        request,
        SecondLook.objects.filter(settled_at=None, entry__voided_at=None)
        .select_related("participant", "entry__visit", "entry__completed_by", "looked_by")
        .order_by("entry__completed_at", "pk"),
    )[:MOST]
    waiting = list(found)
    show(request, waiting)
    context = {
        "waiting": [_row(request, look) for look in waiting],
        "rates": _rates(request),
        "may_enter": any(request.may(P.ENTER, site) for site in request.sites),
    }
    return render(request, "looks/list.html", context)


def _row(request: Request, look: SecondLook) -> dict[str, Any]:
    entry = look.entry
    entry.site = request.sites[look.site_id]
    return {
        "look": look,
        "site": entry.site,
        "title": _title(entry),
        "visit": visit_title(protocol_of(entry.version_id), entry.visit) if entry.visit else "",
        "why_not": "" if look.looked_at else looks.why_not(look, request.user.pk),
        "may": request.may(P.ENTER, look.site_id),
    }


def _rates(request: Request) -> list[dict[str, Any]]:
    """Answers that differed, of those compared, for each form at each site."""
    counted = (
        rows(request, SecondLook.objects.filter(looked_at__isnull=False, entry__voided_at=None))
        .values("site_id", instrument=F("entry__instrument"))
        .annotate(
            forms=Count("pk"),
            compared=Sum("compared"),
            differing=Sum("differing"),
            undecided=Count("pk", filter=Q(settled_at=None)),
        )
        .order_by("instrument", "site_id")
    )
    return [
        {
            **each,
            "site": request.sites[each["site_id"]],
            "percent": 100 * each["differing"] / each["compared"] if each["compared"] else 0,
        }
        for each in counted
    ]


def second_look(request: Request, pk: int) -> HttpResponse:
    """The blind form, or both sides once it was finished."""
    look = _look(request, pk)
    if look.looked_at is not None:
        return _decide(request, look)
    if sentence := looks.why_not(look, request.user.pk):
        raise Refused(sentence)
    if request.method != "POST":
        return blind_page(request, look)
    instrument = instrument_of(look.entry)
    sent = of_page(request.POST, instrument, look.entry.site.today())
    try:
        if sent.changes or sent.missing:
            looks.save_look(look=look, changes=sent.changes, missing=sent.missing, by=request.by)
            look = _look(request, pk)
        if request.POST.get("then") == "complete":
            return _finish(request, look)
    except Refused as refused:
        return blind_page(request, look, sent.typed(), refused=str(refused))
    return redirect("second_look", request.study.code, pk)


def _finish(request: Request, look: SecondLook) -> HttpResponse:
    if items := looks.open_items(look):
        asked = _("Please answer this question, or say why there is no answer.")
        return blind_page(request, look, Typed(errors=dict.fromkeys(items, asked)))
    done = looks.finish_look(look=look, by=request.by)
    if done.settled_at is None:
        return redirect("second_look", request.study.code, look.pk)
    messages.success(request, _("Both hands agree. Nothing has to be decided."))
    return redirect("second_looks", request.study.code)


def second_look_save(request: Request, pk: int) -> HttpResponse:
    """One save of the blind form's script. JSON in, JSON out."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    look = _look(request, pk)
    read = of_json(request.body)
    if read is None:
        return JsonResponse({"error": "unreadable", "detail": _("This can't be read.")}, status=400)
    sent, message = read
    try:
        if message.get("preview"):
            raise NotImplementedError
        saved = looks.save_look(
            look=look, changes=sent.changes, missing=sent.missing, by=request.by
        )
    except Refused as refused:
        return JsonResponse({"error": "refused", "detail": str(refused)}, status=409)
    return JsonResponse(save_answer(request, looks.blank(_look(request, pk)), saved))
