"""One entry as a page and as the answer to a save: what is shown, to whom, and what may be done."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import definition_of
from crf.display import answer_text
from crf.earlier import Earlier, earlier
from crf.forms import (
    Form,
    Typed,
    add_copied,
    conflict_shown,
    form_for,
    notes_of,
    scores_shown,
)
from crf.history import last_change
from crf.instrument import CodeItem, Instrument, Line
from crf.models import Entry
from crf.services import (
    Saved,
    copied_from,
    day_of,
    last_of,
    signature_state,
    unconfirmed,
)
from crf.workflow import Act, Around, State, Status, refusal, state_of, status_of
from registry.services import protocol_of, version_at
from registry.views.questions import notes_html, questions_html
from sites.access import Request, find
from sites.roles import Permission as P

SAID = 6  # answers of the last entry that are named before they are copied
# What lies around an entry and decides how it is shown. Written out, since this page is opened all
# day and the ORM takes longer to word three subqueries than the database to answer them.
AROUND = {
    name: RawSQL(f"EXISTS (SELECT 1 FROM {condition})", [], BooleanField())  # noqa: S608, S611
    for name, condition in {
        "locked": "crf_lock l WHERE l.site_id = crf_entry.site_id AND l.released_at IS NULL",
        "verified": "crf_verification v WHERE v.entry_id = crf_entry.id"
        " AND v.digest = crf_entry.digest",
        "sent": "crf_handover h WHERE h.visit_id = crf_entry.visit_id"
        " AND h.submitted_at IS NOT NULL AND h.instruments ? crf_entry.instrument",
        "signed": "crf_signature s WHERE s.participant_id = crf_entry.participant_id",
    }.items()
}


def entry_at(request: Request, pk: int) -> Entry:
    """The entry with all that decides how it is shown, in one statement."""
    record = find(
        request, Entry.objects.select_related("participant", "visit").annotate(**AROUND), pk=pk
    )
    record.site = record.participant.site = request.sites[record.site_id]
    if record.visit:
        record.visit.participant = record.participant
    return _under_its_version(record)


# What a save by the page's script asks of the entry before it holds the row and reads the rest.
HANDLE = (
    "site", "participant", "visit", "instrument", "version", "started_at", "completed_at",
    "voided_at", "cancelled_at",
)  # fmt: skip


def entry_handle(request: Request, pk: int) -> Entry:
    """The entry without its answers and what lies around it."""
    record = find(request, Entry.objects.only(*HANDLE), pk=pk)
    record.site = request.sites[record.site_id]
    return _under_its_version(record)


def _under_its_version(record: Entry) -> Entry:
    """A form that nobody has begun is shown under the version that is in use at its site."""
    if state_of(record) is State.EXPECTED:
        version = version_at(record.site)
        if record.instrument in definition_of(version.pk).instruments:
            record.version = version
    return record


def instrument_at(record: Entry) -> Instrument:
    return definition_of(record.version_id).instrument(record.instrument)


def title_of(record: Entry) -> str:
    return instrument_at(record).title.get(get_language() or "ko")


def _status(record: Any) -> Status:
    signature = None
    if record.signed:
        signature = signature_state([record.participant_id]).get(record.participant_id)
    around = Around(
        today=record.site.today(),
        locked=record.locked,
        verified=record.verified,
        signature=signature,
    )
    return status_of(record, record.visit, around)


def _why_closed(request: Request, record: Any) -> str:
    """Why nothing can be entered here now; empty when it can."""
    if not request.may(P.ENTER, record.site_id):
        return _("You can read this form. Answers are entered by the site.")
    act = Act.CORRECT if record.completed_at else Act.SAVE
    if sentence := refusal(act, record):
        return sentence
    if record.locked:
        return _("The data of this site are locked.")
    if record.participant.voided_at:
        return _("This participant was entered in error and is void.")
    if record.visit and record.visit.missed_at:
        return _("This visit is marked as missed. Record its date first.")
    if record.visit and not record.visit.happened_on:
        return _("Please record the visit date first.")
    return ""


def with_authors(record: Entry, conflicts: dict[str, Any]) -> dict[str, Any]:
    """The conflicts with who saved the other answer, and when."""
    named = {}
    for item, conflict in conflicts.items():
        who, at = last_change(record, item)
        moment = timezone.localtime(at).strftime("%H:%M:%S") if at else ""
        named[item] = {**conflict, "who": who, "at": moment}
    return named


def siblings(record: Entry) -> list[Entry]:
    """The forms of the same visit in the protocol's order."""
    if record.visit is None:
        return []
    order = [form.instrument for form in _forms_of(record)]
    found = (
        Entry.objects.filter(visit=record.visit, voided_at=None, cancelled_at=None)
        .only("instrument", "started_at", "completed_at", "voided_at", "cancelled_at")
        .order_by()
    )
    return sorted(
        found,
        key=lambda e: (
            order.index(e.instrument) if e.instrument in order else len(order),
            e.instrument,
        ),
    )


def _forms_of(record: Entry) -> Any:
    protocol = protocol_of(record.version_id)
    visit = record.visit
    planned = {each.code: each.forms for each in protocol.visits}
    return planned.get(visit.code if visit else "", protocol.unscheduled or ())


def entry_page(
    request: Request, record: Entry, typed: Typed | None = None, refused: str = ""
) -> HttpResponse:
    lang = get_language() or "ko"
    before = earlier(record)
    form = form_for(record, lang, typed, before)
    closed = _why_closed(request, record)
    for each in form.fields:
        _link(request, record.pk, each["code"], each["notes"])
    errors = summary(form, refused) if typed or refused else []
    forms = siblings(record)
    newest = definition_of(record.participant.version_id).instruments
    titles = {**newest, **definition_of(record.version_id).instruments}
    place = next((n for n, each in enumerate(forms) if each.pk == record.pk), 0)
    study = request.study.code
    here = reverse("entry", args=[study, record.pk])
    context: dict[str, Any] = {
        "entry": record,
        "participant": record.participant,
        "visit": record.visit,
        "icons": static("icons.svg"),
        "title": form.title,
        "version": definition_of(record.version_id).protocol.version,
        "questions": form,
        "status": _status(record),
        "closed": closed,
        "completed": state_of(record) is State.COMPLETE,
        "base": json.dumps(form.base, ensure_ascii=False),
        "op": uuid.uuid4(),
        "errors": errors,
        "copying": None if closed else _copying(record, lang),
        "has_errors": bool(errors),
        "may_confirm": not closed,
        "may_verify": request.may(P.VERIFY, record.site_id)
        and not refusal(Act.VERIFY, record)
        and not getattr(record, "verified", False),
        "may_ask": request.may(P.QUERY, record.site_id) and not refusal(Act.QUERY, record),
        "may_void": not closed and not refusal(Act.VOID, record),
        "queries_url": f"{here}about/",
        "history_url": reverse("entry_history", args=[study, record.pk]),
        "codes_url": reverse("codes", args=[study, "x"]).removesuffix("x/"),
        "siblings": [
            {
                "url": reverse("entry", args=[study, each.pk]),
                "label": titles[each.instrument].short.get(lang),
                "state": state_of(each).value,
                "current": each.pk == record.pk,
            }
            for each in forms
            if each.instrument in titles
        ],
        "previous": forms[place - 1] if place else None,
        "next": forms[place + 1] if place + 1 < len(forms) else None,
        "crumbs": [
            {"label": _("Participants"), "url": reverse("participants", args=[study])},
            {
                "label": record.participant.number,
                "url": reverse("participant", args=[study, record.participant_id]),
            },
            {"label": form.title, "url": ""},
        ],
    }
    if not closed:
        context["html"] = questions_html(
            form,
            version_id=record.version_id,
            lang=lang,
            before=before,
            around={
                **_lines(record, before),
                "history_url": context["history_url"],
                "queries_url": context["queries_url"],
                "codes_url": context["codes_url"],
                "here": here,
                "digits": "" if request.COOKIES.get("digits") == "off" else " checked",
                "rest_hidden": " hidden" if context["completed"] else "",
                "quick": render_to_string("entries/_quick.html", {"quick": quick_days(record)}),
            },
        )
    name = "entries/read.html" if closed else "entries/entry.html"
    return render(request, name, context, status=422 if errors else 200)


def _lines(record: Entry, before: Earlier | None) -> dict[str, str]:
    """Line → what the same treatment was at the visit before, in words."""
    said = {}
    for line in (each for section in instrument_at(record).sections for each in section.items):
        if before and isinstance(line, Line):
            words = " · ".join(filter(None, (before.said(item.code) for item in line.items)))
            said[f"{line.code}~before"] = f"{before.when}: {words}" if words else ""
    return said


def _copying(record: Entry, lang: str) -> dict[str, Any] | None:
    """What could be filled in from the last entry of this form, or was and waits for a look."""
    instrument = instrument_at(record)
    if not instrument.copies or state_of(record) is State.COMPLETE:
        return None
    waiting = unconfirmed(record)
    if waiting or copied_from(record.meta):
        return {"waiting": len(waiting), "number": copied_from(record.meta), "last": None}
    last = last_of(record)
    if last is None:
        return None
    said = [
        answer_text(item, last.answers[item.code])
        for item in instrument.items
        if item.code in instrument.copies and item.code in last.answers
    ]
    return {"waiting": 0, "last": last, "day": day_of(last), "said": said[:SAID]}


def quick_days(record: Entry) -> list[dict[str, str]]:
    """Buttons beside every date: the site's today, yesterday, the day of the visit."""
    today = record.site.today()
    days = [(_("Today"), today), (_("Yesterday"), today - dt.timedelta(days=1))]
    if record.visit and record.visit.happened_on:
        days.append((_("Visit date"), record.visit.happened_on))
    return [{"label": label, "value": day.isoformat()} for label, day in days]


def summary(form: Form, refused: str) -> list[dict[str, str]]:
    """The errors of a page in the order of the form, each with the way to its question."""
    errors = [{"href": "", "text": refused}] if refused else []
    for each in form.fields:
        text = each["error"] or (
            _("Somebody else changed this answer meanwhile.") if each["conflict"] else ""
        )
        if text:
            errors.append({"href": f"#f-{each['code']}", "text": f"{each['label']}: {text}"})
    return errors


def _link(request: Request, entry_id: int, item: str, notes: list[dict[str, Any]]) -> None:
    for note in notes:
        if note["query"]:
            note["url"] = reverse("query", args=[request.study.code, note["query"]])
            note["about"] = reverse("item_queries", args=[request.study.code, entry_id, item])


def save_answer(request: Request, record: Entry, saved: Saved) -> dict[str, Any]:
    """What the page's script needs: the save, and what to show, in the reader's language."""
    lang = get_language() or "ko"
    instrument = instrument_at(record)
    notes = notes_of(
        instrument,
        [check["code"] for check in saved.checks],
        [item for item in saved.answers if item not in saved.shown],
        saved.queries,
        lang,
    )
    add_copied(notes, saved.copied)
    typed = Typed(errors=saved.errors, conflicts=with_authors(record, saved.conflicts))
    shown = {}
    for item in {*notes, *saved.errors, *saved.conflicts} - {""}:
        if not instrument.has(item):
            continue
        _link(request, record.pk, item, notes.get(item, []))
        beside = _beside(instrument, item, typed, notes.get(item, []))
        shown[item] = notes_html(beside, may_confirm=True)
    before = earlier(record) if instrument.scores else None
    scores = scores_shown(instrument, saved.scores, saved.answers, lang, before)
    return saved.as_dict() | {
        "notes": shown,
        "scores_html": render_to_string("entries/_scores.html", {"scores": scores}),
        "coded": {
            item.code: answer_text(item, saved.answers[item.code])
            .removeprefix(str(saved.answers[item.code]))
            .strip()
            for item in instrument.items
            if isinstance(item, CodeItem) and item.code in saved.answers
        },
        "time": timezone.localtime().strftime("%H:%M:%S"),
    }


def _beside(
    instrument: Instrument, item: str, typed: Typed, notes: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "code": item,
        "error": typed.errors.get(item, ""),
        "conflict": conflict_shown(instrument.item(item), typed.conflicts.get(item)),
        "notes": notes,
    }
