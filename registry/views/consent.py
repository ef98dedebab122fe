"""Consent: who was asked, who agreed to what, in which version; nothing is recorded before it."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from crf.services import add_entry
from registry import identity
from registry.forms import posted, put
from registry.forms.participants import ConsentForm, NewParticipantForm, PrescreenForm, ReasonForm
from registry.models import Consent, Identity, Participant, Prescreen
from registry.services import (
    add_consent,
    consent,
    protocol_of,
    version_at,
    void_consent,
)
from registry.services import prescreen as count_prescreen
from registry.views.steps import consents_shown
from sites.access import Refused, Request, find, rows
from sites.models import Site
from sites.roles import Permission


def site_of(request: Request) -> Site:
    """The site of a new record: the only one, or the one that the page was asked for."""
    asked = request.POST.get("site") or request.GET.get("site")
    for site in request.sites.values():
        if asked is None or asked == site.code:
            return site
    raise Http404


def participant_new(request: Request) -> HttpResponse:
    """The signed consent forms and who signed them; this makes the screening number."""
    site = site_of(request)
    protocol = protocol_of(version_at(site))
    form = NewParticipantForm(posted(request), protocol=protocol, site=site)
    if request.method == "POST" and form.is_valid() and not _known_here(request, form, site):
        try:
            made = consent(site=site, person=form.person(), consents=form.consents(), by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            add_entry(participant=made.participant, instrument=protocol.screening, by=request.by)
            _say_new(request, made.participant, seen_before=made.seen_before)
            return redirect("participant", request.study.code, made.participant.pk)
    context = {"form": form, "site": site, "sites": list(request.sites.values())}
    status = 422 if form.errors else 200
    return render(request, "participants/participant_new.html", context, status=status)


def _known_here(request: Request, form: NewParticipantForm, site: Site) -> bool:
    """A chart number that this hospital has already; confirmed, the person is screened again."""
    digest = identity.chart_digest(site.pk, form.cleaned_data["chart_number"])
    known = (
        rows(request, Identity)
        .filter(site_id=site.pk, chart_digest=digest, participant__voided_at=None)
        .select_related("participant")
        .first()
    )
    if known is None or form.cleaned_data["again"]:
        return False
    form.ask_again = True
    sentence = _("This chart number belongs to %(number)s already.")
    form.add_error("chart_number", sentence % {"number": known.participant.number})
    return True


def _say_new(request: Request, person: Participant, *, seen_before: bool) -> None:
    number = {"number": person.screening_number}
    messages.success(
        request, _("Consent is recorded. The screening number is %(number)s.") % number
    )
    if seen_before:
        messages.warning(
            request,
            _(
                "This person may already be in the study, here or at another hospital. Please ask"
                " them; if it is so, mark %(number)s as entered in error."
            )
            % number,
        )


def prescreen(request: Request) -> HttpResponse:
    """Somebody who was approached and did not consent: a day and a reason, nothing else."""
    site = site_of(request)
    reasons, today = protocol_of(version_at(site)).prescreen_reasons, site.today()
    form = PrescreenForm(posted(request), reasons=reasons, today=today)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            count_prescreen(site=site, on=data["on"], reason=data["reason"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("Counted. No personal data were kept."))
            return redirect("screening_log", request.study.code)
    counts = rows(request, Prescreen).filter(site=site).values("reason").annotate(n=Count("pk"))
    context = {
        "form": form,
        "site": site,
        "sites": list(request.sites.values()),
        "total": sum(each["n"] for each in counts),
    }
    status = 422 if form.errors else 200
    return render(request, "participants/prescreen.html", context, status=status)


def consents(request: Request, pk: int) -> HttpResponse:
    """Every consent of a participant, also void ones; a further one, and the void of one."""
    person = find(request, Participant, pk=pk)
    person.site = request.sites.get(person.site_id, person.site)
    version, today = version_at(person.site), person.site.today()
    protocol = protocol_of(version)
    data = posted(request)
    voiding = data is not None and "void" in data
    form = ConsentForm(None if voiding else data, protocol=protocol, today=today)
    reason = ReasonForm(data if voiding else None)
    if data is not None:
        done = _void(request, person, reason) if voiding else _add(request, person, form)
        if done:
            return redirect("consents", request.study.code, person.pk)
    labels = {definition.kind: definition.label for definition in protocol.consents}
    context = {
        "person": person,
        "form": form,
        "reason": reason,
        "voiding": request.POST.get("void"),
        "records": [(each, labels.get(each.kind)) for each in person.consents.all()],
        "waiting": [each for each in consents_shown(person, version) if each.renew],
        "withdrawals": list(person.withdrawals.order_by("withdrawn_on", "pk")),
        "may_enter": request.may(Permission.ENTER, person.site_id) and not person.voided_at,
    }
    status = 422 if form.errors or reason.errors else 200
    return render(request, "participants/consents.html", context, status=status)


def _add(request: Request, person: Participant, form: ConsentForm) -> bool:
    if not form.is_valid():
        return False
    given = form.consent_given()
    try:
        add_consent(participant=person, given=given, by=request.by)
    except Refused as refused:
        field = (refused.field or "").removeprefix(f"{given.kind}_")
        field = "consent" if field == "form_version" else field
        put(form, Refused(str(refused), field))
        return False
    messages.success(request, _("The consent is recorded."))
    return True


def _void(request: Request, person: Participant, form: ReasonForm) -> bool:
    record = find(request, Consent, participant=person, pk=_key(request.POST["void"]))
    if not form.is_valid():
        return False
    try:
        void_consent(consent=record, reason=form.cleaned_data["reason"], by=request.by)
    except Refused as refused:
        put(form, refused)
        return False
    messages.success(request, _("The consent is marked as entered in error."))
    return True


def _key(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise Http404
    return int(text)
