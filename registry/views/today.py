"""Today: what waits for whoever is signed in, at each of their sites, the most urgent first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model, QuerySet, Value
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.models import Entry, Query
from crf.workflow import Status
from registry import work
from registry.display import visit_title
from registry.models import Participant, Visit
from registry.services import protocol_of
from registry.views.grids import words
from safety import queue
from safety.models import AdverseEvent
from sites.access import Request, rows, show
from sites.models import Site
from sites.roles import Permission

LISTED = 8  # of each list; the rest is behind its link
HEAVY: dict[type[Model], tuple[str, ...]] = {Entry: ("answers", "meta", "scores")}


@dataclass(frozen=True)
class Line:
    """One thing to do: whose, what, until when, and its sign."""

    site: Site
    url: str
    number: str
    what: str
    detail: str = ""
    when: str = ""
    status: str = ""
    label: str = ""


@dataclass(frozen=True)
class WorkList:
    name: str
    title: str
    icon: str
    tone: str
    count: int
    lines: list[Line] = field(default_factory=list)
    more_url: str = ""


def today(request: Request) -> HttpResponse:
    """Lists of open work; an empty one is not shown, and a page without any says so."""
    visits, people = _visits(request), _people(request)
    own = [_queries(request), _to_review(request), people.pop("sign")]
    if request.may(Permission.ENTER):
        forms, events = _unfinished(request), _to_follow_up(request)
        lists = [*visits, *own, forms, events, *people.values()]
    else:
        lists = [*own, *visits]
    context = {
        "lists": [each for each in lists if each.count],
        "may_enter": request.may(Permission.ENTER),
        "several": len(request.sites) > 1,
        "zone": next(iter(request.sites.values())).timezone,
        "now": timezone.now(),
    }
    return render(request, "today/today.html", context)


def _sites(request: Request, permission: Permission) -> list[Site]:
    return [site for site in request.sites.values() if request.may(permission, site.pk)]


def _url(request: Request, name: str, *keys: Any) -> str:
    return reverse(name, args=[request.study.code, *keys])


def _first(
    request: Request, found: QuerySet[Any], related: Sequence[str] = ("participant",)
) -> tuple[int, list[Any]]:
    """How many there are, and the first of them, which are shown."""
    return _firsts(request, {"": found}, related)[""]


def _firsts(
    request: Request, lists: Mapping[str, QuerySet[Any]], related: Sequence[str] = ()
) -> dict[str, tuple[int, list[Any]]]:
    """The same for lists of one model, in one statement.

    The first are found by their ids, in the index of open work, and only they are read.
    """
    parts = [
        found.model._default_manager.filter(pk__in=found.values("pk")[:LISTED])
        .select_related(*related)
        .defer(*HEAVY.get(found.model, ()))
        .annotate(among=Value(name), there_are=work.Number(found.order_by().values("pk")))
        .order_by(*found.query.order_by)[:LISTED]
        for name, found in lists.items()
    ]
    listed: dict[str, list[Any]] = defaultdict(list)
    for record in parts[0].union(*parts[1:], all=True) if parts[1:] else parts[0]:
        listed[record.among].append(record)
    for records in listed.values():
        show(request, records)
    return {
        name: (listed[name][0].there_are if listed[name] else 0, listed[name]) for name in lists
    }


def _visits(request: Request) -> list[WorkList]:
    sites, label = list(request.sites.values()), words()
    found = {
        "overdue": work.overdue(sites),
        "due": work.due(sites),
        "due_soon": work.due_soon(sites),
    }
    firsts, lists = _firsts(request, found, ("participant",)), []
    for name, title, tone in (
        ("overdue", _("Visits overdue"), "late"),
        ("due", _("Visits due now"), "warn"),
        ("due_soon", _("Visits due within a week"), "calm"),
    ):
        count, visits = firsts[name]
        lines = [_visit_line(request, visit, name, label) for visit in visits]
        more = f"{_url(request, 'participants')}?need={name}"
        lists.append(WorkList(name, title, "calendar", tone, count, lines, more))
    return lists


def _visit_line(request: Request, visit: Visit, status: str, label: dict[str, str]) -> Line:
    site, day = request.sites[visit.site_id], request.sites[visit.site_id].today()
    if status == Status.OVERDUE:
        late = (day - visit.closes_on).days  # type: ignore[operator]
        sign = ngettext("%(days)d day late", "%(days)d days late", late) % {"days": late}
        when = _("until %(day)s") % {"day": visit.closes_on}
    elif status == Status.DUE:
        left = (visit.closes_on - day).days  # type: ignore[operator]
        sign = ngettext("%(days)d day left", "%(days)d days left", left) % {"days": left}
        sign = sign if left else _("last day")
        when = _("until %(day)s") % {"day": visit.closes_on}
    else:
        sign, when = label[status], _("from %(day)s") % {"day": visit.opens_on}
    title = visit_title(protocol_of(visit.participant.version_id), visit)
    url = _url(request, "visit", visit.pk)
    return Line(site, url, visit.participant.number, title, "", when, status, sign)


def _queries(request: Request) -> WorkList:
    mine = Query.objects.waiting_for(
        answering=[site.pk for site in _sites(request, Permission.ENTER)],
        asking=[site.pk for site in _sites(request, Permission.QUERY)],
    )
    found = rows(request, mine).exclude(participant_id__in=work.void_at(list(request.sites)))
    count, queries = _first(request, found.order_by("opened_at", "pk"))
    lines = [
        Line(
            request.sites[query.site_id],
            _url(request, "query", query.pk),
            query.participant.number,
            query.text,
            when=query.opened_at.date().isoformat(),
            status=f"q-{query.state}",
            label=query.get_state_display(),
        )
        for query in queries
    ]
    title, url = _("Queries waiting for you"), _url(request, "queries")
    return WorkList("queries", title, "query", "late", count, lines, url)


def _unfinished(request: Request) -> WorkList:
    found = work.unfinished(_sites(request, Permission.ENTER))
    count, entries = _first(request, found, ("participant", "visit"))
    label = words()
    lines = [_entry_line(request, entry, label) for entry in entries]
    url = f"{_url(request, 'participants')}?need=forms"
    return WorkList("forms", _("Forms not complete"), "form", "info", count, lines, url)


def _entry_line(request: Request, entry: Entry, label: dict[str, str]) -> Line:
    person = entry.participant
    where = visit_title(protocol_of(person.version_id), entry.visit) if entry.visit else ""
    status = Status.STARTED if entry.started_at else Status.DUE
    return Line(
        request.sites[entry.site_id],
        _url(request, "entry", entry.pk),
        person.number,
        instrument_of(entry).short.get(get_language() or "ko"),
        where,
        entry.due_from.isoformat() if entry.due_from else "",
        status,
        label[status],
    )


def _person_line(request: Request, name: str, person: Participant, what: Any, when: Any) -> Line:
    site = request.sites[person.site_id]
    return Line(site, _url(request, name, person.pk), person.number, str(what), when=str(when))


def _people(request: Request) -> dict[str, WorkList]:
    """The lists of participants: to sign, to decide on, and to ask again."""
    entering = _sites(request, Permission.ENTER)
    renewals = {f"reconsent {n}": each for n, each in enumerate(work.reconsent(entering))}
    found = {
        "sign": work.unsigned(_sites(request, Permission.SIGN)),
        "screening": work.undecided(entering),
        **{name: each.participants for name, each in renewals.items()},
    }
    firsts = _firsts(request, found)
    return {
        "sign": _to_sign(request, *firsts["sign"]),
        "screening": _undecided(request, *firsts["screening"]),
        **{name: _reconsent(request, each, *firsts[name]) for name, each in renewals.items()},
    }


def _undecided(request: Request, count: int, people: list[Participant]) -> WorkList:
    lines = [
        _person_line(request, "participant", each, work.STATES[each.state], each.consented_on)
        for each in people
    ]
    url = f"{_url(request, 'participants')}?state=screening"
    return WorkList("screening", _("In screening"), "check", "info", count, lines, url)


def _reconsent(
    request: Request, renewal: work.Renewal, count: int, people: list[Participant]
) -> WorkList:
    kind = renewal.consent.label.get(get_language() or "ko")
    said = {"consent": kind, "version": renewal.version.version}
    title = _("New consent form: %(consent)s %(version)s") % said
    lines = [
        _person_line(request, "consents", person, kind, person.consented_on) for person in people
    ]
    url = f"{_url(request, 'participants')}?need=consent"
    return WorkList("reconsent", title, "consent", "warn", count, lines, url)


def _to_review(request: Request) -> WorkList:
    found = queue.waiting([site.pk for site in _sites(request, Permission.REVIEW_EVENTS)])
    title, url = _("Adverse events to review"), _url(request, "events")
    return _events(request, "events", title, "danger", found, url)


def _to_follow_up(request: Request) -> WorkList:
    found = queue.ongoing([site.pk for site in _sites(request, Permission.ENTER)])
    title, url = _("Adverse events to follow up"), f"{_url(request, 'events')}?state=ongoing"
    return _events(request, "ongoing", title, "warn", found, url)


def _events(
    request: Request, name: str, title: str, tone: str, found: QuerySet[AdverseEvent], url: str
) -> WorkList:
    count, listed = _first(request, found)
    lines = [
        Line(
            request.sites[event.site_id],
            _url(request, "event", event.pk),
            event.participant.number,
            event.symptom,
            _("grade %(grade)d") % {"grade": event.grade} + (" · SAE" if event.serious else ""),
            event.onset,
        )
        for event in listed
    ]
    return WorkList(name, title, "ae", tone, count, lines, url)


def _to_sign(request: Request, count: int, people: list[Participant]) -> WorkList:
    lines = [
        _person_line(request, "sign", person, work.STATES[person.state], person.enrolled_on)
        for person in people
    ]
    url = f"{_url(request, 'participants')}?need=sign"
    return WorkList("sign", _("Ready to be signed"), "sign", "sign", count, lines, url)
