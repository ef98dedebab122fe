"""Second looks: which forms wait for one, the blind form, both sides, how often they differ.

The blind page shows nothing of the first hand: no answers, no queries, no history, nothing of the
visit before. Only when the second hand is done do both stand side by side.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Count, F, Q, Sum
from django.http import HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import definition_of, instrument_of
from crf.display import answer_text
from crf.forms import Typed, form_for
from crf.models import Entry, SecondLook
from crf.services import finish_look, preview_entry, save_look, settle_look
from crf.services.entries import missing_reasons
from crf.services.looks import FIRST, SECOND, blank, differences, open_items, why_not
from registry.display import visit_title
from registry.forms.entry import of_json, of_page
from registry.services import protocol_of, version_at
from registry.views.entrypage import quick_days, save_answer, summary
from registry.views.questions import questions_html
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
        "stripe": entry.site.position % 8,
        "title": _title(entry),
        "visit": visit_title(protocol_of(entry.version_id), entry.visit) if entry.visit else "",
        "why_not": "" if look.looked_at else why_not(look, request.user.pk),
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
            "title": _form_title(request, each["site_id"], each["instrument"]),
            "percent": 100 * each["differing"] / each["compared"] if each["compared"] else 0,
        }
        for each in counted
    ]


def second_look(request: Request, pk: int) -> HttpResponse:
    """The blind form, or both sides once it was finished."""
    look = _look(request, pk)
    if look.looked_at is not None:
        return _both(request, look)
    if sentence := why_not(look, request.user.pk):
        raise Refused(sentence)
    if request.method != "POST":
        return _blind(request, look)
    sent = of_page(request.POST, instrument_of(look.entry), look.entry.site.today())
    changes = {item: value for item, value in sent.changes.items() if item not in sent.errors}
    missing = {item: why for item, why in sent.missing.items() if item not in sent.errors}
    try:
        if changes or missing:
            save_look(look=look, changes=changes, missing=missing, by=request.by)
            look = _look(request, pk)
        if sent.errors:
            return _blind(request, look, sent.typed(errors=sent.errors))
        if request.POST.get("then") == "complete":
            return _finish(request, look)
    except Refused as refused:
        return _blind(request, look, sent.typed(), refused=str(refused))
    return redirect("second_look", request.study.code, pk)


def second_look_save(request: Request, pk: int) -> HttpResponse:
    """One save of the blind form's script, or with `preview` what it would show."""
    look = _look(request, pk)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    read = of_json(request.body)
    if read is None:
        return JsonResponse({"error": "unreadable", "detail": _("This can't be read.")}, status=400)
    sent, message = read
    if message.get("preview"):
        blind = blank(look)
        saved = preview_entry(entry=blind, changes=sent.changes, missing=sent.missing)
        return JsonResponse(save_answer(request, blind, saved) | {"preview": True})
    try:
        saved = save_look(look=look, changes=sent.changes, missing=sent.missing, by=request.by)
    except Refused as refused:
        return JsonResponse({"error": "refused", "detail": str(refused)}, status=409)
    return JsonResponse(save_answer(request, blank(_look(request, pk)), saved))


def _look(request: Request, pk: int) -> SecondLook:
    related = ("participant", "entry__visit", "entry__completed_by", "looked_by")
    look = find(request, SecondLook.objects.select_related(*related), pk=pk)
    entry = look.entry
    entry.site = look.participant.site = request.sites[look.site_id]
    entry.participant = look.participant
    if entry.visit:
        entry.visit.participant = look.participant
    return look


def _form_title(request: Request, site_id: int, code: str) -> str:
    found = definition_of(version_at(request.sites[site_id]).pk).instruments.get(code)
    return found.short.get(get_language() or "ko") if found else code


def _title(entry: Entry) -> str:
    return instrument_of(entry).title.get(get_language() or "ko")


def _blind(
    request: Request, look: SecondLook, typed: Typed | None = None, refused: str = ""
) -> HttpResponse:
    lang, study, entry = get_language() or "ko", request.study.code, look.entry
    form = form_for(blank(look), lang, typed)
    errors = summary(form, refused) if typed or refused else []
    here = reverse("second_look", args=[study, look.pk])
    html = questions_html(
        form,
        version_id=entry.version_id,
        lang=lang,
        around={
            "codes_url": reverse("codes", args=[study, "x"]).removesuffix("x/"),
            "here": here,
            "digits": "" if request.COOKIES.get("digits") == "off" else " checked",
            "rest_hidden": " hidden",
            "quick": render_to_string("entries/_quick.html", {"quick": quick_days(entry)}),
        },
    )
    context = {
        "look": look,
        "entry": entry,
        "participant": look.participant,
        "visit": entry.visit,
        "icons": static("icons.svg"),
        "title": form.title,
        "questions": form,
        "html": html,
        "base": json.dumps(form.base, ensure_ascii=False),
        "op": uuid.uuid4(),
        "errors": errors,
        "has_errors": bool(errors),
        "crumbs": _crumbs(request, form.title),
    }
    return render(request, "looks/blind.html", context, status=422 if errors else 200)


def _finish(request: Request, look: SecondLook) -> HttpResponse:
    if items := open_items(look):
        asked = _("Please answer this question, or say why there is no answer.")
        return _blind(request, look, Typed(errors=dict.fromkeys(items, asked)))
    done = finish_look(look=look, by=request.by)
    if done.settled_at is None:
        return redirect("second_look", request.study.code, look.pk)
    messages.success(request, _("Both hands agree. Nothing has to be decided."))
    return redirect("second_looks", request.study.code)


def _both(request: Request, look: SecondLook) -> HttpResponse:
    """Both sides where they differ, and the choice; afterwards what was chosen, and why."""
    kept = {item: request.POST.get(f"keep.{item}", "") for item in differences(look)}
    reasons = {item: request.POST.get(f"reason.{item}", "") for item in kept}
    errors: dict[str, str] = {}
    if request.method == "POST":
        try:
            settle_look(look=look, kept=kept, reasons=reasons, by=request.by)
        except Refused as refused:
            errors[refused.field or ""] = str(refused)
        else:
            messages.success(request, _("The differences are decided."))
            return redirect("second_looks", request.study.code)
    context = {
        "look": look,
        "participant": look.participant,
        "visit": look.entry.visit,
        "title": _title(look.entry),
        "sides": _decided(look) if look.settled_at else _sides(look, kept, reasons, errors),
        "errors": [
            {"href": f"#keep-{item}" if item else "", "text": text} for item, text in errors.items()
        ],
        "has_errors": bool(errors),
        "crumbs": _crumbs(request, _title(look.entry)),
    }
    return render(request, "looks/both.html", context, status=422 if errors else 200)


def _sides(
    look: SecondLook, kept: dict[str, str], reasons: dict[str, str], errors: dict[str, str]
) -> list[dict[str, Any]]:
    first, second, lang = look.entry, blank(look), get_language() or "ko"
    instrument = instrument_of(first)
    return [
        {
            "item": code,
            "label": instrument.item(code).label.get(lang),
            FIRST: _said(first, code),
            SECOND: _said(second, code),
            "kept": kept[code],
            "reason": reasons[code],
            "error": errors.get(code, ""),
        }
        for code in kept
    ]


def _decided(look: SecondLook) -> list[dict[str, Any]]:
    lang, instrument = get_language() or "ko", instrument_of(look.entry)
    return [
        {
            "label": instrument.item(each["item"]).label.get(lang),
            "kept": each["kept"],
            "reason": each["reason"],
            **{
                side: answer_text(
                    instrument.item(each["item"]), each[side]["value"], each[side]["missing"]
                )
                for side in (FIRST, SECOND)
            },
        }
        for each in look.decisions
    ]


def _said(entry: Entry, code: str) -> str:
    item = instrument_of(entry).item(code)
    return answer_text(item, entry.answers.get(code), missing_reasons(entry).get(code))


def _crumbs(request: Request, title: str) -> list[dict[str, str]]:
    url = reverse("second_looks", args=[request.study.code])
    return [{"label": _("Second look"), "url": url}, {"label": title, "url": ""}]
