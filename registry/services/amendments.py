"""A site takes up a new version: from its approval on, what is still open follows the amendment.

What was done stays as it was done. A visit that was held before the approval keeps its forms, and
an entry the version under which it was begun. What lies ahead is planned anew: windows, visits
that came or went, and the forms due at them, also at visits held since the day of the approval.
"""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from registry.models import Participant, ProtocolVersion, SiteApproval, Visit, Withdrawal
from registry.protocol import UNSCHEDULED, VisitDefinition
from registry.services.schedule import cancel_visits, expect_forms
from registry.services.study import protocol_of, version_at
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site


def approve(
    *, site: Site, version: ProtocolVersion, approved_on: dt.date, reference: str, by: Actor
) -> SiteApproval:
    """Record the IRB approval from which the site works under `version`, and plan by it."""
    if version.study_id != site.study_id:
        raise Refused(_("This version belongs to another study."))
    if approved_on > site.today():
        raise Refused(_("The approval date lies in the future."), "approved_on")
    if SiteApproval.objects.filter(site=site, version=version).exists():
        raise Refused(_("This approval is already recorded."))
    with acting(by, f"IRB {reference}"):
        approval = SiteApproval.objects.create(
            site=site, version=version, approved_on=approved_on, reference=reference
        )
        if version_at(site) == version:
            for participant in _in_the_study(site):
                _take_up(participant, version, approved_on)
    return approval


def _in_the_study(site: Site) -> list[Participant]:
    """Whose schedule goes on: enrolled, neither ended nor withdrawn from visits."""
    return list(
        Participant.objects.enrolled()
        .filter(site=site, ended_on=None)
        .exclude(withdrawals__scope__in=[Withdrawal.Scope.VISITS, Withdrawal.Scope.USE])
        .select_related("site", "allocation")
        .prefetch_related("visits")
        .order_by("pk")
    )


def _take_up(participant: Participant, version: ProtocolVersion, since: dt.date) -> None:
    """Plan what is open anew; the caller is `acting`."""
    participant.version = version
    participant.save(update_fields=["version"])
    planned = {visit.code: visit for visit in protocol_of(version).visits}
    visits = [visit for visit in participant.visits.all() if not visit.voided_at]
    gone = [v for v in visits if _is_open(v) and v.code not in (*planned, UNSCHEDULED)]
    cancel_visits(gone)
    ahead = [
        made for each in planned.values() if (made := _placed(participant, each, visits, since))
    ]
    expect_forms(participant, ahead, version)
    held = [v for v in visits if v.happened_on and v.happened_on >= since]
    known = [v for v in held if v.code in (*planned, UNSCHEDULED)]
    expect_forms(participant, known, version, only_add=True)


def _is_open(visit: Visit) -> bool:
    return not (visit.happened_on or visit.missed_at or visit.cancelled_at or visit.voided_at)


def _placed(
    participant: Participant, planned: VisitDefinition, visits: list[Visit], since: dt.date
) -> Visit | None:
    """The visit where the new version plans it; None where it is past changing."""
    assert participant.enrolled_on is not None
    due, opens, closes = (
        participant.enrolled_on + dt.timedelta(days=days)
        for days in (planned.day, planned.opens, planned.closes)
    )
    visit = next((each for each in visits if each.code == planned.code), None)
    if visit is None:
        if closes < since:
            return None  # nobody could have held it
        visit = Visit(site_id=participant.site_id, participant=participant, code=planned.code)
    elif visit.cancelled_at and closes >= since:
        visit.cancelled_at = None  # an earlier amendment had dropped it
    elif not _is_open(visit):
        return None
    visit.day, visit.due_on, visit.opens_on, visit.closes_on = planned.day, due, opens, closes
    visit.save()
    return visit
