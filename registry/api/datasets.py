"""Datasets: what there is, asking for one, following the work, taking the file out for a reason."""

from __future__ import annotations

import uuid

from django.http import FileResponse, Http404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from exports.models import Release
from exports.release import KIND, artefact, download, participants_of, readable, request_release
from registry.api.base import Filters, Refusal, Strict, called, filters, page_of, paged, sent
from registry.models import Job
from sites.access import Request, downloaded, show


class ReleaseOut(serializers.ModelSerializer[Release]):
    sites = serializers.SerializerMethodField()
    requested_by = serializers.CharField(source="requested_by.name", read_only=True)

    class Meta:
        model = Release
        fields = (
            "number",
            "sites",
            "locked",
            "key",
            "file_name",
            "sha256",
            "size",
            "reason",
            "requested_by",
            "built_at",
        )
        read_only_fields = fields

    def get_sites(self, release: Release) -> list[str]:
        codes: dict[int, str] = self.context["codes"]
        return [codes[site] for site in release.site_ids]


class ReleaseIn(Strict):
    sites = serializers.ListField(
        child=serializers.CharField(max_length=10), required=False, help_text="default: all yours"
    )
    reason = serializers.CharField(max_length=1000, help_text="what the dataset is for")


class JobOut(serializers.ModelSerializer[Job]):
    release = serializers.SerializerMethodField(help_text="number of the dataset, once it is built")

    class Meta:
        model = Job
        fields = ("id", "state", "progress", "error", "requested_at", "finished_at", "release")
        read_only_fields = fields

    def get_release(self, job: Job) -> int | None:
        return Release.objects.filter(job=job).values_list("number", flat=True).first()


class DownloadIn(Strict):
    reason = serializers.CharField(max_length=1000, help_text="what the file is taken for")


@extend_schema(
    methods=["GET"],
    operation_id="releases",
    parameters=[Filters],
    responses={200: page_of(ReleaseOut), 400: Refusal},
)
@extend_schema(
    methods=["POST"],
    operation_id="release_new",
    request=ReleaseIn,
    responses={202: JobOut, 400: Refusal, 409: Refusal},
)
@api_view(["GET", "POST"])
def releases(request: ApiRequest) -> Response:
    """The datasets of your site. A POST asks for a new one, which a worker builds."""
    here = called(request)
    if request.method == "POST":
        return _ask(request, here)
    found = readable(here.study, here.sites).select_related("requested_by")
    codes = {site.pk: site.code for site in here.sites.values()}
    return paged(
        request, found, ReleaseOut, filters(request, Filters), lambda _all: {"codes": codes}
    )


def _ask(request: ApiRequest, here: Request) -> Response:
    given = sent(request, ReleaseIn)
    codes = {site.code: site for site in here.sites.values()}
    wanted = given.get("sites") or list(codes)
    if unknown := [code for code in wanted if code not in codes]:
        raise ValidationError({"sites": _("No such site: %(site)s") % {"site": unknown[0]}})
    job = request_release(
        study=here.study,
        sites=[codes[code] for code in wanted],
        reason=given["reason"],
        by=here.by,
    )
    return Response(JobOut(job).data, status=202)


@extend_schema(operation_id="job", responses={200: JobOut, 404: Refusal})
@api_view(["GET"])
def job(request: ApiRequest, pk: uuid.UUID) -> Response:
    """How far the work is on a dataset that you asked for."""
    here = called(request)
    asked = Job.objects.filter(study=here.study, kind=KIND, requested_by=here.user)
    found = asked.filter(pk=pk).first()
    if found is None:
        raise Http404
    return Response(JobOut(found).data)


@extend_schema(
    operation_id="release_download",
    request=DownloadIn,
    responses={(200, "application/zip"): OpenApiTypes.BINARY, 400: Refusal, 404: Refusal},
)
@api_view(["POST"])
def release_download(request: ApiRequest, number: int) -> FileResponse:
    """Take the file of a dataset out; who, when and what for is recorded."""
    here = called(request)
    release = readable(here.study, here.sites).filter(number=number).first()
    if release is None:
        raise Http404
    download(release=release, reason=sent(request, DownloadIn)["reason"], by=here.by)
    show(here, participants_of(release).iterator())
    downloaded(here)
    return FileResponse(
        artefact(release.sha256).open("rb"), as_attachment=True, filename=release.file_name
    )
