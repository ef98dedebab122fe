"""The study itself: its sites with their approvals, and what a protocol version says."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from crf.definitions import definition_of
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
    visits = [
        (visit, [(form, definition.instrument(form.instrument)) for form in visit.forms])
        for visit in definition.protocol.visits
    ]
    context = {
        "version": version,
        "protocol": definition.protocol,
        "visits": visits,
        "instruments": definition.instruments.values(),
    }
    return render(request, "study/protocol.html", context)


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
