"""The entry page: one form of one participant, saved answer by answer, or whole without scripts."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from crf import codelists
from crf.definitions import definition_of
from crf.display import MISSING_LABELS
from crf.forms import Typed
from crf.models import Entry, Query
from crf.services import (
    Incomplete,
    Saved,
    add_entry,
    answer_query,
    complete,
    confirm_copied,
    copy_last,
    preview_entry,
    save_entry,
    undo_copy,
    verify,
    void_entry,
)
from crf.services.entries import unanswered
from registry.forms import put
from registry.forms.entry import Sent, VoidForm, of_json, of_page, operation
from registry.models import Participant
from registry.services import version_at
from registry.views.entrypage import (
    entry_at,
    entry_handle,
    entry_page,
    instrument_at,
    save_answer,
    siblings,
    title_of,
    with_authors,
)
from sites.access import Refused, Request, find

FETCH = "fetch"  # X-Requested-With of the page's script


def entry(request: Request, pk: int) -> HttpResponse:
    """Show a form; a POST is the whole page from a browser without scripts, or its last step."""
    record = entry_at(request, pk)
    if request.method != "POST":
        if "signed_in" in request.GET:
            return render(request, "entries/signed_in.html", {})
        return entry_page(request, record)
    instrument = instrument_at(record)
    sent = of_page(request.POST, instrument, record.site.today())
    try:
        saved = _save(request, record, sent) if _has_news(sent) else None
    except Refused as refused:
        return entry_page(request, record, sent.typed(errors=sent.errors), refused=str(refused))
    record = entry_at(request, pk)
    if saved and (saved.errors or saved.conflicts or saved.needs_reason):
        return entry_page(request, record, _not_stored(record, sent, saved))
    if sent.errors:
        return entry_page(request, record, sent.typed(errors=sent.errors))
    return _then(request, record, request.POST.get("then", "save"), sent)


def _then(request: Request, record: Entry, step: str, sent: Sent) -> HttpResponse:
    """What follows a page that was stored: a confirmation, the rest as missing, completion."""
    query_id = request.POST.get("confirm", "")
    try:
        if query_id:
            _confirm(request, record, query_id, request.POST.get(f"confirm.{query_id}", ""))
        elif step.startswith("copied."):
            _copied(request, record, step.removeprefix("copied."))
            return redirect(reverse("entry", args=[request.study.code, record.pk]) + "#copied")
        elif step == "rest":
            _mark_rest(request, record, request.POST.get("rest", ""))
        elif step == "complete":
            complete(entry=record, by=request.by)
            messages.success(request, _("The form is complete."))
            following = _next_form(request, record)
            # In the next form one goes on at once where there is something to answer.
            start = "" if following == record.pk else "#start"
            url = reverse("entry", args=[request.study.code, following])
            return redirect(f"{url}{start}")
    except Incomplete as incomplete:
        asked = _("Please answer this question, or say why there is no answer.")
        return entry_page(request, record, Typed(errors=dict.fromkeys(incomplete.items, asked)))
    except Refused as refused:
        return entry_page(request, record, sent.typed(), refused=str(refused))
    messages.success(request, _("Everything is saved."))
    return redirect("entry", request.study.code, record.pk)


def entry_save(request: Request, pk: int) -> HttpResponse:
    """One save of the page's script, or with `preview` what it would show. JSON in, JSON out."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    record = entry_handle(request, pk)
    read = of_json(request.body)
    if read is None:
        return JsonResponse({"error": "unreadable", "detail": _("This can't be read.")}, status=400)
    sent, message = read
    confirmation = message.get("confirm") or {}
    if message.get("preview"):
        record = entry_at(request, pk)
        saved = preview_entry(entry=record, changes=sent.changes, missing=sent.missing)
        return JsonResponse(save_answer(request, record, saved) | {"preview": True})
    try:
        if confirmation:
            _confirm(request, record, confirmation.get("query"), str(confirmation.get("text", "")))
        saved = _save(request, record, sent)
    except Refused as refused:
        answer = {"error": "refused", "detail": str(refused), "field": refused.field}
        return JsonResponse(answer, status=409)
    status = 409 if saved.conflicts else 200
    return JsonResponse(save_answer(request, record, saved), status=status)


def entry_complete(request: Request, pk: int) -> HttpResponse:
    """Complete a form as it is stored."""
    record = entry_at(request, pk)
    if request.method != "POST":
        return redirect("entry", request.study.code, record.pk)
    return _then(request, record, "complete", Sent())


def entry_void(request: Request, pk: int) -> HttpResponse:
    """A form entered in error, with its reason."""
    record = entry_at(request, pk)
    form = VoidForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            void_entry(entry=record, reason=form.cleaned_data["reason"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The form is void. It is kept, struck through."))
            return redirect("entry", request.study.code, record.pk)
    context = {"entry": record, "title": title_of(record), "form": form}
    return render(request, "entries/void.html", context)


def entry_verify(request: Request, pk: int) -> HttpResponse:
    """A monitor's mark that the form was compared with its source."""
    record = entry_at(request, pk)
    if request.method == "POST":
        verify(entry=record, by=request.by)
        messages.success(request, _("Marked as compared with the source."))
    return redirect("entry", request.study.code, record.pk)


def entry_new(request: Request, pk: int, instrument: str) -> HttpResponse:
    """A new row of a participant's log, or the participant's screening form."""
    participant = find(request, Participant, pk=pk)
    participant.site = request.sites[participant.site_id]
    definition = definition_of(version_at(participant.site).pk)
    title = (
        definition.instrument(instrument).title.get(get_language() or "ko")
        if instrument in definition.instruments
        else instrument
    )
    refused = None
    if request.method == "POST":
        try:
            made = add_entry(
                participant=participant,
                instrument=instrument,
                op=operation(request.POST.get("op")),
                by=request.by,
            )
        except Refused as error:
            refused = str(error)
        else:
            return redirect("entry", request.study.code, made.pk)
    context = {
        "participant": participant,
        "title": title,
        "refused": refused,
        "op": uuid.uuid4(),
    }
    return render(request, "entries/new.html", context, status=422 if refused else 200)


def codes(request: Request, name: str) -> HttpResponse:
    """Look a code up by code, Korean or English name: for the script, and as a page."""
    if name not in codelists.LISTS:
        return JsonResponse({"codes": []}, status=404)
    text = request.GET.get("q", "")
    found = codelists.search(name, text, limit=20 if request.headers.get("Accept") else 50)
    if request.headers.get("X-Requested-With") == FETCH:
        rows = [{"code": each.code, "ko": each.ko, "en": each.en} for each in found]
        return JsonResponse({"codes": rows})
    context = {"found": found, "q": text, "version": codelists.version(name), "name": name}
    return render(request, "entries/codes.html", context)


# One entry --------------------------------------------------------------------------------------


def _save(request: Request, record: Entry, sent: Sent) -> Saved:
    return save_entry(
        entry=record,
        changes=sent.changes,
        missing=sent.missing,
        base=sent.base,
        reasons=sent.reasons,
        op=sent.op,
        captured_at=sent.captured_at,
        by=request.by,
    )


def _has_news(sent: Sent) -> bool:
    for item in sent.errors:
        sent.changes.pop(item, None)
        sent.missing.pop(item, None)
    return bool(sent.changes or sent.missing)


def _not_stored(record: Entry, sent: Sent, saved: Saved) -> Typed:
    """What stays on the page after a save that could not keep everything."""
    open_items = {*saved.errors, *saved.conflicts, *saved.needs_reason}
    sent.changes = {item: value for item, value in sent.changes.items() if item in open_items}
    sent.missing = {item: code for item, code in sent.missing.items() if item in open_items}
    sent.reasons = {item: text for item, text in sent.reasons.items() if item in open_items}
    errors = {
        **dict.fromkeys(saved.needs_reason, _("Please give the reason for this change.")),
        **saved.errors,
        **sent.errors,
    }
    return sent.typed(
        errors=errors,
        conflicts=with_authors(record, saved.conflicts),
        needs_reason=saved.needs_reason,
    )


def _confirm(request: Request, record: Entry, query_id: Any, text: str) -> None:
    """The site's word that a questioned value is right."""
    if not str(query_id).isdigit():
        raise Refused(_("There is no such query."))
    query = find(request, Query.objects.filter(entry=record), pk=int(query_id))
    answer_query(query=query, text=text, by=request.by)


def _copied(request: Request, record: Entry, act: str) -> None:
    """Answers from the last entry of this form: copy them, take them back, or stand by them."""
    if act == "copy":
        count = copy_last(entry=record, by=request.by)
        said = ngettext("%(count)d answer was copied.", "%(count)d answers were copied.", count)
    elif act == "undo":
        count = undo_copy(entry=record, by=request.by)
        said = ngettext(
            "%(count)d copied answer was taken back.",
            "%(count)d copied answers were taken back.",
            count,
        )
    else:
        section = act.removeprefix("confirm").removeprefix(".")
        count = confirm_copied(entry=record, section=section, by=request.by)
        said = ngettext(
            "%(count)d copied answer is confirmed.",
            "%(count)d copied answers are confirmed.",
            count,
        )
    messages.success(request, said % {"count": count})


def _mark_rest(request: Request, record: Entry, why: str) -> None:
    """Everything that is still open gets one reason, where its question allows it."""
    instrument = instrument_at(record)
    if why not in MISSING_LABELS:
        raise Refused(_("Please choose why there is no answer."))
    items = [
        code for code in unanswered(record, instrument) if why in instrument.item(code).missing
    ]
    save_entry(entry=record, changes={}, missing=dict.fromkeys(items, why), by=request.by)


def _next_form(request: Request, record: Entry) -> int:
    """The next form of the visit that is not complete, else this one."""
    forms = siblings(record)
    place = next((n for n, each in enumerate(forms) if each.pk == record.pk), -1)
    later = [each for each in forms[place + 1 :] if each.completed_at is None]
    return later[0].pk if later else record.pk
