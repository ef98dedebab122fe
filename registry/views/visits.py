"""Visits: held on a day, missed for a reason, added, or entered in error."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import prefetch_related_objects
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from crf.services import is_locked, signature_state
from crf.workflow import Around
from registry.display import visit_title
from registry.forms import posted, put
from registry.forms.participants import ReasonForm
from registry.forms.visits import MissedForm, NewVisitForm, VisitForm
from registry.models import Participant, Visit
from registry.services import add_visit, mark_missed, protocol_of, record_visit
from registry.services import void_visit as mark_void
from registry.views.grids import form_title, tally_of, visit_forms, words
from registry.views.handovers import handovers_of, may_hand_over, to_review
from registry.views.leaving import asked
from registry.views.participants import entries_of
from registry.work import visit_status
from sites.access import Refused, Request, find
from sites.roles import Permission


def _find(request: Request, pk: int) -> Visit:
    visit = find(request, Visit.objects.select_related("participant"), pk=pk)
    visit.participant.site = request.sites[visit.site_id]
    return visit


def _title(visit: Visit) -> str:
    return visit_title(protocol_of(visit.participant.version_id), visit)


def visit(request: Request, pk: int) -> HttpResponse:
    """When a visit was held, and its forms; recording or correcting its day."""
    found = _find(request, pk)
    person, today = found.participant, found.participant.site.today()
    form = VisitForm(posted(request), visit=found, today=today)
    if request.method == "POST" and form.is_valid() and _record(request, found, form):
        return redirect("visit", request.study.code, found.pk)
    fits = signature_state([person.pk]).get(person.pk)
    around = Around(today, is_locked(person.site), signature=fits)
    prefetch_related_objects([found], "handovers__created_by")
    entries = entries_of(person, [found])
    mine = tally_of(entries, found)
    status = str(visit_status(found, today, mine, around))
    open_for_acts = not (around.locked or found.voided_at or found.cancelled_at)
    context: dict[str, Any] = {
        "visit": found,
        "person": person,
        "title": _title(found),
        "form": form,
        "forms": visit_forms(request, found, entries, around),
        "around": around,
        "status": status,
        "word": words()[status],
        "may_record": open_for_acts
        and not person.voided_at
        and request.may(Permission.ENTER, found.site_id),
        "handovers": handovers_of(found),
        "to_review": [form_title(each) for each in to_review(found, entries)],
        "may_hand_over": open_for_acts and may_hand_over(request, found),
    }
    return render(request, "visits/visit.html", context, status=422 if form.errors else 200)


def _record(request: Request, found: Visit, form: VisitForm) -> bool:
    data, first = form.cleaned_data, found.happened_on is None
    try:
        record_visit(
            visit=found,
            on=data["happened_on"],
            out_of_window_reason=data.get("out_of_window_reason", ""),
            reason=data.get("reason", ""),
            by=request.by,
        )
    except Refused as refused:
        put(form, refused)
        return False
    messages.success(
        request, _("The visit date is recorded.") if first else _("The visit date is corrected.")
    )
    return True


def visit_missed(request: Request, pk: int) -> HttpResponse:
    """A planned visit did not take place, and why."""
    found = _find(request, pk)
    form = MissedForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            mark_missed(visit=found, reason=form.cleaned_data["missed_reason"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The visit is marked as missed."))
            return redirect("participant", request.study.code, found.participant_id)
    return asked(
        request,
        found.participant,
        form,
        visit=found,
        title=_("%(visit)s did not take place") % {"visit": _title(found)},
        submit=_("Mark as missed"),
        intro=_("Its forms are no longer due. If it takes place after all, record its date."),
    )


def visit_void(request: Request, pk: int) -> HttpResponse:
    """A visit entered in error: kept, struck through, with its forms; a planned one is due anew."""
    found = _find(request, pk)
    form = ReasonForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            mark_void(visit=found, reason=form.cleaned_data["reason"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("Marked as entered in error. Nothing was deleted."))
            return redirect("participant", request.study.code, found.participant_id)
    return asked(
        request,
        found.participant,
        form,
        visit=found,
        title=_("Mark %(visit)s as entered in error") % {"visit": _title(found)},
        submit=_("Mark as entered in error"),
        danger=True,
        intro=_(
            "The visit stays readable, struck through with its forms, and leaves every count and"
            " dataset. A planned visit is then expected anew, with empty forms."
        ),
    )


def visit_new(request: Request, pk: int) -> HttpResponse:
    """An unscheduled visit, with the forms that the protocol asks for at such visits."""
    person = find(request, Participant, pk=pk)
    form = NewVisitForm(posted(request), today=request.sites[person.site_id].today())
    if request.method == "POST" and form.is_valid():
        try:
            made = add_visit(participant=person, on=form.cleaned_data["happened_on"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The visit is added."))
            return redirect("visit", request.study.code, made.pk)
    return asked(
        request, person, form, title=_("Add an unscheduled visit"), submit=_("Add the visit")
    )
