"""The trail as people read it: which question changed from what to what, who did it, when and why.

History rows are whole copies of a row; what is read here is the difference between one copy and
the one before it. Answers are told item by item, by the words of the question and not its code.
Names and birth dates stay encrypted: of them only the fact of a change is shown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.definitions import definition_of
from crf.display import answer_text
from crf.instrument import Instrument
from crf.models import Entry, Handover, QueryMessage, Reminder, Verification
from crf.records import NAMES, field_word, told_fields, value_word, version_word, visit_word
from crf.services.queries import message_text, question_text
from registry.models import Participant, Visit
from registry.protocol import Protocol
from registry.services import protocol_of
from sites.audit import role_word, source_word, who_wrote
from sites.models import Site, User


@dataclass(frozen=True)
class Change:
    """One thing that changed, as one line of a history."""

    at: dt.datetime
    who: str
    role: str
    site: str
    kind: str  # the model's label
    subject: str  # which record: "4주 · NRS"
    item: str  # which question or field, in words
    old: str
    new: str
    reason: str
    source: str
    code: str = ""  # the item's code
    captured_at: dt.datetime | None = None
    order: int = 0


# A form -----------------------------------------------------------------------------------------


def entry_changes(entry: Entry, item: str | None = None) -> list[Change]:
    """Everything that happened to a form, or to one of its questions; the newest first."""
    rows = list(entry.history.order_by("history_id"))
    people = _people(rows)
    found = list(_entry_steps(rows, people, _entry_subject(entry)))
    if item is not None:
        found = [change for change in found if change.code == item]
    queries = entry.queries.all() if item is None else entry.queries.filter(item=item)
    messages = QueryMessage.objects.filter(query__in=queries).select_related("query__entry", "by")
    found += [_message(message) for message in messages]
    return newest_first(found)


def last_change(entry: Entry, item: str) -> tuple[str, dt.datetime | None]:
    """Who gave the answer that is stored now, and when."""
    changed = [change for change in entry_changes(entry, item) if change.kind == "crf.Entry"]
    return (changed[0].who, changed[0].at) if changed else ("", None)


def _entry_steps(rows: Iterable[Any], people: _People, subject: str) -> Iterator[Change]:
    before: Any = None
    for row in rows:
        line = _line(row, people, "crf.Entry", subject)
        if before is None:
            yield replace(line, item=_("Form"), new=_("expected"))
        else:
            yield from _acts(before, row, line)
        instrument = definition_of(row.version_id).instruments.get(row.instrument)
        if instrument:
            yield from _answers(before, row, line, instrument)
            if before is not None and (items := _confirmed(before, row, instrument)):
                said = _("confirmed: %(items)s") % {"items": ", ".join(items)}
                yield replace(line, item=_("Copied answers"), new=said)
        before = row


def _acts(before: Any, row: Any, line: Change) -> Iterator[Change]:
    """Completion, voiding and the like: times that appear or go."""
    for name, said, gone in (
        ("completed_at", _("complete"), _("open again")),
        ("cancelled_at", _("no longer due"), _("due again")),
        ("voided_at", _("void"), _("valid again")),
    ):
        was, now = getattr(before, name), getattr(row, name)
        if bool(was) != bool(now):
            yield replace(line, item=_("Form"), new=said if now else gone)
    if before.version_id != row.version_id:
        old, new = version_word(before.version_id), version_word(row.version_id)
        yield replace(line, item=_("Protocol version"), old=old, new=new)


def _answers(before: Any, row: Any, line: Change, instrument: Instrument) -> Iterator[Change]:
    for item in instrument.items:
        old = _answer(before, item.code) if before else (None, None)
        new = _answer(row, item.code)
        if old != new:
            yield replace(
                line,
                item=item.label.get(get_language() or "ko"),
                code=item.code,
                old=answer_text(item, *old),
                new=answer_text(item, *new),
                reason=_reason_of(item.code, line.reason),
                source=_source(row, item.code, line.source),
            )


def _source(row: Any, item: str, otherwise: str) -> str:
    """Where the answer came from: an earlier entry, where it was copied."""
    about = row.meta.get(item, {})
    if "copied" not in about:
        return otherwise
    return _("copied from entry %(number)s") % {"number": about["copied"]}


def _confirmed(before: Any, row: Any, instrument: Instrument) -> list[str]:
    """The questions whose copied answers somebody said to hold here too, in this step."""
    return [
        item.label.get(get_language() or "ko")
        for item in instrument.items
        if "unconfirmed" in before.meta.get(item.code, {})
        and "copied" in row.meta.get(item.code, {})
        and "unconfirmed" not in row.meta[item.code]
    ]


def _answer(row: Any, item: str) -> tuple[Any, str | None]:
    return row.answers.get(item), row.meta.get(item, {}).get("missing")


def _reason_of(item: str, reason: str) -> str:
    """A save of several items with a reason each keeps a line for each of them."""
    lines = [line for line in reason.split("\n") if line.startswith(f"{item}: ")]
    return "\n".join(line.removeprefix(f"{item}: ") for line in lines) or reason


def _message(message: QueryMessage) -> Change:
    query = message.query
    item = ""
    if query.entry is not None and query.item:
        instrument = definition_of(query.entry.version_id).instrument(query.entry.instrument)
        if instrument.has(query.item):
            item = instrument.item(query.item).label.get(get_language() or "ko")
    said = message_text(message)
    if message.act == QueryMessage.Act.ASK:
        said = question_text(query)
    return Change(
        at=message.at,
        who=str(message.by) if message.by else _("System"),
        role="",
        site="",
        kind="crf.Query",
        subject=item,
        item=f"{_('Query')}: {message.get_act_display()}",
        old="",
        new=said,
        reason="",
        source="",
        code=query.item,
    )


def _entry_subject(entry: Entry) -> str:
    instrument = definition_of(entry.version_id).instruments.get(entry.instrument)
    title = instrument.short.get(get_language() or "ko") if instrument else entry.instrument
    number = f" {entry.number}" if entry.number > 1 or entry.visit_id is None else ""
    return f"{_visit_name(entry.visit)}{title}{number}"


def _visit_name(visit: Visit | None) -> str:
    if visit is None:
        return ""
    return f"{visit_word(visit, protocol_of(visit.participant.version_id))} · "


# Any other row ----------------------------------------------------------------------------------


def _field_steps(
    model: type[models.Model], rows: Iterable[Any], people: _People, subject: str, told: Protocol
) -> Iterator[Change]:
    label = model._meta.label
    before: dict[Any, Any] = {}

    def said(field: Any, row: Any) -> str:
        return value_word(field, row, people.users, people.zone(row), told)

    for row in rows:
        line = _line(row, people, label, subject)
        was = before.get(row.pk_of)
        fields = [field for field in told_fields(model) if hasattr(row, field.attname)]
        if was is None:
            words = ((field_word(field), said(field, row)) for field in fields)
            new = "; ".join(f"{word}: {text}" for word, text in words if text)
            yield replace(line, item=_("made"), new=new or str(NAMES.get(label, label)))
        elif row.history_type == "-":
            yield replace(line, item=_("deleted"))
        else:
            for field in fields:
                if getattr(was, field.attname) != getattr(row, field.attname):
                    yield replace(
                        line, item=field_word(field), old=said(field, was), new=said(field, row)
                    )
        before[row.pk_of] = row


# Everything about one participant ---------------------------------------------------------------


def participant_changes(participant: Participant, *, see_arm: bool) -> list[Change]:
    """The timeline over all protected tables here and below; `safety` tells its events itself."""
    protocol = protocol_of(participant.version_id)
    entries = {
        entry.pk: entry
        for entry in participant.entries.select_related("visit__participant", "participant")
    }
    visits = {visit.pk: visit for visit in participant.visits.select_related("participant")}
    fetched = [
        (model, list(rows.order_by("history_id")))
        for model, rows in histories(participant)
        if see_arm or model._meta.label != "registry.Allocation"
    ]
    people = _people(chain.from_iterable(rows for _model, rows in fetched))
    found: list[Change] = []
    for model, rows in fetched:
        by_record: dict[int, list[Any]] = {}
        for row in rows:
            by_record.setdefault(row.id, []).append(row)
        for pk, own in by_record.items():
            if model is Entry:
                found += _entry_steps(own, people, _entry_subject(entries[pk]))
                continue
            subject = visit_word(visits[pk], protocol) if model is Visit else ""
            if model in (Handover, Reminder):
                word = visit_word(visits[own[0].visit_id], protocol)
                subject = f"{NAMES[model._meta.label]} · {word}"
            if model is Verification:
                subject = _entry_subject(entries[own[0].entry_id])
            found += _field_steps(model, own, people, subject, protocol)
    messages = QueryMessage.objects.filter(query__participant=participant)
    for message in messages.select_related("query__entry", "query__adverse_event", "by"):
        query, change = message.query, _message(message)
        event = query.adverse_event
        about = f"{_('Adverse event')} {event.number}" if event else ""
        about = _entry_subject(entries[query.entry_id]) if query.entry_id else about
        found.append(replace(change, subject=" · ".join(filter(None, (about, change.subject)))))
    return newest_first(found)


def histories(participant: Participant) -> Iterator[tuple[type[models.Model], Any]]:
    """Each protected model with the history rows that belong to the participant."""
    for model, path in _paths():
        history = model._meta.apps.get_model(
            model._meta.app_label, f"Historical{model._meta.object_name}"
        )
        if path == "":
            yield model, history.objects.filter(id=participant.pk)
        elif path == "participant":
            yield model, history.objects.filter(participant_id=participant.pk)
        else:
            parent: Any = model._meta.get_field(path).related_model
            of_participant = parent._default_manager.filter(participant=participant)
            yield model, history.objects.filter(**{f"{path}_id__in": of_participant.values("pk")})


@cache
def _paths() -> tuple[tuple[type[models.Model], str], ...]:
    """Protected models and the field that leads to the participant; "" is the participant."""
    found: list[tuple[type[models.Model], str]] = []
    for model in apps.get_models():
        if not hasattr(model, "history") or model._meta.app_label == "safety":
            continue
        if model._meta.label in ("crf.Query", "crf.QueryMessage"):
            continue  # what a query went through is told by its messages
        names = {field.name for field in model._meta.local_concrete_fields}
        if model is Participant:
            found.append((model, ""))
        elif "participant" in names:
            found.append((model, "participant"))
        else:
            parents = [
                field.name
                for field in model._meta.local_concrete_fields
                if isinstance(field, models.ForeignKey)
                and any(f.name == "participant" for f in field.related_model._meta.fields)
            ]
            found += [(model, parents[0])] if parents else []
    return tuple(found)


# Who and when -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _People:
    """The names behind the numbers of history rows, fetched once."""

    users: Mapping[int, User]
    sites: Mapping[int, Site]

    @property
    def names(self) -> dict[int, str]:
        return {pk: str(user) for pk, user in self.users.items()}

    def zone(self, row: Any) -> Any:
        site = self.sites.get(getattr(row, "site_id", None) or 0)
        return ZoneInfo(site.timezone if site else "Asia/Seoul")


def _people(rows: Iterable[Any]) -> _People:
    users: set[int] = set()
    sites: set[int] = set()
    for row in rows:
        for field in row._meta.concrete_fields:
            if field.name == "history_user_id" or getattr(field, "related_model", None) is User:
                users.add(getattr(row, field.attname) or 0)
        sites.add(getattr(row, "site_id", None) or 0)
    return _People(User.objects.in_bulk(users - {0}), Site.objects.in_bulk(sites - {0}))


def _line(row: Any, people: _People, kind: str, subject: str) -> Change:
    """A change with all but what changed."""
    row.pk_of = row.id
    site = people.sites.get(getattr(row, "site_id", None) or 0)
    return Change(
        at=row.history_date,
        who=who_wrote(row, people.names),
        role=role_word(row.history_role),
        site=site.short if site else "",
        kind=kind,
        subject=subject or str(NAMES.get(kind, kind)),
        item="",
        old="",
        new="",
        reason=row.history_change_reason or "",
        source=source_word(row.history_source),
        captured_at=row.history_captured_at,
        order=row.history_id,
    )


def newest_first(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda each: (each.at, each.order), reverse=True)


def kinds_of(changes: Iterable[Change]) -> list[tuple[str, str]]:
    """The kinds of records that a timeline holds, for its filter."""
    found = {change.kind for change in changes}
    return [(label, str(name)) for label, name in NAMES.items() if label in found]


__all__ = [
    "Change",
    "entry_changes",
    "histories",
    "kinds_of",
    "last_change",
    "newest_first",
    "participant_changes",
]
