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
from registry.protocol import Protocol
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
        if study.versions.filter(label=protocol.version).exists():
            raise Refused(
                _("Version %(label)s exists with other content: give this one a new label.")
                % {"label": protocol.version}
            )
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


def approve(
    *, site: Site, version: ProtocolVersion, approved_on: dt.date, reference: str, by: Actor
) -> SiteApproval:
    """Record the IRB approval from which the site works under `version`."""
    if version.study_id != site.study_id:
        raise Refused(_("This version belongs to another study."))
    if approved_on > site.today():
        raise Refused(_("The approval date lies in the future."), "approved_on")
    if SiteApproval.objects.filter(site=site, version=version).exists():
        raise Refused(_("This approval is already recorded."))
    with acting(by, f"IRB {reference}"):
        return SiteApproval.objects.create(
            site=site, version=version, approved_on=approved_on, reference=reference
        )


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
