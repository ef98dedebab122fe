"""Adverse events: the report and its changes, the event itself, and what others say about it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Max
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from crf.services import ask_query
from registry.forms import put
from registry.forms.safety import (
    AskForm,
    EventForm,
    ReviewForm,
    VoidForm,
    found_term,
    grade_choices,
    initial_of,
)
from registry.models import Participant, ProtocolVersion
from registry.services import protocol_of, version_at
from registry.views.eventpage import event_items, fresh, page_of, remarks
from registry.views.queue import back_to_queue, row_of
from safety import causality, ctcae
from safety.display import differences, language
from safety.history import changes_of
from safety.models import AdverseEvent
from safety.services import (
    Changed,
    change_event,
    report_event,
    review_event,
    suggestion,
    void_event,
)
from sites.access import Refused, Request, find

FOUND = 12  # terms that one search offers
WORKING = "do"  # the name of the buttons that look something up without saving


def event_new(request: Request, pk: int) -> HttpResponse:
    """Report an event of a participant."""
    participant = find(request, Participant.objects.select_related("site"), pk=pk)
    if participant.voided_at:
        raise Refused(_("This participant was entered in error and is void."))
    safety = protocol_of(version_at(participant.site)).safety
    told: dict[str, Any] = {"site": participant.site, "version": safety.ctcae}
    if "suggest" in request.GET:
        return _suggested(request, request.GET, safety)
    if request.method != "POST":
        form = EventForm(initial={"op": uuid.uuid4()}, **told)
        return _form_page(request, form, participant, safety)
    if WORKING in request.POST:
        return _form_page(request, EventForm.unjudged(request.POST, **told), participant, safety)
    form = EventForm(request.POST, **told)
    if form.is_valid():
        try:
            event = report_event(
                participant=participant,
                facts=form.facts(),
                op=form.cleaned_data["op"],
                by=request.by,
            )
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(
                request, _("Adverse event %(number)d is recorded.") % {"number": event.number}
            )
            for sentence in remarks(event):
                messages.warning(request, sentence)
            return redirect("event", request.study.code, event.pk)
    return _form_page(request, form, participant, safety, status=422)


def event_edit(request: Request, pk: int) -> HttpResponse:
    """Change what was reported, for a reason; told of what somebody else changed meanwhile."""
    event = find(request, AdverseEvent.objects.select_related("participant", "site"), pk=pk)
    safety = protocol_of(version_at(event.site)).safety
    told: dict[str, Any] = {
        "site": event.site,
        "version": event.term_version or safety.ctcae,
        "event": event,
    }
    if event.voided_at:
        raise Refused(_("This adverse event was entered in error and is void."))
    if "suggest" in request.GET:
        return _suggested(request, request.GET, safety)
    if request.method != "POST":
        form = EventForm(initial=initial_of(event), **told)
        return _form_page(request, form, event.participant, safety)
    if WORKING in request.POST:
        form = EventForm.unjudged(request.POST, **told)
        return _form_page(request, form, event.participant, safety)
    form, status, theirs = EventForm(request.POST, **told), 422, []
    if form.is_valid():
        try:
            event = change_event(
                event=event,
                facts=form.facts(),
                reason=form.cleaned_data["reason"],
                seen=form.cleaned_data["seen"],
                by=request.by,
            )
        except Changed as changed:
            # What was typed stays; saving once more replaces what the other person wrote.
            put(form, changed)
            status, theirs = 409, _theirs(form.cleaned_data["seen"], changed.event)
            form.data = request.POST.copy()
            form.data["seen"] = changed.event.digest
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The change is recorded."))
            for sentence in remarks(event):
                messages.warning(request, sentence)
            return redirect("event", request.study.code, event.pk)
    return _form_page(request, form, event.participant, safety, status=status, theirs=theirs)


def _theirs(seen: str, event: AdverseEvent) -> list[Any]:
    """What somebody else changed since the state that was on the screen."""
    before = AdverseEvent.history.filter(id=event.pk, digest=seen).order_by("-history_id").first()
    return differences(before, event) if before else []


def _form_page(
    request: Request,
    form: EventForm,
    participant: Participant,
    safety: Any,
    *,
    status: int = 200,
    theirs: Any = (),
) -> HttpResponse:
    searched = request.POST.get("q", "") if request.POST.get(WORKING) == "find" else ""
    context = {
        "form": form,
        "event": form.event,
        "participant": participant,
        "theirs": theirs,
        "q": searched,
        "version": form.version,
        "terms": ctcae.search(form.version, searched, FOUND) if searched else (),
        "suggestion": _suggestion(form.umc_answers, safety),
        "umc_open": any(form.umc_answers.values()) or request.POST.get(WORKING) == "suggest",
    }
    return render(request, "events/edit.html", context, status=status)


def _suggested(request: Request, given: Any, safety: Any) -> HttpResponse:
    answers = {q.name: given.get(f"umc_{q.name}", "") for q in causality.QUESTIONS}
    return render(request, "events/_suggestion.html", {"suggestion": _suggestion(answers, safety)})


def _suggestion(answers: dict[str, str], safety: Any) -> dict[str, Any] | None:
    """The suggested category with what to look at again; None until all six are answered."""
    try:
        category = suggestion(answers, safety)
    except ValueError:
        category = None
    if category is None:
        return None
    single = safety.causality.single_dose
    flags = causality.suggest(**answers, single_dose=single).flags
    label = next(code.label for code in causality.CATEGORIES if code.code == category)
    return {
        "label": label[language()],
        "flags": [causality.FLAG_LABELS[flag][language()] for flag in flags],
    }


def terms(request: Request) -> HttpResponse:
    """CTCAE terms by English or Korean name: a list for a page, a fragment, or JSON.

    With `term` it gives the grades that exist for that one.
    """
    version = request.GET.get("version", "")
    if version not in ctcae.VERSIONS:
        newest = ProtocolVersion.objects.filter(study=request.study).aggregate(pk=Max("pk"))
        version = protocol_of(newest["pk"]).safety.ctcae
    wanted, chosen = request.GET.get("q", ""), request.GET.get("term")
    if chosen is not None:
        offered = {"choices": grade_choices(version, chosen), "term": found_term(version, chosen)}
        return render(request, "events/_grades.html", offered)
    found = ctcae.search(version, wanted, FOUND)
    if "application/json" in request.headers.get("Accept", ""):
        listed = [
            {"code": t.code, "name": t.name, "ko": t.ko, "soc": t.soc, "grades": t.grades}
            for t in found
        ]
        return JsonResponse({"version": version, "terms": listed})
    context = {"terms": found, "q": wanted, "version": version, "searched": bool(wanted)}
    name = "events/_terms.html" if request.htmx else "events/terms.html"  # type: ignore[attr-defined]
    return render(request, name, context)


def event(request: Request, pk: int) -> HttpResponse:
    """The event as reported, where it stands, and what to do about it."""
    return page_of(request, fresh(request, pk))


def event_void(request: Request, pk: int) -> HttpResponse:
    """An event entered in error."""
    found = find(request, AdverseEvent.objects.select_related("participant", "site"), pk=pk)
    form = VoidForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            void_event(event=found, reason=form.cleaned_data["reason"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The event is void. It is kept, struck through."))
            return redirect("event", request.study.code, found.pk)
    context = {"form": form, "event": found, "participant": found.participant}
    return render(request, "events/void.html", context, status=422 if form.is_bound else 200)


def event_review(request: Request, pk: int) -> HttpResponse:
    """One decision about one event; in the queue's pane, or back to the queue."""
    found = fresh(request, pk)
    if request.method != "POST":
        return redirect("event", request.study.code, pk)
    form = ReviewForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        try:
            review_event(
                event=found,
                decision=given["decision"],
                note=given["note"],
                seen=given["seen"],
                seen_review=given["review"],
                by=request.by,
            )
        except Refused as refused:
            if refused.field is None:
                # Somebody else was quicker: the page shows what is there now, with the sentence.
                now = fresh(request, pk)
                return page_of(request, now, sentence=str(refused), status=409)
            put(form, refused)
        else:
            if request.htmx:  # type: ignore[attr-defined]
                now = fresh(request, pk)
                return render(request, "events/_decided.html", row_of(request, now))
            messages.success(request, _("Your decision is recorded."))
            return redirect(back_to_queue(request, pk))
    return page_of(request, found, review=form, status=422)


def event_ask(request: Request, pk: int) -> HttpResponse:
    """A question to the site about an event."""
    found = fresh(request, pk)
    if request.method != "POST":
        return redirect("event", request.study.code, pk)
    form = AskForm(request.POST, items=event_items())
    if form.is_valid():
        given = form.cleaned_data
        try:
            ask_query(adverse_event=found, item=given["item"], text=given["text"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            if request.htmx:  # type: ignore[attr-defined]
                return page_of(request, fresh(request, pk), asked=True)
            messages.success(request, _("The site was asked."))
            return redirect(request.path.removesuffix("ask/") + "#queries")
    return page_of(request, found, ask=form, status=422)


def event_history(request: Request, pk: int) -> HttpResponse:
    """Who did what about an event, field by field, newest first."""
    found = find(request, AdverseEvent.objects.select_related("participant", "site"), pk=pk)
    context = {"event": found, "participant": found.participant, "changes": changes_of(found)}
    return render(request, "events/history.html", context)
