"""Which participants are listed, as an address says: the filters of the grid and of saved views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from crf.models import Query
from registry import identity, work
from registry.models import Participant
from registry.services import protocol_of
from safety import queue
from sites.access import Request, rows
from sites.models import Site
from sites.roles import Permission

STATES: dict[str, Q] = {
    "screening": Q(voided_at=None, failed_criteria__isnull=True, enrolled_at=None),
    "failed": Q(voided_at=None, failed_criteria__isnull=False),
    "enrolled": Q(voided_at=None, enrolled_at__isnull=False, ended_on=None),
    "ended": Q(voided_at=None, ended_on__isnull=False),
    "void": Q(voided_at__isnull=False),
}
# Who is meant by `need=`: a query set of the ids of participants.
NEEDS: dict[str, Callable[[Request, list[Site]], Any]] = {
    "me": lambda request, sites: _mine(request, sites),
    "overdue": lambda _request, sites: _whose(work.overdue(sites)),
    "due": lambda _request, sites: _whose(work.due(sites)),
    "due_soon": lambda _request, sites: _whose(work.due_soon(sites)),
    "forms": lambda _request, sites: _whose(work.unfinished(sites)),
    "queries": lambda _request, sites: _whose(Query.objects.unresolved().filter(site__in=sites)),
    "sign": lambda _request, sites: work.unsigned(sites).order_by().values("pk"),
    "consent": lambda _request, sites: _asked_again(sites),
}


def _whose(found: QuerySet[Any]) -> QuerySet[Any]:
    return found.order_by().values("participant_id")


def _asked_again(sites: list[Site]) -> Any:
    found = [each.participants.order_by().values("pk") for each in work.reconsent(sites)]
    return found[0].union(*found[1:]) if found else Participant.objects.none().values("pk")


def _mine(request: Request, sites: list[Site]) -> Any:
    """Who has something that waits for whoever asks, by what they may do at each site."""
    at = {
        each: [site for site in sites if request.may(each, site.pk)]
        for each in (Permission.ENTER, Permission.QUERY, Permission.REVIEW_EVENTS, Permission.SIGN)
    }
    ids = {each: [site.pk for site in places] for each, places in at.items()}
    enters, asks = ids[Permission.ENTER], ids[Permission.QUERY]
    entering = at[Permission.ENTER]
    found = [_whose(Query.objects.waiting_for(answering=enters, asking=asks))]
    if entering:
        found += [_whose(each(entering)) for each in (work.overdue, work.due, work.unfinished)]
    if ids[Permission.REVIEW_EVENTS]:
        found += [_whose(queue.waiting(ids[Permission.REVIEW_EVENTS]))]
    if at[Permission.SIGN]:
        found += [work.unsigned(at[Permission.SIGN]).order_by().values("pk")]
    return found[0].union(*found[1:]) if found[1:] else found[0]


@dataclass(frozen=True)
class Chosen:
    """The filters of the address; what is unknown, or not theirs, counts as not chosen."""

    sites: list[Site]
    site: str
    state: str
    need: str
    number: str

    @property
    def query(self) -> str:
        """The filters that a view may keep, as an address: never a number of somebody."""
        kept = {"site": self.site, "state": self.state, "need": self.need}
        return urlencode({name: value for name, value in kept.items() if value})

    @property
    def whole(self) -> bool:
        return not (self.state or self.need or self.number)


def chosen_of(request: Request, asked: Mapping[str, str]) -> Chosen:
    """What an address asks for."""
    here = [site for site in request.sites.values() if site.code == asked.get("site")]
    return Chosen(
        sites=here or list(request.sites.values()),
        site=here[0].code if here else "",
        state=asked.get("state", "") if asked.get("state") in STATES else "",
        need=asked.get("need", "") if asked.get("need") in NEEDS else "",
        number=identity.normal(asked.get("q", ""))[:60],
    )


def listed_of(request: Request, chosen: Chosen) -> QuerySet[Participant]:
    """Those who fit."""
    listed = rows(request, Participant).filter(site__in=chosen.sites)
    if chosen.state:
        listed = listed.filter(STATES[chosen.state])
    if chosen.need:
        listed = listed.filter(pk__in=NEEDS[chosen.need](request, chosen.sites))
    if chosen.number:
        listed = listed.filter(_numbered(request, chosen.number))
    return listed


def state_choices() -> list[tuple[str, Any]]:
    return [
        ("screening", _("in screening")),
        *((code, work.STATES[code]) for code in ("failed", "enrolled", "ended", "void")),
    ]


def need_choices() -> list[tuple[str, str]]:
    return [
        ("me", _("Something of mine")),
        ("overdue", _("Visit overdue")),
        ("due", _("Visit due")),
        ("due_soon", _("Visit due within a week")),
        ("forms", _("Form not complete")),
        ("queries", _("Query not closed")),
        ("sign", _("Signature")),
        ("consent", _("New consent form")),
    ]


def _numbered(request: Request, typed: str) -> Q:
    """A number, its beginning, or its digits alone: ranges and equality, which an index serves."""
    text, found = typed.upper(), Q()
    for field in ("subject_number", "screening_number"):
        found |= Q(**{f"{field}__gte": text, f"{field}__lt": text + "\U0010ffff"})
    if typed.isdecimal():
        numbering = protocol_of(request.study.versions.latest("number")).numbering
        for site in request.sites.values():
            found |= Q(
                site=site, subject_number=numbering.subject.format(site=site.code, n=int(typed))
            )
    return found
