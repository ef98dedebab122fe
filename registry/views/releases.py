"""Datasets: what was made, asking for one, watching it being made, taking it out for a reason."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Count
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from crf.models import Lock
from exports.models import Release
from exports.release import KIND, artefact, download, participants_of, readable, request_release
from registry.forms import put
from registry.forms.data import DownloadForm, ReleaseForm
from registry.models import Job
from sites.access import Refused, Request, downloaded, rows, show

SHOWN = 50  # releases, and unfinished jobs, that the list shows


def releases(request: Request) -> HttpResponse:
    """What there is, what is being made, and the form that asks for another one."""
    locked = set(rows(request, Lock).filter(released_at=None).values_list("site_id", flat=True))
    form = ReleaseForm(request.POST or None, sites=request.sites, locked=locked)
    if request.method == "POST" and form.is_valid():
        wanted = {int(pk) for pk in form.cleaned_data["sites"]}
        try:
            made = request_release(
                study=request.study,
                sites=[site for pk, site in request.sites.items() if pk in wanted],
                reason=form.cleaned_data["reason"],
                by=request.by,
            )
        except Refused as refused:
            put(form, refused)
        else:
            return redirect("job", request.study.code, made.pk)
    found = readable(request.study, request.sites).select_related("requested_by")
    context = {
        "form": form,
        "all_locked": len(locked) == len(request.sites),
        "releases": [
            (each, _scope(request, each.site_ids))
            for each in found.annotate(taken=Count("downloads"))[:SHOWN]
        ],
        "jobs": _jobs(request).exclude(state=Job.State.DONE)[:SHOWN],
    }
    return render(request, "releases/releases.html", context)


def job(request: Request, pk: uuid.UUID) -> HttpResponse:
    """How far a dataset is; the page asks again by itself until it is finished."""
    found = _jobs(request).filter(pk=pk).first()
    if found is None:
        raise Http404
    made = Release.objects.filter(job=found).first()
    context = {
        "job": found,
        "release": made,
        "scope": _scope(request, found.params["sites"]),
        "going": found.state in (Job.State.QUEUED, Job.State.RUNNING),
    }
    template = "releases/_job.html" if request.htmx else "releases/job.html"  # type: ignore[attr-defined]
    return render(request, template, context)


def release(request: Request, number: int) -> HttpResponse:
    return _page(request, _release(request, number), DownloadForm())


def take(request: Request, number: int) -> HttpResponseBase:
    """Hand over the file, once it is written down who takes it and what for."""
    found = _release(request, number)
    form = DownloadForm(request.POST or None)
    if request.method != "POST":
        return redirect("release", request.study.code, number)
    if not form.is_valid():
        return _page(request, found, form, status=422)
    try:
        download(release=found, reason=form.cleaned_data["reason"], by=request.by)
    except Refused as refused:
        put(form, refused)
        return _page(request, found, form, status=422)
    show(request, participants_of(found).iterator())
    downloaded(request)
    file = artefact(found.sha256).open("rb")
    return FileResponse(file, as_attachment=True, filename=found.file_name)


def _release(request: Request, number: int) -> Release:
    """A dataset all of whose sites this person may have; any other does not exist here."""
    found = readable(request.study, request.sites).filter(number=number)
    one = found.select_related("requested_by", "job").first()
    if one is None:
        raise Http404
    return one


def _jobs(request: Request) -> Any:
    """Requests for datasets all of whose sites this person may have."""
    return Job.objects.filter(
        study=request.study, kind=KIND, params__sites__contained_by=sorted(request.sites)
    ).select_related("requested_by")


def _page(request: Request, found: Release, form: DownloadForm, status: int = 200) -> HttpResponse:
    same = readable(request.study, request.sites).filter(sha256=found.sha256).exclude(pk=found.pk)
    manifest = found.manifest
    context = {
        "release": found,
        "form": form,
        "scope": _scope(request, found.site_ids),
        "versions": ", ".join(each["label"] for each in manifest["protocol_versions"]),
        "files": manifest["files"],
        "participants": _rows(manifest, "participants.csv"),
        "withdrawn": _rows(manifest, "withdrawn.csv"),
        "open_sites": [site["code"] for site in manifest["sites"] if not site["locked_at"]],
        "same": list(same.order_by("number").values_list("number", flat=True)),
        "downloads": found.downloads.select_related("by"),
    }
    return render(request, "releases/release.html", context, status=status)


def _rows(manifest: dict[str, Any], name: str) -> int:
    return next((file["rows"] for file in manifest["files"] if file["name"] == name), 0)


def _scope(request: Request, sites: list[int]) -> str:
    """The sites of a dataset in words."""
    if set(sites) == set(request.sites) and len(sites) > 1:
        return _("all sites (%(number)d)") % {"number": len(sites)}
    return ", ".join(site.short for pk, site in request.sites.items() if pk in sites)
