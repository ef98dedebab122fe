"""Protocol versions: published once, never changed, and in use at a site from its approval on."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from django.db.models import OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from registry.models import Counter, ProtocolVersion, SiteApproval
from registry.protocol import Protocol, VisitDefinition
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site, Study

SERIES = ("screening", "subject")


@dataclass(frozen=True)
class Published:
    """The version that holds the content; `new` is false when it was published before."""

    version: ProtocolVersion
    new: bool


@lru_cache(maxsize=64)
def _protocol(version_id: int) -> Protocol:
    content = ProtocolVersion.objects.values_list("content", flat=True).get(pk=version_id)
    return Protocol.model_validate(json.loads(content)["protocol"])


@lru_cache(maxsize=64)
def versions_until(version_id: int) -> tuple[int, ...]:
    """The ids of the study's versions up to this one, oldest first; none of them ever changes."""
    version = ProtocolVersion.objects.defer("content").get(pk=version_id)
    earlier = ProtocolVersion.objects.filter(
        study_id=version.study_id, number__lte=version.number
    ).order_by("number")
    return tuple(earlier.values_list("pk", flat=True))


def planned_visit(study: str, code: str) -> VisitDefinition | None:
    """What the newest version that knows a visit says of it; an amendment may have dropped it."""
    versions = ProtocolVersion.objects.filter(study__code=study).order_by("-number")
    for version in versions.values_list("pk", flat=True):
        for visit in protocol_of(version).visits:
            if visit.code == code:
                return visit
    return None


def protocol_of(version: ProtocolVersion | int) -> Protocol:
    """The protocol of a published version; parsed once per process, since it never changes."""
    return _protocol(version if isinstance(version, int) else version.pk)


def publish(*, content: str, sha256: str, by: Actor) -> Published:
    """Store a checked definition (canonical JSON) as the study's next version.

    Makes the study and the sites that the protocol names, and sets the caps. Publishing the same
    content again changes nothing. Refuses a version label that exists with other content.
    """
    protocol = Protocol.model_validate(json.loads(content)["protocol"])
    existing = ProtocolVersion.objects.filter(study__code=protocol.code, sha256=sha256).first()
    if existing:
        return Published(existing, new=False)
    with acting(by, f"protocol {protocol.code} {protocol.version}"):
        study, _made = Study.objects.update_or_create(
            code=protocol.code,
            defaults={"name_ko": protocol.short.ko, "name_en": protocol.short.en},
        )
        # One publication at a time: the row of the study is the lock.
        Study.objects.select_for_update().get(pk=study.pk)
        require_new_label(study, protocol)
        last = study.versions.last()
        version = ProtocolVersion.objects.create(
            study=study,
            number=last.number + 1 if last else 1,
            label=protocol.version,
            content=content,
            sha256=sha256,
            published_by=by.label,
        )
        _make_sites(study, protocol)
    return Published(version, new=True)


def require_new_label(study: Study, protocol: Protocol) -> None:
    """One label names one content for good."""
    if study.versions.filter(label=protocol.version).exists():
        raise Refused(
            _("Version %(label)s exists with other content: give this one a new label.")
            % {"label": protocol.version}
        )


def _make_sites(study: Study, protocol: Protocol) -> None:
    _counter(study, None, "enrolled", protocol.cap)
    for position, defined in enumerate(protocol.sites):
        site, _made = Site.objects.update_or_create(
            study=study,
            code=defined.code,
            defaults={
                "name_ko": defined.name.ko,
                "name_en": defined.name.en,
                "short_ko": defined.short.ko,
                "short_en": defined.short.en,
                "timezone": defined.timezone,
                "target": defined.target,
                "position": position,
            },
        )
        _counter(study, site, "enrolled", defined.cap)
        for series in SERIES:
            _counter(study, site, series, None)


def _counter(study: Study, site: Site | None, name: str, cap: int | None) -> None:
    Counter.objects.update_or_create(study=study, site=site, name=name, defaults={"cap": cap})


def approved_at(sites: Iterable[Site]) -> QuerySet[SiteApproval]:
    """Approvals in force today at the site of an outer row, which is one of `sites`."""
    here = Q(pk__in=[])
    for site in sites:
        here |= Q(site_id=site.pk, approved_on__lte=site.today())
    return SiteApproval.objects.filter(here, site=OuterRef("site")).order_by("-version__number")


def versions_at(sites: Iterable[Site], on: dt.date | None = None) -> dict[int, int]:
    """Site id → the id of what `version_at` gives; sites without an approval are left out."""
    days = {site.pk: on or site.today() for site in sites}
    approved = (
        SiteApproval.objects.filter(site_id__in=days)
        .order_by("version__number")
        .values_list("site_id", "approved_on", "version_id")
    )
    return {site: version for site, day, version in approved if day <= days[site]}


def version_at(site: Site, on: dt.date | None = None) -> ProtocolVersion:
    """The newest version whose approval at the site is recorded on that day (default: today)."""
    approval = (
        SiteApproval.objects.filter(site=site, approved_on__lte=on or site.today())
        .select_related("version")
        .defer("version__content")
        .order_by("-version__number")
        .first()
    )
    if approval is None:
        raise Refused(
            _("%(site)s has no recorded IRB approval yet, so no data can be entered there.")
            % {"site": site}
        )
    return approval.version
