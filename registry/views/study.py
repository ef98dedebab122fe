"""The study itself: its sites with their approvals, and what a protocol version says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from crf.amendment import Difference, differences, flags
from crf.definitions import definition_of
from crf.instrument import Check, Definition, Instrument
from crf.spoken import Vocabulary, spoken, vocabulary
from registry.forms import put
from registry.forms.people import ApprovalForm
from registry.models import Counter, Participant, ProtocolVersion, SiteApproval
from registry.services import approve
from sites.access import Refused, Request, rows, show
from sites.models import AccessLog, User
from sites.roles import Permission


def study_sites(request: Request) -> HttpResponse:
    approvals: dict[int, list[SiteApproval]] = {pk: [] for pk in request.sites}
    for approval in rows(request, SiteApproval).select_related("version").order_by("approved_on"):
        approvals[approval.site_id].append(approval)
    enrolled = {
        counter.site_id: counter
        for counter in Counter.objects.filter(study=request.study, name="enrolled")
    }
    lines = [
        {
            "site": site,
            "approvals": approvals[pk],
            "enrolled": enrolled[pk],
            "may_approve": request.may(Permission.MANAGE_SITES, pk),
            "may_print": request.may(Permission.RELEASE, pk),
        }
        for pk, site in request.sites.items()
    ]
    versions = ProtocolVersion.objects.filter(study=request.study).defer("content")
    # The whole study's count is everybody's business: recruitment is competitive.
    context = {"lines": lines, "versions": versions, "total": enrolled[None]}
    return render(request, "study/sites.html", context)


def approve_version(request: Request, pk: int) -> HttpResponse:
    site = request.sites.get(pk)
    if site is None:
        raise Http404
    versions = ApprovalForm.open_versions(site)
    form = ApprovalForm(request.POST or None, versions=versions)
    if request.method == "POST" and form.is_valid():
        try:
            approve(site=site, by=request.by, **form.cleaned_data)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The approval is recorded."))
            return redirect("study_sites", request.study.code)
    return render(
        request, "study/approve.html", {"form": form, "site": site, "any": versions.exists()}
    )


def protocol(request: Request, number: int) -> HttpResponse:
    """What a published version says: visits, forms, eligibility, endpoints."""
    version = get_object_or_404(ProtocolVersion, study=request.study, number=number)
    definition = definition_of(version.pk)
    words = vocabulary(definition)
    screening = vocabulary(definition, definition.instrument(definition.protocol.screening))
    visits = [
        (
            visit,
            [
                (definition.instrument(form.instrument), Rule.of(form.when, words))
                for form in visit.forms
            ],
        )
        for visit in definition.protocol.visits
    ]
    context = {
        "version": version,
        "protocol": definition.protocol,
        "visits": visits,
        "criteria": [
            (each, Rule.of(each.met, screening)) for each in definition.protocol.eligibility
        ],
        "forms": [
            (form, _checks(form, definition))
            for form in definition.instruments.values()
            if form.checks
        ],
        **_amendment(request, version, definition),
    }
    return render(request, "study/protocol.html", context)


@dataclass(frozen=True)
class Rule:
    """An expression of the protocol: in words, where there are some, and as it is evaluated."""

    words: str
    code: str

    @classmethod
    def of(cls, source: str | None, words: Vocabulary) -> Rule | None:
        return cls(spoken(source, words), source) if source else None


def _checks(form: Instrument, definition: Definition) -> list[tuple[Check, Rule | None]]:
    words = vocabulary(definition, form)
    return [(check, Rule.of(check.ok, words)) for check in form.checks]


def _amendment(
    request: Request, version: ProtocolVersion, definition: Definition
) -> dict[str, Any]:
    """What this version changes of the one before, and at which sites it is in use."""
    before = ProtocolVersion.objects.filter(study=request.study, number__lt=version.number)
    last = before.defer("content").order_by("number").last()
    if last is None:
        return {"before": None}
    grouped: dict[str, list[Difference]] = {}
    for each in differences(definition_of(last.pk), definition):
        grouped.setdefault(each.place, []).append(each)
    approvals = rows(request, SiteApproval).filter(version=version)
    approved = {approval.site_id: approval for approval in approvals}
    return {
        "before": last,
        "differences": list(grouped.items()),
        "in_use": [(site, approved.get(pk)) for pk, site in request.sites.items()],
        "may_see_flags": request.may(Permission.SEE_DATA),
    }


def protocol_flags(request: Request, number: int) -> HttpResponse:
    """Which existing entries this version's checks would flag; nothing is written."""
    version = get_object_or_404(ProtocolVersion, study=request.study, number=number)
    found = list(flags(definition_of(version.pk), request.sites.values()))
    page = Paginator(found, 50).get_page(request.GET.get("page"))
    show(request, [flag.entry for flag in page.object_list])
    return render(request, "study/flags.html", {"version": version, "page_obj": page})


def access_log(request: Request) -> HttpResponse:
    """Whose data were seen, entered or downloaded, by whom, when and from where (K01)."""
    entries = rows(request, AccessLog).select_related("user", "site")
    user = request.GET.get("user", "")
    number = request.GET.get("number", "").strip()
    if user.isdigit():
        entries = entries.filter(user_id=int(user))
    if number:
        people = rows(request, Participant).filter(subject_number=number)
        entries = entries.filter(participant_id__in=list(people.values_list("pk", flat=True)))
    page = Paginator(entries, 50).get_page(request.GET.get("page"))
    # Administrators see who looked at whom by number alone; nothing clinical is read here.
    people = rows(request, Participant).filter(
        pk__in={entry.participant_id for entry in page.object_list}
    )
    numbers = {participant.pk: participant.number for participant in people}
    show(request, people)
    lines = [(entry, numbers.get(entry.participant_id, "")) for entry in page.object_list]
    users = User.objects.filter(memberships__study=request.study).distinct().order_by("name")
    context = {
        "page_obj": page,
        "lines": lines,
        "users": users,
        "user_filter": user,
        "number": number,
    }
    return render(request, "access/log.html", context)
