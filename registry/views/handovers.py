"""What coordinators hand over to participants, and whether these want to be reminded."""

from __future__ import annotations

import io
from typing import Any

import segno
from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from crf.asked import answerable
from crf.definitions import instrument_of
from crf.models import Entry, Handover, Reminder
from crf.services import handovers
from crf.workflow import State, state_of
from registry.display import visit_title
from registry.forms import posted, put
from registry.forms.handovers import HandoverForm, RemindersForm
from registry.models import Identity, Participant, Visit
from registry.services import protocol_of
from registry.services.reminders import agree_to_reminders, mail_address, stop_reminders
from registry.views.patient import start_session
from sites.access import Refused, Request, find, rows
from sites.roles import Permission

# What has become of a hand-over, in words, and the tone of its chip.
STATES: dict[str, tuple[Any, str]] = {
    "waiting": (gettext_lazy("not opened yet"), "info"),
    "begun": (gettext_lazy("being answered"), "warn"),
    "submitted": (gettext_lazy("answered"), "ok"),
    "revoked": (gettext_lazy("taken back"), "calm"),
    "expired": (gettext_lazy("expired"), "calm"),
    "blocked": (gettext_lazy("closed after wrong birth dates"), "late"),
}


def handovers_of(visit: Visit) -> list[dict[str, Any]]:
    """What was handed over at a visit, the newest first, for the visit's page."""
    return [
        {
            "handover": each,
            "word": STATES[each.state][0],
            "tone": STATES[each.state][1],
            "open": each.state in ("waiting", "begun", "blocked"),
        }
        for each in visit.handovers.all()
    ]


def to_review(visit: Visit, entries: list[Entry]) -> list[Entry]:
    """Forms of the visit, among all entries of its participant, that the participant has sent and
    the site has not completed.
    """
    sent: set[str] = set()
    for each in visit.handovers.all():
        sent |= set(each.instruments) if each.submitted_at else set()
    return [
        entry
        for entry in entries
        if entry.visit_id == visit.pk
        and entry.instrument in sent
        and state_of(entry) is State.STARTED
    ]


def may_hand_over(request: Request, visit: Visit) -> bool:
    """Whether this person could hand something of this visit over now."""
    may = request.may(Permission.ENTER, visit.site_id)
    return may and not handovers.why_not(visit) and bool(answerable(visit))


def handover_choose(request: Request, pk: int) -> HttpResponse:
    """From a participant: to the visit of which something can be answered now."""
    person = find(request, Participant, pk=pk)
    person.site = request.sites[person.site_id]
    visits = handovers.due_for(person)
    if len(visits) == 1:
        return redirect("handover", request.study.code, visits[0].pk)
    protocol = protocol_of(person.version_id)
    listed = [(each, visit_title(protocol, each)) for each in visits]
    return render(request, "handovers/choose.html", {"person": person, "visits": listed})


def handover(request: Request, pk: int) -> HttpResponse:
    """Choose the forms of a visit, and how the participant gets them."""
    visit = find(request, Visit.objects.select_related("participant"), pk=pk)
    visit.participant.site = request.sites[visit.site_id]
    entries, why = answerable(visit), handovers.why_not(visit)
    lang = get_language() or "ko"
    titles = [(each.instrument, instrument_of(each).title.get(lang)) for each in entries]
    form = HandoverForm(posted(request), forms_due=titles)
    if request.method == "POST" and form.is_valid():
        try:
            return _hand_over(request, visit, form.cleaned_data["instruments"])
        except Refused as refused:
            put(form, refused)
    context = {
        "form": form,
        "person": visit.participant,
        "visit": visit,
        "why": why,
        "titles": titles,
        "link_until": handovers.link_until(visit),
    }
    return render(request, "handovers/new.html", context, status=422 if form.errors else 200)


def _hand_over(request: Request, visit: Visit, instruments: list[str]) -> HttpResponse:
    how = request.POST.get("how", "")
    way = Handover.Way.LINK if how == "link" else Handover.Way.TABLET
    made, secret = handovers.hand_over(visit=visit, instruments=instruments, way=way, by=request.by)
    if how == "device":
        handovers.begin(handover=made, by=handovers.participant_of(made))
        start_session(request, made, back=reverse("visit", args=[request.study.code, visit.pk]))
        return redirect("patient_start")
    context: dict[str, Any] = {"person": visit.participant, "visit": visit, "made": made}
    if way == Handover.Way.LINK:
        url = link_url(secret)
        context |= {"url": url, "qr": qr_of(url)}
    else:
        context["code"] = f"{secret[:4]} {secret[4:]}"
        context["door"] = f"{settings.SITE_URL}{reverse('patient_code')}".split("://")[1]
    return render(request, "handovers/made.html", context)


def link_url(token: str) -> str:
    """The address of a personal link, as the participant gets it."""
    return f"{settings.SITE_URL}{reverse('patient_link', args=[token])}"


def qr_of(url: str) -> SafeString:
    """A QR code as SVG without styles and scripts, which our CSP would refuse; made of squares
    alone, so nothing of `url` is in it as text.
    """
    out = io.BytesIO()
    drawn = segno.make(url, error="m", micro=False)
    drawn.save(
        out, kind="svg", xmldecl=False, svgns=False, omitsize=True, dark="#000", light="#fff"
    )
    return SafeString(out.getvalue().decode())


def handover_revoke(request: Request, pk: int) -> HttpResponse:
    """Take back what was handed over; a link or code is worth nothing from then on."""
    found = find(request, Handover, pk=pk)
    if request.method == "POST":
        handovers.revoke(handover=found, by=request.by)
        messages.success(request, _("Taken back. What was answered until now is kept."))
    return redirect("visit", request.study.code, found.visit_id)


def reminders(request: Request, pk: int) -> HttpResponse:
    """The address for reminders, whether the participant agreed, and what was sent."""
    person = find(request, Participant, pk=pk)
    person.site = request.sites[person.site_id]
    kept = Identity.objects.get(participant=person)
    form = RemindersForm(posted(request), kept=kept, today=person.site.today())
    if request.method == "POST":
        if "stop" in request.POST:
            stop_reminders(participant=person, by=request.by)
            messages.success(request, _("No more reminders are sent."))
            return redirect("reminders", request.study.code, person.pk)
        if form.is_valid() and _agree(request, person, form):
            messages.success(request, _("The agreement to reminders is recorded."))
            return redirect("reminders", request.study.code, person.pk)
    protocol = protocol_of(person.version_id)
    sent = rows(request, Reminder).filter(participant=person).select_related("visit")
    context = {
        "person": person,
        "form": form,
        "kept": kept,
        "address": mail_address(kept),
        "sent": [
            (each, visit_title(protocol, each.visit)) for each in sent.order_by("-claimed_at")
        ],
    }
    return render(request, "handovers/reminders.html", context, status=422 if form.errors else 200)


def _agree(request: Request, person: Participant, form: forms.Form) -> bool:
    data = form.cleaned_data
    try:
        agree_to_reminders(
            participant=person,
            email=data["email"],
            language=data["language"],
            on=data["agreed_on"],
            by=request.by,
        )
    except Refused as refused:
        put(form, refused)
        return False
    return True
