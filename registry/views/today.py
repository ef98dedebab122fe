"""Today: what waits for whoever is signed in, at each of their sites, the most urgent first."""

from __future__ import annotations

import datetime as dt
import functools
from collections import namedtuple
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F, Model, QuerySet, Value
from django.db.models.functions import Coalesce
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
from sites.access import Request, show
from sites.models import Site
from sites.roles import Permission

LISTED = 8  # of each list; the rest is behind its link
Lists = Mapping[str, QuerySet[Any]]
Build = Callable[..., Lists]


def _columns(*own: str, person: str = "participant__") -> dict[str, Any]:
    """What a row of a list is read with: its own columns, and whose it is."""
    number = Coalesce(f"{person}subject_number", f"{person}screening_number")
    participant = F("participant_id") if person else F("pk")
    whose = {"participant_id": participant, "whose": number, "of_version": F(f"{person}version_id")}
    return {name: F(name) for name in ("pk", "site_id", *own)} | whose


COLUMNS: dict[type[Model], dict[str, Any]] = {
    Visit: _columns("code", "number", "opens_on", "closes_on"),
    Entry: _columns("instrument", "version_id", "started_at", "due_from")
    | {"code": F("visit__code"), "number": F("visit__number")},
    Query: _columns("text", "opened_at", "state"),
    AdverseEvent: _columns("symptom", "grade", "serious", "onset"),
    Participant: _columns(
        "consented_on", "enrolled_on", "ended_on", "enrolled_at", "screened_at", "voided_at",
        "failed_criteria", person="",
    ),
}  # fmt: skip


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


def _firsts(
    request: Request, build: Build, *of: Collection[Site]
) -> dict[str, tuple[int, list[Any]]]:
    """How many each list has, and the first of each, which are shown; in one statement."""
    places = tuple(tuple(sites) for sites in of)
    days = tuple(site.today() for sites in places for site in sites)
    names, sql, params, row = _worded(build, places, days)
    listed: dict[str, list[Any]] = {name: [] for name in names}
    if sql:
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            for values in cursor.fetchall():
                listed[values[0]].append(row._make(values))
    for records in listed.values():
        show(request, records)
    return {name: (found[0].there_are if found else 0, found) for name, found in listed.items()}


def _first(request: Request, build: Build, *of: Collection[Site]) -> tuple[int, list[Any]]:
    """The same of a single list."""
    [found] = _firsts(request, build, *of).values()
    return found


@functools.lru_cache(maxsize=1024)
def _worded(
    build: Build, places: tuple[tuple[Site, ...], ...], _days: tuple[dt.date, ...]
) -> tuple[list[str], str, tuple[Any, ...], Any]:
    """The statement of lists of one model, worded once for the same sites on the same days.

    The first are found by their ids, in the index of open work, and only they are read.
    """
    lists, parts, params = build(*places), [], []
    columns: dict[str, Any] = {}
    for name, found in lists.items():
        columns = COLUMNS[found.model]
        ids = found.values("pk")
        part = found.model._default_manager.filter(pk__in=ids[:LISTED]).values_list(
            Value(name), work.Number(ids.order_by()), *columns.values()
        )
        try:
            sql, told = part.order_by(*found.query.order_by).query.sql_with_params()
        except EmptyResultSet:  # at no site
            continue
        parts.append(f"({sql})")
        params += told
    row = namedtuple("row", ["among", "there_are", *columns])  # type: ignore[misc]
    return list(lists), " UNION ALL ".join(parts), tuple(params), row


def _open_visits(sites: Collection[Site]) -> Lists:
    return {
        "overdue": work.overdue(sites),
        "due": work.due(sites),
        "due_soon": work.due_soon(sites),
    }


def _visits(request: Request) -> list[WorkList]:
    label = words()
    firsts, lists = _firsts(request, _open_visits, request.sites.values()), []
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


def _visit_line(request: Request, visit: Any, status: str, label: dict[str, str]) -> Line:
    site, day = request.sites[visit.site_id], request.sites[visit.site_id].today()
    if status == Status.OVERDUE:
        late = (day - visit.closes_on).days
        sign = ngettext("%(days)d day late", "%(days)d days late", late) % {"days": late}
        when = _("until %(day)s") % {"day": visit.closes_on}
    elif status == Status.DUE:
        left = (visit.closes_on - day).days
        sign = ngettext("%(days)d day left", "%(days)d days left", left) % {"days": left}
        sign = sign if left else _("last day")
        when = _("until %(day)s") % {"day": visit.closes_on}
    else:
        sign, when = label[status], _("from %(day)s") % {"day": visit.opens_on}
    title = visit_title(protocol_of(visit.of_version), visit)
    url = _url(request, "visit", visit.pk)
    return Line(site, url, visit.whose, title, "", when, status, sign)


def _turns(answering: Collection[Site], asking: Collection[Site], sites: Collection[Site]) -> Lists:
    mine = Query.objects.waiting_for(answering=_ids(answering), asking=_ids(asking))
    found = mine.filter(site_id__in=_ids(sites)).exclude(
        participant_id__in=work.void_at(_ids(sites))
    )
    return {"queries": found.order_by("opened_at", "pk")}


def _ids(sites: Collection[Site]) -> list[int]:
    return [site.pk for site in sites]


def _queries(request: Request) -> WorkList:
    asked = (_sites(request, each) for each in (Permission.ENTER, Permission.QUERY))
    count, queries = _first(request, _turns, *asked, request.sites.values())
    lines = [
        Line(
            request.sites[query.site_id],
            _url(request, "query", query.pk),
            query.whose,
            query.text,
            when=query.opened_at.date().isoformat(),
            status=f"q-{query.state}",
            label=str(Query.State(query.state).label),
        )
        for query in queries
    ]
    title, url = _("Queries waiting for you"), _url(request, "queries")
    return WorkList("queries", title, "query", "late", count, lines, url)


def _waiting_forms(sites: Collection[Site]) -> Lists:
    return {"forms": work.unfinished(sites)}


def _unfinished(request: Request) -> WorkList:
    entering = _sites(request, Permission.ENTER)
    count, entries = _first(request, _waiting_forms, entering)
    label = words()
    lines = [_entry_line(request, entry, label) for entry in entries]
    url = f"{_url(request, 'participants')}?need=forms"
    return WorkList("forms", _("Forms not complete"), "form", "info", count, lines, url)


def _entry_line(request: Request, entry: Any, label: dict[str, str]) -> Line:
    where = visit_title(protocol_of(entry.of_version), entry) if entry.code else ""
    status = Status.STARTED if entry.started_at else Status.DUE
    return Line(
        request.sites[entry.site_id],
        _url(request, "entry", entry.pk),
        entry.whose,
        instrument_of(entry).short.get(get_language() or "ko"),
        where,
        entry.due_from.isoformat(),
        status,
        label[status],
    )


def _person_line(request: Request, name: str, person: Any, what: Any, when: Any) -> Line:
    site = request.sites[person.site_id]
    return Line(site, _url(request, name, person.pk), person.whose, str(what), when=str(when))


def _state(person: Any) -> str:
    """The word for where a participant stands, from the columns that decide it."""
    return str(work.STATES[Participant.state.fget(person)])  # type: ignore[attr-defined]


def _people_lists(signing: Collection[Site], entering: Collection[Site]) -> Lists:
    return {"sign": work.unsigned(signing), "screening": work.undecided(entering)}


def _people(request: Request) -> dict[str, WorkList]:
    """The lists of participants: to sign, to decide on, and to ask again."""
    entering = _sites(request, Permission.ENTER)
    firsts = _firsts(request, _people_lists, _sites(request, Permission.SIGN), entering)
    return {
        "sign": _to_sign(request, *firsts["sign"]),
        "screening": _undecided(request, *firsts["screening"]),
        **{
            f"reconsent {n}": _reconsent(request, each)
            for n, each in enumerate(work.reconsent(entering))
        },
    }


def _undecided(request: Request, count: int, people: list[Any]) -> WorkList:
    lines = [
        _person_line(request, "participant", each, _state(each), each.consented_on)
        for each in people
    ]
    url = f"{_url(request, 'participants')}?state=screening"
    return WorkList("screening", _("In screening"), "check", "info", count, lines, url)


def _reconsent(request: Request, renewal: work.Renewal) -> WorkList:
    kind = renewal.consent.label.get(get_language() or "ko")
    said = {"consent": kind, "version": renewal.version.version}
    title = _("New consent form: %(consent)s %(version)s") % said
    people = list(renewal.participants[:LISTED])
    show(request, people)
    lines = [
        Line(
            request.sites[person.site_id],
            _url(request, "consents", person.pk),
            person.number,
            kind,
            when=str(person.consented_on),
        )
        for person in people
    ]
    count = len(people) if len(people) < LISTED else renewal.participants.count()
    url = f"{_url(request, 'participants')}?need=consent"
    return WorkList("reconsent", title, "consent", "warn", count, lines, url)


def _to_review_at(sites: Collection[Site]) -> Lists:
    return {"events": queue.waiting(_ids(sites))}


def _ongoing_at(sites: Collection[Site]) -> Lists:
    return {"ongoing": queue.ongoing(_ids(sites))}


def _to_review(request: Request) -> WorkList:
    found = _first(request, _to_review_at, _sites(request, Permission.REVIEW_EVENTS))
    title, url = _("Adverse events to review"), _url(request, "events")
    return WorkList("events", title, "ae", "danger", found[0], _events(request, found[1]), url)


def _to_follow_up(request: Request) -> WorkList:
    found = _first(request, _ongoing_at, _sites(request, Permission.ENTER))
    title, url = _("Adverse events to follow up"), f"{_url(request, 'events')}?state=ongoing"
    return WorkList("ongoing", title, "ae", "warn", found[0], _events(request, found[1]), url)


def _events(request: Request, found: list[Any]) -> list[Line]:
    return [
        Line(
            request.sites[event.site_id],
            _url(request, "event", event.pk),
            event.whose,
            event.symptom,
            _("grade %(grade)d") % {"grade": event.grade} + (" · SAE" if event.serious else ""),
            event.onset,
        )
        for event in found
    ]


def _to_sign(request: Request, count: int, people: list[Any]) -> WorkList:
    lines = [
        _person_line(request, "sign", person, _state(person), person.enrolled_on)
        for person in people
    ]
    url = f"{_url(request, 'participants')}?need=sign"
    return WorkList("sign", _("Ready to be signed"), "sign", "sign", count, lines, url)
