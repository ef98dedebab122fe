"""The entry page: one form of one participant, saved answer by answer, or whole without scripts."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

from django.contrib import messages
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from django.http import HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf import codelists
from crf.definitions import definition_of
from crf.display import MISSING_LABELS, answer_text
from crf.forms import Form, Typed, conflict_shown, form_for, notes_of, scores_shown
from crf.history import last_change
from crf.instrument import CodeItem, Instrument
from crf.models import Entry, Query
from crf.services import (
    Incomplete,
    Saved,
    add_entry,
    answer_query,
    complete,
    preview_entry,
    save_entry,
    signature_state,
    verify,
    void_entry,
)
from crf.services.entries import unanswered
from crf.workflow import Act, Around, State, Status, refusal, state_of, status_of
from registry.forms import put
from registry.forms.entry import Sent, VoidForm, of_json, of_page
from registry.models import Participant
from registry.services import protocol_of, version_at
from registry.views.questions import notes_html, questions_html
from sites.access import Refused, Request, find
from sites.roles import Permission as P

FETCH = "fetch"  # X-Requested-With of the page's script
# What lies around an entry and decides how it is shown. Written out, since this page is opened all
# day and the ORM takes longer to word three subqueries than the database to answer them.
AROUND = {
    name: RawSQL(f"EXISTS (SELECT 1 FROM {condition})", [], BooleanField())  # noqa: S608, S611
    for name, condition in {
        "locked": "crf_lock l WHERE l.site_id = crf_entry.site_id AND l.released_at IS NULL",
        "verified": "crf_verification v WHERE v.entry_id = crf_entry.id"
        " AND v.digest = crf_entry.digest",
        "signed": "crf_signature s WHERE s.participant_id = crf_entry.participant_id",
    }.items()
}


def entry(request: Request, pk: int) -> HttpResponse:
    """Show a form; a POST is the whole page from a browser without scripts, or its last step."""
    record = _entry(request, pk)
    if request.method != "POST":
        if "signed_in" in request.GET:
            return render(request, "entries/signed_in.html", {})
        return _page(request, record)
    instrument = _instrument(record)
    sent = of_page(request.POST, instrument, record.site.today())
    try:
        saved = _save(request, record, sent) if _has_news(sent) else None
    except Refused as refused:
        return _page(request, record, sent.typed(errors=sent.errors), refused=str(refused))
    record = _entry(request, pk)
    if saved and (saved.errors or saved.conflicts or saved.needs_reason):
        return _page(request, record, _not_stored(record, sent, saved))
    if sent.errors:
        return _page(request, record, sent.typed(errors=sent.errors))
    return _then(request, record, request.POST.get("then", "save"), sent)


def _then(request: Request, record: Entry, step: str, sent: Sent) -> HttpResponse:
    """What follows a page that was stored: a confirmation, the rest as missing, completion."""
    query_id = request.POST.get("confirm", "")
    try:
        if query_id:
            _confirm(request, record, query_id, request.POST.get(f"confirm.{query_id}", ""))
        elif step == "rest":
            _mark_rest(request, record, request.POST.get("rest", ""))
        elif step == "complete":
            complete(entry=record, by=request.by)
            messages.success(request, _("The form is complete."))
            return redirect("entry", request.study.code, _next_form(request, record))
    except Incomplete as incomplete:
        asked = _("Please answer this question, or say why there is no answer.")
        return _page(request, record, Typed(errors=dict.fromkeys(incomplete.items, asked)))
    except Refused as refused:
        return _page(request, record, sent.typed(), refused=str(refused))
    messages.success(request, _("Everything is saved."))
    return redirect("entry", request.study.code, record.pk)


def entry_save(request: Request, pk: int) -> HttpResponse:
    """One save of the page's script, or with `preview` what it would show. JSON in, JSON out."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    record = _entry(request, pk)
    read = of_json(request.body)
    if read is None:
        return JsonResponse({"error": "unreadable", "detail": _("This can't be read.")}, status=400)
    sent, message = read
    confirmation = message.get("confirm") or {}
    if message.get("preview"):
        saved = preview_entry(entry=record, changes=sent.changes, missing=sent.missing)
        return JsonResponse(_answer(request, record, saved) | {"preview": True})
    try:
        if confirmation:
            _confirm(request, record, confirmation.get("query"), str(confirmation.get("text", "")))
        saved = _save(request, record, sent)
    except Refused as refused:
        answer = {"error": "refused", "detail": str(refused), "field": refused.field}
        return JsonResponse(answer, status=409)
    status = 409 if saved.conflicts else 200
    return JsonResponse(_answer(request, record, saved), status=status)


def entry_complete(request: Request, pk: int) -> HttpResponse:
    """Complete a form as it is stored."""
    record = _entry(request, pk)
    if request.method != "POST":
        return redirect("entry", request.study.code, record.pk)
    return _then(request, record, "complete", Sent())


def entry_void(request: Request, pk: int) -> HttpResponse:
    """A form entered in error, with its reason."""
    record = _entry(request, pk)
    form = VoidForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            void_entry(entry=record, reason=form.cleaned_data["reason"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The form is void. It is kept, struck through."))
            return redirect("entry", request.study.code, record.pk)
    context = {"entry": record, "title": _title(record), "form": form}
    return render(request, "entries/void.html", context)


def entry_verify(request: Request, pk: int) -> HttpResponse:
    """A monitor's mark that the form was compared with its source."""
    record = _entry(request, pk)
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
            made = add_entry(participant=participant, instrument=instrument, by=request.by)
        except Refused as error:
            refused = str(error)
        else:
            return redirect("entry", request.study.code, made.pk)
    context = {"participant": participant, "title": title, "refused": refused}
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


def _entry(request: Request, pk: int) -> Entry:
    """The entry with all that decides how it is shown, in one statement."""
    record = find(
        request, Entry.objects.select_related("participant", "visit").annotate(**AROUND), pk=pk
    )
    record.site = record.participant.site = request.sites[record.site_id]
    if record.visit:
        record.visit.participant = record.participant
    if state_of(record) is State.EXPECTED:
        version = version_at(record.site)
        if record.instrument in definition_of(version.pk).instruments:
            record.version = version
    return record


def _instrument(record: Entry) -> Instrument:
    return definition_of(record.version_id).instrument(record.instrument)


def _title(record: Entry) -> str:
    return _instrument(record).title.get(get_language() or "ko")


def _status(record: Any) -> Status:
    signature = None
    if record.signed:
        signature = signature_state([record.participant_id]).get(record.participant_id)
    around = Around(
        today=record.site.today(),
        locked=record.locked,
        verified=record.verified,
        signature=signature,
    )
    return status_of(record, record.visit, around)


def _why_closed(request: Request, record: Any) -> str:
    """Why nothing can be entered here now; empty when it can."""
    if not request.may(P.ENTER, record.site_id):
        return _("You can read this form. Answers are entered by the site.")
    act = Act.CORRECT if record.completed_at else Act.SAVE
    if sentence := refusal(act, record):
        return sentence
    if record.locked:
        return _("The data of this site are locked.")
    if record.participant.voided_at:
        return _("This participant was entered in error and is void.")
    if record.visit and record.visit.missed_at:
        return _("This visit is marked as missed. Record its date first.")
    if record.visit and not record.visit.happened_on:
        return _("Please record the visit date first.")
    return ""


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
        conflicts=_with_authors(record, saved.conflicts),
        needs_reason=saved.needs_reason,
    )


def _with_authors(record: Entry, conflicts: dict[str, Any]) -> dict[str, Any]:
    """The conflicts with who saved the other answer, and when."""
    named = {}
    for item, conflict in conflicts.items():
        who, at = last_change(record, item)
        moment = timezone.localtime(at).strftime("%H:%M:%S") if at else ""
        named[item] = {**conflict, "who": who, "at": moment}
    return named


def _confirm(request: Request, record: Entry, query_id: Any, text: str) -> None:
    """The site's word that a questioned value is right."""
    if not str(query_id).isdigit():
        raise Refused(_("There is no such query."))
    query = find(request, Query.objects.filter(entry=record), pk=int(query_id))
    answer_query(query=query, text=text, by=request.by)


def _mark_rest(request: Request, record: Entry, why: str) -> None:
    """Everything that is still open gets one reason, where its question allows it."""
    instrument = _instrument(record)
    if why not in MISSING_LABELS:
        raise Refused(_("Please choose why there is no answer."))
    items = [
        code for code in unanswered(record, instrument) if why in instrument.item(code).missing
    ]
    save_entry(entry=record, changes={}, missing=dict.fromkeys(items, why), by=request.by)


def _siblings(record: Entry) -> list[Entry]:
    """The forms of the same visit in the protocol's order."""
    if record.visit is None:
        return []
    order = [form.instrument for form in _forms_of(record)]
    found = (
        Entry.objects.filter(visit_id=record.visit_id, voided_at=None, cancelled_at=None)
        .only("instrument", "started_at", "completed_at", "voided_at", "cancelled_at")
        .order_by()
    )
    return sorted(
        found,
        key=lambda e: (
            order.index(e.instrument) if e.instrument in order else len(order),
            e.instrument,
        ),
    )


def _forms_of(record: Entry) -> Any:
    protocol = protocol_of(record.version_id)
    visit = record.visit
    planned = {each.code: each.forms for each in protocol.visits}
    return planned.get(visit.code if visit else "", protocol.unscheduled or ())


def _next_form(request: Request, record: Entry) -> int:
    """The next form of the visit that is not complete, else this one."""
    forms = _siblings(record)
    place = next((n for n, each in enumerate(forms) if each.pk == record.pk), -1)
    later = [each for each in forms[place + 1 :] if each.completed_at is None]
    return later[0].pk if later else record.pk


# Answers ----------------------------------------------------------------------------------------


def _page(
    request: Request, record: Entry, typed: Typed | None = None, refused: str = ""
) -> HttpResponse:
    lang = get_language() or "ko"
    form = form_for(record, lang, typed)
    closed = _why_closed(request, record)
    for each in form.fields:
        _link(request, each["notes"])
    errors = _summary(form, refused) if typed or refused else []
    forms = _siblings(record)
    titles = definition_of(record.version_id).instruments
    place = next((n for n, each in enumerate(forms) if each.pk == record.pk), 0)
    study = request.study.code
    context = {
        "entry": record,
        "participant": record.participant,
        "visit": record.visit,
        "icons": static("icons.svg"),
        "title": form.title,
        "version": definition_of(record.version_id).protocol.version,
        "questions": form,
        "status": _status(record),
        "closed": closed,
        "completed": state_of(record) is State.COMPLETE,
        "base": json.dumps(form.base, ensure_ascii=False),
        "op": uuid.uuid4(),
        "errors": errors,
        "has_errors": bool(errors),
        "may_confirm": not closed,
        "may_verify": request.may(P.VERIFY, record.site_id)
        and not refusal(Act.VERIFY, record)
        and not getattr(record, "verified", False),
        "may_ask": request.may(P.QUERY, record.site_id) and not refusal(Act.QUERY, record),
        "may_void": not closed and not refusal(Act.VOID, record),
        "history_url": reverse("entry_history", args=[study, record.pk]),
        "codes_url": reverse("codes", args=[study, "x"]).removesuffix("x/"),
        "siblings": [
            {
                "url": reverse("entry", args=[study, each.pk]),
                "label": titles[each.instrument].short.get(lang),
                "state": state_of(each).value,
                "current": each.pk == record.pk,
            }
            for each in forms
            if each.instrument in titles
        ],
        "previous": forms[place - 1] if place else None,
        "next": forms[place + 1] if place + 1 < len(forms) else None,
        "crumbs": [
            {"label": _("Participants"), "url": reverse("participants", args=[study])},
            {
                "label": record.participant.number,
                "url": reverse("participant", args=[study, record.participant_id]),
            },
            {"label": form.title, "url": ""},
        ],
    }
    if not closed:
        context["html"] = questions_html(
            form,
            version_id=record.version_id,
            lang=lang,
            around={
                "history_url": context["history_url"],
                "codes_url": context["codes_url"],
                "here": reverse("entry", args=[study, record.pk]),
                "digits": "" if request.COOKIES.get("digits") == "off" else " checked",
                "rest_hidden": " hidden" if context["completed"] else "",
                "quick": render_to_string("entries/_quick.html", {"quick": _quick(record)}),
            },
        )
    name = "entries/read.html" if closed else "entries/entry.html"
    return render(request, name, context, status=422 if errors else 200)


def _quick(record: Entry) -> list[dict[str, str]]:
    """Buttons beside every date: the site's today, yesterday, the day of the visit."""
    today = record.site.today()
    days = [(_("Today"), today), (_("Yesterday"), today - dt.timedelta(days=1))]
    if record.visit and record.visit.happened_on:
        days.append((_("Visit date"), record.visit.happened_on))
    return [{"label": label, "value": day.isoformat()} for label, day in days]


def _summary(form: Form, refused: str) -> list[dict[str, str]]:
    """The errors of a page in the order of the form, each with the way to its question."""
    errors = [{"href": "", "text": refused}] if refused else []
    for each in form.fields:
        text = each["error"] or (
            _("Somebody else changed this answer meanwhile.") if each["conflict"] else ""
        )
        if text:
            errors.append({"href": f"#f-{each['code']}", "text": f"{each['label']}: {text}"})
    return errors


def _link(request: Request, notes: list[dict[str, Any]]) -> None:
    for note in notes:
        if note["query"]:
            note["url"] = reverse("query", args=[request.study.code, note["query"]])


def _answer(request: Request, record: Entry, saved: Saved) -> dict[str, Any]:
    """What the page's script needs: the save, and what to show, in the reader's language."""
    lang = get_language() or "ko"
    instrument = _instrument(record)
    notes = notes_of(
        instrument,
        [check["code"] for check in saved.checks],
        [item for item in saved.answers if item not in saved.shown],
        saved.queries,
        lang,
    )
    typed = Typed(errors=saved.errors, conflicts=_with_authors(record, saved.conflicts))
    shown = {}
    for item in {*notes, *saved.errors, *saved.conflicts} - {""}:
        if not instrument.has(item):
            continue
        _link(request, notes.get(item, []))
        beside = _beside(instrument, item, typed, notes.get(item, []))
        shown[item] = notes_html(beside, may_confirm=True)
    scores = scores_shown(instrument, saved.scores, saved.answers, lang)
    return saved.as_dict() | {
        "notes": shown,
        "scores_html": render_to_string("entries/_scores.html", {"scores": scores}),
        "coded": {
            item.code: answer_text(item, saved.answers[item.code])
            .removeprefix(str(saved.answers[item.code]))
            .strip()
            for item in instrument.items
            if isinstance(item, CodeItem) and item.code in saved.answers
        },
        "time": timezone.localtime().strftime("%H:%M:%S"),
    }


def _beside(
    instrument: Instrument, item: str, typed: Typed, notes: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "code": item,
        "error": typed.errors.get(item, ""),
        "conflict": conflict_shown(instrument.item(item), typed.conflicts.get(item)),
        "notes": notes,
    }
