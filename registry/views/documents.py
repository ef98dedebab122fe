"""Paper: asking for a casebook or for blank forms, watching it being printed, taking the file."""

from __future__ import annotations

import uuid

from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from exports.documents.making import (
    NEEDS,
    opened,
    request_blank,
    request_casebook,
    request_casebooks,
    requests_of,
)
from exports.models import Document
from registry.forms import put
from registry.forms.data import BlankForm, CasebookForm
from registry.models import Job, Participant, ProtocolVersion
from sites.access import Refused, Request, downloaded, find, rows, show
from sites.models import Site

SHOWN = 20


def casebook(request: Request, pk: int) -> HttpResponse:
    """Ask for the casebook of a participant, in a language and for a reason."""
    person = find(request, Participant, pk=pk)
    person.site = request.sites[person.site_id]
    form = CasebookForm(request.POST or None, language=request.user.language)
    if request.method == "POST" and form.is_valid():
        try:
            job = request_casebook(participant=person, by=request.by, **form.cleaned_data)
        except Refused as refused:
            put(form, refused)
        else:
            return redirect("document", request.study.code, job.pk)
    mine = _jobs(request).filter(kind=Document.Kind.CASEBOOK, params__participant=pk)
    context = {"form": form, "person": person, "jobs": mine[:SHOWN]}
    return render(request, "documents/casebook.html", context)


def site_casebooks(request: Request, pk: int) -> HttpResponse:
    """Ask for the casebooks of everybody at a site."""
    site = _site(request, pk)
    form = CasebookForm(request.POST or None, language=request.user.language)
    if request.method == "POST" and form.is_valid():
        try:
            job = request_casebooks(site=site, by=request.by, **form.cleaned_data)
        except Refused as refused:
            put(form, refused)
        else:
            return redirect("document", request.study.code, job.pk)
    mine = _jobs(request).filter(kind=Document.Kind.CASEBOOKS, params__sites=[pk])
    context = {"form": form, "site": site, "jobs": mine[:SHOWN]}
    return render(request, "documents/casebook.html", context)


def blank_forms(request: Request) -> HttpResponse:
    """The blank forms of the newest version: those that are there, and asking for others."""
    versions = ProtocolVersion.objects.filter(study=request.study).defer("content")
    version = versions.select_related("study").latest("number")
    form = BlankForm(request.POST or None, language=request.user.language)
    if request.method == "POST" and form.is_valid():
        try:
            job = request_blank(version=version, by=request.by, **form.cleaned_data)
        except Refused as refused:
            put(form, refused)
        else:
            return redirect("document", request.study.code, job.pk)
    found = _jobs(request).filter(kind=Document.Kind.BLANK)
    ready = {
        job.document.language: job
        for job in reversed(found.filter(document__version=version)[:SHOWN])
    }
    context = {
        "form": form,
        "version": version,
        "ready": list(ready.values()),
        "jobs": found.exclude(state=Job.State.DONE)[:SHOWN],
    }
    return render(request, "documents/blank.html", context)


def document(request: Request, pk: uuid.UUID) -> HttpResponse:
    """How far a document is; the page asks again by itself until it is finished."""
    job = _job(request, pk)
    made = getattr(job, "document", None)
    context = {
        "job": job,
        "document": made,
        "title": Document.Kind(job.kind).label,
        "about": _about(request, job),
        "going": job.state in (Job.State.QUEUED, Job.State.RUNNING),
    }
    part = request.htmx  # type: ignore[attr-defined]
    return render(request, "documents/_job.html" if part else "documents/document.html", context)


def take(request: Request, pk: uuid.UUID) -> HttpResponseBase:
    """Hand over the file; whose data are in it goes into the access log."""
    job = _job(request, pk)
    made = getattr(job, "document", None)
    if made is None or request.method != "POST":
        return redirect("document", request.study.code, pk)
    path = opened(made)
    people = rows(request, Participant).filter(pk__in=made.participant_ids)
    show(request, people.only("pk", "site_id"))
    downloaded(request)
    return FileResponse(path.open("rb"), as_attachment=True, filename=made.file_name)


def _jobs(request: Request):  # type: ignore[no-untyped-def]
    return requests_of(request.study, request.user.pk)


def _job(request: Request, pk: uuid.UUID) -> Job:
    """A request that is this person's, as long as they may still have what it holds."""
    job = _jobs(request).filter(pk=pk).first()
    if job is None:
        raise Http404
    needed = NEEDS[Document.Kind(job.kind)]
    if not all(request.may(needed, site) for site in job.params["sites"]):
        raise Http404
    return job  # type: ignore[no-any-return]


def _site(request: Request, pk: int) -> Site:
    site = request.sites.get(pk)
    if site is None:
        raise Http404
    return site


def _about(request: Request, job: Job) -> str:
    """Of whom, or of what, a document is."""
    if job.kind == Document.Kind.CASEBOOK:
        return find(request, Participant, pk=job.params["participant"]).number
    if job.kind == Document.Kind.CASEBOOKS:
        return str(request.sites[job.params["sites"][0]])
    return _("Protocol version %(version)s") % {
        "version": ProtocolVersion.objects.defer("content").get(pk=job.params["version"]).label
    }
