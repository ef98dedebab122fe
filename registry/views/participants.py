"""Participants: the list with its grid of visits, one participant, and who it is."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef, Subquery, Sum
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from crf.definitions import definition_of
from crf.instrument import DateItem
from crf.models import Entry, Lock
from crf.services import signatures_of
from crf.workflow import Around
from registry import identity, work
from registry.forms import posted
from registry.forms.participants import ChartForm
from registry.models import Allocation, Counter, Identity, Participant, Visit
from registry.services import approved_at, protocol_of
from registry.services.participants import person_of
from registry.views.filters import Chosen, chosen_of, listed_of, need_choices, state_choices
from registry.views.grids import (
    form_grid,
    form_title,
    own_forms,
    visit_columns,
    visit_rows,
)
from registry.views.saved import tabs_of
from registry.views.steps import READ, acts, consents_shown, end_reason, step_shown
from safety.models import AdverseEvent
from sites.access import Request, find, rows, show
from sites.models import AccessLog, Site
from sites.roles import Permission

PER_PAGE = 50
SHOWN_TO = (Permission.ENTER, Permission.SIGN, Permission.SEE_ARM)


def participants(request: Request) -> HttpResponse:
    """The participants of one's sites, newest first, each with the state of its visits."""
    form = ChartForm(posted(request))
    if form.is_bound and form.is_valid():
        found = _by_chart(request, form.cleaned_data["chart_number"])
        if found:
            return redirect("participant", request.study.code, found.participant_id)
        form.add_error("chart_number", _("No participant of your hospital has this chart number."))
    chosen = chosen_of(request, request.GET)
    page = _page(request, chosen)
    people = list(page.object_list)
    hit = _hit(people, chosen.number) if chosen.number and not form.is_bound else None
    if hit:
        return redirect("participant", request.study.code, hit.pk)
    show(request, people)
    columns = visit_columns(people)
    context = {
        "form": form,
        "page_obj": page,
        "columns": columns,
        "rows": visit_rows(request, people, columns),
        "chosen": chosen,
        "states": state_choices(),
        "needs": need_choices(),
        "sites": list(request.sites.values()),
        "views": tabs_of(request, chosen),
        "toggle": _toggled(request, chosen),
        "may_enter": request.may(Permission.ENTER),
        "may_find_chart": request.may(Permission.SEE_IDENTITY),
    }
    status = 422 if form.errors else 200
    return render(request, "participants/participants.html", context, status=status)


def _hit(people: list[Participant], typed: str) -> Participant | None:
    """The only one found, or the one whose number was typed whole."""
    if len(people) == 1:
        return people[0]
    whole = [each for each in people if each.number == typed.upper()]
    return whole[0] if len(whole) == 1 else None


def _toggled(request: Request, chosen: Chosen) -> str:
    """This address with "only what needs me" turned on or off, on the first page."""
    query = request.GET.copy()
    query.pop("page", None)
    if chosen.need == "me":
        query.pop("need", None)
    else:
        query["need"] = "me"
    return f"?{query.urlencode()}"


class _Pages(Paginator):  # type: ignore[type-arg]
    """Pages of a list whose length may be known without counting, since its numbers have no gap."""

    known: int | None = None

    @cached_property
    def count(self) -> int:
        return super().count if self.known is None else self.known


def _page(request: Request, chosen: Chosen) -> Page[Participant]:
    listed = listed_of(request, chosen)
    pages = _Pages(listed.annotate(site_locked=_locked()).order_by("-pk"), PER_PAGE)
    pages.known = _recorded(chosen.sites) if chosen.whole else None
    return pages.get_page(request.GET.get("page"))


def _locked() -> Exists:
    return Exists(Lock.objects.filter(site=OuterRef("site"), released_at=None))


def _recorded(sites: list[Site]) -> int:
    used = Counter.objects.filter(site__in=sites, name="screening").aggregate(n=Sum("used"))["n"]
    return used or 0


def _by_chart(request: Request, chart_number: str) -> Identity | None:
    request.access_action = AccessLog.Action.VIEW  # type: ignore[attr-defined]
    digests = [identity.chart_digest(site, chart_number) for site in request.sites]
    found = rows(request, Identity).filter(chart_digest__in=digests, participant__voided_at=None)
    return found.order_by("-pk").first()


def participant(request: Request, pk: int) -> HttpResponse:
    """One participant: where they stand, what is next, and every form, event and consent."""
    arm = Allocation.objects.filter(participant=OuterRef("pk")).values("arm")
    version = approved_at(request.sites.values()).values("version")[:1]
    found = Participant.objects.annotate(
        site_locked=_locked(), arm=Subquery(arm), version_here=Subquery(version)
    )
    person = find(request, found, pk=pk)
    person.site = request.sites[person.site_id]
    visits = list(person.visits.order_by("day", "number", "pk"))
    for visit in visits:
        visit.participant = person
    entries, events = entries_of(person, visits), _events(person)
    _count_treatments(visits, entries)
    signatures = signatures_of(person)
    fits = signatures[0].fits if signatures else None  # type: ignore[attr-defined]
    around = Around(person.site.today(), person.site_locked, signature=fits)  # type: ignore[attr-defined]
    context = {
        "person": person,
        "around": around,
        "grid": form_grid(request, visits, entries, around),
        "own_forms": own_forms(request, person, entries, around),
        "events": events,
        "consents": consents_shown(person, person.version_here or person.version_id),  # type: ignore[attr-defined]
        "withdrawals": list(person.withdrawals.order_by("withdrawn_on", "pk")),
        "signatures": signatures,
        "void_visits": [visit for visit in visits if visit.voided_at],
        "void_entries": [(each, form_title(each)) for each in entries if each.voided_at],
    }
    queries = sum(each.open_queries for each in (*entries, *events))  # type: ignore[attr-defined]
    context |= _standing(request, person, visits, entries, around, queries)
    return render(request, "participants/participant.html", context)


def _standing(
    request: Request,
    person: Participant,
    visits: list[Visit],
    entries: list[Entry],
    around: Around,
    queries: int,
) -> dict[str, Any]:
    """Where a participant stands, what is next, and what this person may do about it."""
    protocol = protocol_of(person.version_id)
    arms = bool(protocol.arms)
    arm = person.arm if arms else None  # type: ignore[attr-defined]
    following = work.next_step(
        person,
        visits,
        entries,
        on=around.today,
        allocated=arm is not None or not arms,
        queries=queries,
        signature=around.signature,
    )
    allocated = arm is not None
    possible = acts(request, person, allocated=allocated, locked=around.locked)
    may = {each.name.lower(): request.may(each, person.site_id) for each in SHOWN_TO}
    return {
        "state": work.STATES[person.state],
        "next": step_shown(request, person, following, around),
        "links": [each for each in possible if each.name in READ],
        "acts": [each for each in possible if each.name not in READ],
        "failed": [protocol.criterion(code) for code in person.failed_criteria or ()],
        "end_reason": end_reason(person),
        "arm": arm and protocol.arm(arm).label,
        "may": may,
        "may_write": may["enter"] and not (around.locked or person.voided_at),
    }


def _treated_on(person: Participant) -> tuple[str | None, str | None]:
    """The form of a treatment, and its question for the day."""
    definition = definition_of(person.version_id)
    log = definition.protocol.safety.procedure
    items = definition.instrument(log).items if log else ()
    return log, next((item.code for item in items if isinstance(item, DateItem)), None)


def _count_treatments(visits: list[Visit], entries: list[Entry]) -> None:
    """How many treatments there were up to each visit: as in the dataset, by the day of each."""
    days = [entry.day for entry in entries if entry.day]  # type: ignore[attr-defined]
    for visit in visits:
        if visit.happened_on and days:
            until = visit.happened_on.isoformat()
            visit.treated = sum(day <= until for day in days)  # type: ignore[attr-defined]


# Written out, as in registry.work: Django would word the sixty columns of both for each page.
_WITHOUT_ANSWERS = [
    field.column
    for field in Entry._meta.concrete_fields
    if field.column not in ("answers", "meta", "scores")
]
_ENTRIES = f"""
SELECT {", ".join(f"entry.{column}" for column in _WITHOUT_ANSWERS)},
  EXISTS (SELECT FROM crf_verification
    WHERE entry_id = entry.id AND crf_verification.digest = entry.digest) AS verified,
  (SELECT count(*) FROM crf_query
    WHERE entry_id = entry.id AND state <> 'closed') AS open_queries,
  CASE WHEN entry.instrument = %s::text AND entry.started_at IS NOT NULL
    AND entry.voided_at IS NULL AND entry.cancelled_at IS NULL
    THEN entry.answers ->> %s::text END AS day
FROM crf_entry AS entry WHERE entry.participant_id = %s
ORDER BY entry.instrument, entry.number, entry.id
"""  # noqa: S608
_EVENTS = """
SELECT event.*, (SELECT count(*) FROM crf_query
  WHERE adverse_event_id = event.id AND state <> 'closed') AS open_queries
FROM safety_adverseevent AS event WHERE event.participant_id = %s
ORDER BY event.number
"""


def entries_of(person: Participant, visits: list[Visit]) -> list[Entry]:
    """Every entry of a participant, with its visit, its open queries and whether it is verified."""
    entries = list(Entry.objects.raw(_ENTRIES, [*_treated_on(person), person.pk]))
    by_key = {visit.pk: visit for visit in visits}
    for entry in entries:
        entry.participant = person
        entry.visit = by_key.get(entry.visit_id) if entry.visit_id else None
    order = {code: n for n, code in enumerate(protocol_of(person.version_id).instruments)}
    return sorted(entries, key=lambda entry: order.get(entry.instrument, len(order)))


def _events(person: Participant) -> list[AdverseEvent]:
    return list(AdverseEvent.objects.raw(_EVENTS, [person.pk]))


def identity_shown(request: Request, pk: int) -> HttpResponse:
    """Name, birth date, chart number and contact, at the participant's own hospital alone."""
    person = find(request, Participant, pk=pk)
    context = {"person": person, "identity": person_of(person)}
    return render(request, "participants/identity.html", context)
