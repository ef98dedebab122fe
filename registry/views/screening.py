"""Screening: the log of everybody screened, the decision by the protocol's criteria, enrolment."""

from __future__ import annotations

from collections import Counter as Counted
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.instrument import judge
from crf.models import Entry
from crf.services import entry_facts
from crf.workflow import State, state_of
from registry.forms import posted, put
from registry.forms.participants import EnrolForm, ScreeningForm
from registry.models import Counter, Participant, Prescreen
from registry.protocol import Criterion, Protocol
from registry.services import assess, protocol_of, screen
from registry.services import enrol as give_number
from registry.views.grids import visit_columns
from registry.work import STATES
from sites.access import Refused, Request, find, rows, show
from sites.roles import Permission

PER_PAGE = 50


def screening_log(request: Request) -> HttpResponse:
    """Everybody screened, with the criteria not met, and who was approached before consent."""
    here = [site for site in request.sites.values() if site.code == request.GET.get("site")]
    sites = here or list(request.sites.values())
    people = rows(request, Participant).filter(site__in=sites)
    page = Paginator(people.order_by("-pk"), PER_PAGE).get_page(request.GET.get("page"))
    listed = list(page.object_list)
    show(request, listed)
    valid, prescreened = people.filter(voided_at=None), _prescreened(request, sites)
    context = {
        "page_obj": page,
        "records": [_logged(request, person) for person in listed],
        "counts": valid.aggregate(
            screened=Count("pk"),
            failed=Count("pk", filter=Q(failed_criteria__isnull=False)),
            enrolled=Count("pk", filter=Q(enrolled_at__isnull=False)),
        ),
        "prescreened": prescreened,
        "not_met": _not_met(people.filter(voided_at=None)),
        "prescreened_total": sum(count for _label, count in prescreened),
        "sites": list(request.sites.values()),
        "chosen": here[0].code if here else "",
        "may_enter": request.may(Permission.ENTER),
    }
    return render(request, "participants/screening_log.html", context)


@dataclass(frozen=True)
class _Logged:
    person: Participant
    site: Any
    state: Any
    failed: list[Criterion]


def _logged(request: Request, person: Participant) -> _Logged:
    protocol = protocol_of(person.version_id)
    failed = [protocol.criterion(code) for code in person.failed_criteria or ()]
    return _Logged(person, request.sites[person.site_id], STATES[person.state], failed)


def _prescreened(request: Request, sites: list[Any]) -> list[tuple[Any, int]]:
    """Reason → how many, in the protocol's order; reasons of older versions by their code."""
    counted = rows(request, Prescreen).filter(site__in=sites).values_list("reason")
    counts = dict(counted.annotate(n=Count("pk")).order_by())
    newest = request.study.versions.order_by("-number").first()
    reasons = protocol_of(newest).prescreen_reasons if newest else ()
    return [(each.label, counts.get(each.code, 0)) for each in reasons]


def _not_met(people: QuerySet[Participant]) -> list[tuple[Criterion, int]]:
    """Criterion → how many screen failures it excluded, the commonest first."""
    failures = people.filter(failed_criteria__isnull=False)
    counted: Counted[tuple[int, str]] = Counted(
        (version, code)
        for version, codes in failures.values_list("version_id", "failed_criteria")
        for code in codes or ()
    )
    return [
        (protocol_of(version).criterion(code), count)
        for (version, code), count in counted.most_common()
    ]


@dataclass(frozen=True)
class Verdict:
    """One criterion and what the answers say: met as it should be, not so, or undecided (None)."""

    criterion: Criterion
    allows: bool | None


def screening_decision(request: Request, pk: int) -> HttpResponse:
    """What each criterion says; then eligible, or a screen failure with the criteria not met."""
    person = find(request, Participant, pk=pk)
    protocol = protocol_of(person.version_id)
    entry = (
        Entry.objects.filter(participant=person, instrument=protocol.screening, voided_at=None)
        .select_related("participant__site", "site")
        .first()
    )
    complete = entry is not None and state_of(entry) is State.COMPLETE
    answers = _answers(entry) if entry else {}
    verdicts = [
        Verdict(protocol.criterion(code), allows)
        for code, allows in assess(protocol, answers, person).items()
    ]
    failed = [each.criterion.code for each in verdicts if each.allows is False]
    decidable = complete and (bool(failed) or all(each.allows for each in verdicts))
    form = ScreeningForm(posted(request), again=person.state != "consented")
    valid = decidable and form.is_valid()
    if valid and _decide(request, person, protocol, answers, failed, form):
        return redirect("participant" if failed else "enrol", request.study.code, person.pk)
    context = {
        "person": person,
        "form": form,
        "entry": entry,
        "complete": complete,
        "decidable": decidable,
        "verdicts": verdicts,
        "failed": failed,
        "screening": protocol.screening,
        "open": person.state in ("consented", "screened", "failed"),
        "may_enter": request.may(Permission.ENTER, person.site_id),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "participants/screening_decision.html", context, status=status)


def _answers(entry: Entry) -> dict[str, Any]:
    """The answers as criteria see them: those of hidden questions don't count."""
    judgement = judge(instrument_of(entry), entry.answers, entry_facts(entry))
    return {item: judgement.context[item] for item in judgement.shown}


def _decide(
    request: Request,
    person: Participant,
    protocol: Protocol,
    answers: dict[str, Any],
    failed: list[str],
    form: ScreeningForm,
) -> bool:
    options = {option.code for option in protocol.cohort.options} if protocol.cohort else set()
    cohort = answers.get(protocol.cohort.item) if protocol.cohort else None
    try:
        screen(
            participant=person,
            failed=failed,
            cohort=cohort if cohort in options else "",
            reason=form.cleaned_data.get("reason", ""),
            by=request.by,
        )
    except Refused as refused:
        put(form, refused)
        return False
    done = _("The screen failure is recorded with its reasons.") if failed else _("Eligible.")
    messages.success(request, done)
    return True


def enrol(request: Request, pk: int) -> HttpResponse:
    """Gives the subject number and plans the visits, while the study has a place."""
    person = find(request, Participant, pk=pk)
    site = request.sites[person.site_id]
    form = EnrolForm(posted(request), today=site.today())
    if request.method == "POST" and form.is_valid():
        try:
            person = give_number(participant=person, on=form.cleaned_data["on"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            said = {"number": person.subject_number}
            messages.success(request, _("Enrolled. The subject number is %(number)s.") % said)
            return redirect("participant", request.study.code, person.pk)
    places = Counter.objects.filter(study=request.study, name="enrolled")
    context = {
        "person": person,
        "form": form,
        "places": [place for place in places.filter(Q(site=None) | Q(site=site)) if place.cap],
        "columns": visit_columns([person]),
    }
    status = 422 if form.errors else 200
    return render(request, "participants/enrol.html", context, status=status)
