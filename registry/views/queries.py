"""Queries: whose turn it is, the thread of one, and the acts upon it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.display import answer_text
from crf.models import Entry, Query, QueryMessage, whose_turn
from crf.services import answer_query, ask_query, close_query, reopen_query
from crf.services.entries import missing_reasons
from crf.services.queries import message_text, question_text
from registry.display import visit_title
from registry.forms import put
from registry.forms.queries import QueryFilter, SayForm
from registry.forms.safety import AskForm
from registry.services import protocol_of
from registry.work import void_at
from safety.display import LABELS, text_of
from sites.access import Refused, Request, find, rows, show
from sites.roles import Permission as P

PER_PAGE = 50


@dataclass(frozen=True)
class Turn:
    """One turn of a thread."""

    act: str
    text: str
    who: str
    at: Any
    own: bool


@dataclass
class Thread:
    """A query as a page shows it: what it is about, what was said, and what one may do."""

    query: Query
    about: str
    item: str
    value: str
    url: str
    question: str
    turns: list[Turn]
    may_answer: bool
    may_close: bool
    may_reopen: bool
    form: SayForm = field(default_factory=SayForm)

    @property
    def last(self) -> Turn | None:
        """The newest turn after the question."""
        return self.turns[-1] if len(self.turns) > 1 else None


def queries(request: Request) -> HttpResponse:
    """Queries of all sites that one sees, the oldest first; by default those whose turn is mine."""
    answering = [site for site in request.sites if request.may(P.ENTER, site)]
    asking = [site for site in request.sites if request.may(P.QUERY, site)]
    default = "mine" if answering or asking else "unresolved"
    chosen = QueryFilter(request.GET, sites=list(request.sites.values()), default=default)
    mine = whose_turn(answering, asking)
    condition = chosen.condition(mine)
    found = rows(request, Query).exclude(participant_id__in=void_at(list(request.sites)))
    numbers = found.exclude(state=Query.State.CLOSED).aggregate(
        mine=Count("pk", filter=mine), unresolved=Count("pk")
    )
    # The page is found by ids, where it can be in the index of open work; only they are read.
    paginator = Paginator(
        found.filter(condition).order_by("opened_at", "pk").values("pk"), PER_PAGE
    )
    state = chosen.cleaned_data.get("state", "")
    if state in numbers and not chosen.narrowed:
        paginator.__dict__["count"] = numbers[state]
    page: Any = paginator.get_page(request.GET.get("page"))
    listed = rows(request, Query).filter(pk__in=page.object_list).order_by("opened_at", "pk")
    page.object_list = list(threads(listed))
    show(request, page.object_list)
    context = {
        "filter": chosen,
        "page_obj": page,
        "rows": [_row(request, query) for query in page.object_list],
        "tabs": _tabs(request, chosen, numbers, mine=bool(answering or asking)),
    }
    return render(request, "queries/queries.html", context)


def _row(request: Request, query: Query) -> dict[str, Any]:
    site = request.sites[query.site_id]
    opened = query.opened_at.astimezone(ZoneInfo(site.timezone)).date()
    return {
        "thread": thread_of(request, query),
        "site": site,
        "stripe": site.position % 8,
        "days": (site.today() - opened).days,
    }


def _tabs(
    request: Request, chosen: QueryFilter, numbers: dict[str, int], *, mine: bool
) -> list[dict[str, Any]]:
    base = reverse("queries", args=[request.study.code])
    return [
        {
            "label": label,
            "url": f"{base}?state={state}",
            "current": chosen.cleaned_data.get("state") == state,
            "count": numbers.get(state),
            "late": state == "mine" and numbers["mine"] > 0,
        }
        for state, label in QueryFilter.STATES
        if mine or state != "mine"
    ]


def threads(found: QuerySet[Query]) -> QuerySet[Query]:
    """With everything that `thread_of` reads, so that a page of them costs no query each."""
    turns = QueryMessage.objects.select_related("by")
    return found.select_related(
        "participant", "entry__visit", "adverse_event", "opened_by"
    ).prefetch_related(Prefetch("messages", turns))


def thread_of(request: Request, query: Query) -> Thread:
    about, item, value, url = _context(request, query)
    void = (query.entry or query.adverse_event).voided_at  # type: ignore[union-attr]
    may_ask = request.may(P.QUERY, query.site_id)
    is_open, is_closed = (query.state == Query.State.OPEN, query.state == Query.State.CLOSED)
    corrected = is_closed and query.check_code and query.value_at_confirmation is None
    return Thread(
        query=query,
        about=about,
        item=item,
        value=value,
        url=url,
        question=question_text(query),
        turns=[
            Turn(
                act=said.get_act_display(),
                text=question_text(query)
                if said.by is None and said.act == QueryMessage.Act.ASK
                else message_text(said),
                who=str(said.by) if said.by else _("Automatic check"),
                at=said.at,
                own=said.by_id == request.user.pk,
            )
            for said in query.messages.all()
        ],
        may_answer=is_open and request.may(P.ENTER, query.site_id),
        may_close=not is_closed and may_ask,
        may_reopen=not is_open and may_ask and not corrected and not void,
    )


def _context(request: Request, query: Query) -> tuple[str, str, str, str]:
    """What a query is about: form or event, item, its value now, and the page of it."""
    study = request.study.code
    if query.adverse_event is not None:
        event = query.adverse_event
        about = _("Adverse event %(number)d: %(symptom)s") % {
            "number": event.number,
            "symptom": event.symptom,
        }
        known = query.item in LABELS
        item = str(LABELS[query.item]) if known else ""
        value = text_of(event, query.item) if known else ""
        return about, item, value, reverse("event", args=[study, event.pk])
    entry: Any = query.entry
    language = get_language() or "ko"
    instrument = instrument_of(entry)
    parts = [visit_title(protocol_of(entry.version_id), entry.visit)] if entry.visit else []
    number = f" {entry.number}" if instrument.repeating else ""
    about = " · ".join([*parts, instrument.title.get(language) + number])
    item = value = ""
    if query.item and instrument.has(query.item):
        asked = instrument.item(query.item)
        item = asked.label.get(language)
        missing = missing_reasons(entry).get(query.item)
        value = answer_text(asked, entry.answers.get(query.item), missing)
    anchor = f"#{query.item}" if query.item else ""
    return about, item, value, reverse("entry", args=[study, entry.pk]) + anchor


def query(request: Request, pk: int) -> HttpResponse:
    """One query on a page of its own."""
    found = find(request, threads(Query.objects.all()), pk=pk)
    return _page(request, thread_of(request, found))


def _page(request: Request, thread: Thread, status: int = 200) -> HttpResponse:
    name = "queries/_thread.html" if request.htmx else "queries/query.html"  # type: ignore[attr-defined]
    context = {"thread": thread, "participant": thread.query.participant, "done": status == 200}
    return render(request, name, context, status=status)


def query_answer(request: Request, pk: int) -> HttpResponse:
    return _act(request, pk, answer_query, _("Your answer was kept."))


def query_close(request: Request, pk: int) -> HttpResponse:
    return _act(request, pk, close_query, _("The query is closed."))


def query_reopen(request: Request, pk: int) -> HttpResponse:
    return _act(request, pk, reopen_query, _("The query is open again."))


def _act(request: Request, pk: int, act: Callable[..., Query], done: str) -> HttpResponse:
    """Say something in a thread; back to where it was shown, or the thread alone for htmx."""
    found = find(request, threads(Query.objects.all()), pk=pk)
    if request.method != "POST":
        return redirect("query", request.study.code, pk)
    form = SayForm(request.POST)
    if form.is_valid():
        try:
            act(query=found, text=form.cleaned_data["text"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            if not request.htmx:  # type: ignore[attr-defined]
                messages.success(request, done)
                return redirect(_back(request, pk))
            return _page(request, thread_of(request, threads(rows(request, Query)).get(pk=pk)))
    thread = thread_of(request, threads(rows(request, Query)).get(pk=pk))
    thread.form = form
    return _page(request, thread, status=422)


def _back(request: Request, pk: int) -> str:
    back = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure()):
        return f"{back}#query-{pk}"
    return reverse("query", args=[request.study.code, pk])


def entry_ask(request: Request, pk: int) -> HttpResponse:
    """A question about an item of a form, or about the whole form."""
    entry = find(request, Entry.objects.select_related("participant", "visit"), pk=pk)
    form = AskForm(
        request.POST or None,
        items=item_choices(entry),
        initial={"item": request.GET.get("item", "")},
    )
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            asked = ask_query(entry=entry, item=chosen["item"], text=chosen["text"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The site was asked."))
            return redirect(_back(request, asked.pk))
    context = {"form": form, "entry": entry, "participant": entry.participant}
    context |= {"title": instrument_of(entry).title, "next": request.POST.get("next", "")}
    status = 422 if form.is_bound else 200
    return render(request, "queries/ask.html", context, status=status)


def item_choices(entry: Entry) -> list[tuple[str, Any]]:
    language = get_language() or "ko"
    items = instrument_of(entry).items
    return [("", _("The whole form")), *((i.code, i.label.get(language)) for i in items)]
