"""What the page of one adverse event shows, alone or in the pane beside the queue."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.services import is_locked
from registry.display import visit_title
from registry.forms.safety import AskForm, ReviewForm
from registry.services import protocol_of
from registry.views.queries import thread_of, threads
from safety.cautions import cautions, treatments
from safety.display import LABELS, differences, text_of
from safety.models import AdverseEvent
from safety.queue import NEW, REVIEWED, with_state
from safety.services import deadline_of, rules_at
from sites.access import Request, find
from sites.roles import Permission as P

FULL = len("2026-11-21")
NEAR = 28  # days before and after the onset that the page tells of
GROUPS = (
    ("what", ("symptom", "term", "grade", "onset", "ended", "outcome")),
    ("serious", ("serious", "seriousness", "expected", "aware_on")),
    ("cause", ("causality", "suggested_causality", "causality_answers")),
    ("done", ("action", "treatment", "narrative")),
)
NOT_ASKED = ("suggested_causality", "causality_answers", "voided_at")


@dataclass(frozen=True)
class Fact:
    """A field with its text, and what it was when the event was last reviewed."""

    name: str
    label: str
    text: str
    change: Any = None


@dataclass(frozen=True)
class Moment:
    """Something that happened around the onset."""

    day: str
    kind: str
    label: str
    offset: str = ""
    url: str = ""


def fresh(request: Request, pk: int) -> Any:
    """The event as it is now, with where its review stands."""
    events = AdverseEvent.objects.select_related("participant", "site", "reported_by")
    return find(request, with_state(events), pk=pk)


def event_items() -> list[tuple[str, Any]]:
    """What a question may be about."""
    asked = [(name, label) for name, label in LABELS.items() if name not in NOT_ASKED]
    return [("", _("The whole event")), *asked]


def remarks(event: AdverseEvent) -> list[str]:
    days = [day for day, _entry in treatments(event.participant)]
    return cautions(event, consented_on=event.participant.consented_on, treated=days)


def page_of(
    request: Request,
    event: Any,
    *,
    review: ReviewForm | None = None,
    ask: AskForm | None = None,
    sentence: str = "",
    asked: bool = False,
    status: int = 200,
) -> HttpResponse:
    """The event's page, or its pane when the queue asks for it."""
    reviews = list(event.reviews.select_related("reviewed_by"))
    last = reviews[-1] if reviews else None
    changed = _since(event, last)
    treated = treatments(event.participant)
    rules = rules_at([event.site_id]).get(event.site_id)
    due = deadline_of(event, rules) if rules else None
    today = event.site.today()
    void = event.voided_at is not None
    locked = is_locked(event.site)
    reviewing = request.may(P.REVIEW_EVENTS, event.site_id) and not void
    context = {
        "event": event,
        "participant": event.participant,
        "site": request.sites[event.site_id],
        "stripe": request.sites[event.site_id].position % 8,
        "groups": [[_fact(event, name, changed) for name in names] for _key, names in GROUPS],
        "changed": changed,
        "state": event.state,
        "reviews": reviews[::-1],
        "last": last,
        "due": due,
        "days_left": (due.report_by - today).days if due else None,
        "days_to_report": (_site_day(event) - event.aware_on).days,
        "cautions": cautions(
            event,
            consented_on=event.participant.consented_on,
            treated=[day for day, _entry in treated],
        ),
        "moments": _moments(request, event, treated),
        "threads": [thread_of(request, query) for query in threads(event.queries.all())],
        "locked": locked,
        "may_edit": request.may(P.ENTER, event.site_id) and not void and not locked,
        "may_ask": request.may(P.QUERY, event.site_id) and not void and not locked,
        "may_trail": request.may(P.SEE_TRAIL, event.site_id),
        "review": review or ReviewForm(initial={"seen": event.digest, "review": event.review_id}),
        "may_review": reviewing,
        "decided": event.state == REVIEWED,
        "is_new": event.state == NEW,
        "ask": ask or AskForm(items=event_items()),
        "asked": asked,
        "sentence": sentence,
        "queue": request.POST.get("queue", request.GET.get("queue", "")),
        "next": request.POST.get("next", request.GET.get("next", "")),
    }
    name = "events/_pane.html" if request.htmx else "events/event.html"  # type: ignore[attr-defined]
    return render(request, name, context, status=status)


def _site_day(event: AdverseEvent) -> dt.date:
    return event.reported_at.astimezone(ZoneInfo(event.site.timezone)).date()


def _since(event: AdverseEvent, last: Any) -> dict[str, Any]:
    """Field → what differs from the state that was last reviewed; empty when nothing does."""
    if last is None or last.digest == event.digest:
        return {}
    rows = AdverseEvent.history.filter(id=event.pk, digest=last.digest)
    seen = rows.order_by("-history_id").first()
    return {each.name: each for each in differences(seen, event)} if seen else {}


def _fact(event: AdverseEvent, name: str, changed: dict[str, Any]) -> Fact:
    return Fact(name, str(LABELS[name]), text_of(event, name), changed.get(name))


def _moments(request: Request, event: AdverseEvent, treated: list[Any]) -> list[Moment]:
    """Consent, visits, treatments and the event itself, in the order of their days."""
    study, person = request.study.code, event.participant
    protocol, language = protocol_of(person.version_id), get_language() or "ko"
    found = []
    for visit in person.visits.valid().exclude(happened_on=None):
        day = str(visit.happened_on)
        url = reverse("visit", args=[study, visit.pk])
        found.append(Moment(day, "calendar", visit_title(protocol, visit), url=url))
    for day, entry in treated:
        instrument = instrument_of(entry)
        url = reverse("entry", args=[study, entry.pk])
        label = f"{instrument.short.get(language)} {entry.number}"
        found.append(Moment(day, "needle", label, url=url))
    found = _near(found, event.onset)
    consent = person.consented_on.isoformat()
    found.append(Moment(consent, "consent", _("Consent"), _offset(consent, event.onset)))
    found.append(Moment(event.onset, "ae", _("Onset")))
    found.append(Moment(event.aware_on.isoformat(), "eye", _("Site aware")))
    if event.ended:
        found.append(Moment(event.ended, "check", _("End")))
    return sorted(found, key=_day)


def _near(found: list[Moment], onset: str) -> list[Moment]:
    """Those within `NEAR` days of the onset, and the last visit and treatment before it."""
    last = {each.kind: each.day for each in sorted(found, key=_day) if each.day <= onset}
    return [
        replace(each, offset=_offset(each.day, onset))
        for each in found
        if abs(_days(each.day, onset)) <= NEAR or last.get(each.kind) == each.day
    ]


def _day(moment: Moment) -> str:
    return moment.day


def _days(day: str, onset: str) -> int:
    """Days from the onset; none where it is not known to the day."""
    if len(day) < FULL or len(onset) < FULL:
        return 0
    return (dt.date.fromisoformat(day) - dt.date.fromisoformat(onset)).days


def _offset(day: str, onset: str) -> str:
    days = _days(day, onset)
    return f"{days:+d}" if days else ""
