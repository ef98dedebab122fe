"""Acts of consequence: the end of the study, a withdrawal, a void, an arm, changed drivers."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import definition_of
from registry.display import visit_title
from registry.forms import Reason, posted, put
from registry.forms.participants import (
    AllocateForm,
    DriversForm,
    EndForm,
    ReasonForm,
    WithdrawForm,
)
from registry.models import Participant, Visit
from registry.services import Impact, change_drivers, impact, protocol_of
from registry.services import allocate as give_arm
from registry.services import end_study as record_end
from registry.services import void_participant as mark_void
from registry.services import withdraw as record_withdrawal
from registry.services.participants import person_of
from sites.access import Refused, Request, find


def asked(
    request: Request, person: Participant, form: forms.Form, *, title: str, submit: str, **more: Any
) -> HttpResponse:
    """A page that explains an act and asks for what it needs."""
    context = {"person": person, "form": form, "title": title, "submit": submit, **more}
    status = 422 if form.errors else 200
    return render(request, "participants/act.html", context, status=status)


def end_study(request: Request, pk: int) -> HttpResponse:
    """Completed, lost, withdrawn or died: nothing further is due."""
    person = find(request, Participant, pk=pk)
    reasons = protocol_of(person.version_id).end_of_study.reasons
    today = request.sites[person.site_id].today()
    form = EndForm(posted(request), reasons=reasons, today=today)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            record_end(
                participant=person,
                on=data["on"],
                end_reason=data["end_reason"],
                note=data["note"],
                by=request.by,
            )
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The end of the study is recorded."))
            return redirect("participant", request.study.code, person.pk)
    return asked(
        request,
        person,
        form,
        title=_("Record the end of the study"),
        submit=_("Record the end of the study"),
        intro=_("What was entered stays. Nothing further is due."),
        visits_title=_("These visits will no longer be expected:"),
        visits=_expected(person),
    )


def _expected(person: Participant) -> list[Visit]:
    visits = list(person.visits.open())
    for visit in visits:
        visit.participant = person
    return visits


def withdraw(request: Request, pk: int) -> HttpResponse:
    """What a participant no longer agrees to, from when, and who took the word."""
    person = find(request, Participant, pk=pk)
    taken = set(person.withdrawals.values_list("scope", flat=True))
    today = request.sites[person.site_id].today()
    form = WithdrawForm(posted(request), taken=taken, today=today)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            record_withdrawal(
                participant=person,
                scope=data["scope"],
                on=data["withdrawn_on"],
                taken_by=data["taken_by"],
                by=request.by,
            )
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(
                request, _("The withdrawal is recorded. Datasets obey it from now on.")
            )
            return redirect("participant", request.study.code, person.pk)
    return asked(
        request,
        person,
        form,
        title=_("Record a withdrawal"),
        submit=_("Record the withdrawal"),
        danger=True,
        intro=_(
            "“No more visits” and “no further use” take what is still expected off the schedule."
            " “No sharing” leaves the visits as they are. What was recorded is kept."
        ),
        visits_title=_("Expected at present:"),
        visits=_expected(person),
    )


def void_participant(request: Request, pk: int) -> HttpResponse:
    """A participant entered in error: kept, struck through, out of status, counts and exports."""
    person = find(request, Participant, pk=pk)
    form = ReasonForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            mark_void(participant=person, reason=form.cleaned_data["reason"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("Marked as entered in error. Nothing was deleted."))
            return redirect("participant", request.study.code, person.pk)
    return asked(
        request,
        person,
        form,
        title=_("Mark the participant as entered in error"),
        submit=_("Mark as entered in error"),
        danger=True,
        intro=_(
            "The participant stays readable, struck through, and leaves every count and dataset."
            " Their numbers are not given again; a place in the study becomes free. Not meant for"
            " somebody who withdraws."
        ),
    )


def allocate(request: Request, pk: int) -> HttpResponse:
    """The arm of an enrolled participant, in a study that has arms."""
    person = find(request, Participant, pk=pk)
    protocol = protocol_of(person.version_id)
    if not protocol.arms:
        raise Http404
    form = AllocateForm(posted(request), protocol=protocol)
    if request.method == "POST" and form.is_valid():
        try:
            give_arm(participant=person, arm=form.cleaned_data["arm"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The allocation is recorded."))
            return redirect("participant", request.study.code, person.pk)
    return asked(
        request,
        person,
        form,
        title=_("Allocate to an arm"),
        submit=_("Allocate"),
        intro=_("An allocation is made once and can't be changed."),
    )


def drivers(request: Request, pk: int) -> HttpResponse:
    """The values that decide what is due: first what a change would do, then, with a reason, it."""
    person = find(request, Participant, pk=pk)
    protocol, birth_date = protocol_of(person.version_id), person_of(person).birth_date
    data = posted(request)
    form = DriversForm(data, participant=person, protocol=protocol, birth_date=birth_date)
    found = None
    if data is not None and form.is_valid():
        form.fields["reason"] = Reason(label=_("Reason for the change"))
        confirmed = "confirm" in data
        found = impact(person, form.changes())
        if confirmed and _changed(request, person, form):
            return redirect("participant", request.study.code, person.pk)
    context = {"person": person, "form": form, "found": found and _shown(person, found)}
    status = 422 if form.errors else 200
    return render(request, "participants/drivers.html", context, status=status)


def _shown(person: Participant, found: Impact) -> dict[str, Any]:
    """An impact with what forms and criteria are called."""
    definition, language = definition_of(person.version_id), get_language() or "ko"
    protocol = definition.protocol

    def name(code: str) -> str:
        known = code in definition.instruments
        return definition.instrument(code).short.get(language) if known else code

    return {
        "due": [(visit_title(protocol, visit), name(code)) for visit, code in found.due],
        "no_longer_due": [
            (visit_title(protocol, visit), name(code), data)
            for visit, code, data in found.no_longer_due
        ],
        "ineligible": [protocol.criterion(code) for code in found.ineligible],
        "before_consent": [
            (visit_title(protocol, visit), visit.happened_on) for visit in found.before_consent
        ],
        "empty": found == Impact(),
    }


def _changed(request: Request, person: Participant, form: DriversForm) -> bool:
    reason = form["reason"].value() or ""
    try:
        reason = form.fields["reason"].clean(reason)
        change_drivers(participant=person, changes=form.changes(), reason=reason, by=request.by)
    except forms.ValidationError as error:
        form.add_error("reason", error)
        return False
    except Refused as refused:
        put(form, refused)
        return False
    messages.success(request, _("The change is recorded, and what is due was planned anew."))
    return True
