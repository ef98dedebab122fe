"""Saving, completing and voiding a form.

One save carries what changed since the last one, with the base of each item. What can be kept is
kept, and the answer says item by item what was not: a format error, somebody else's change, a
reason that is missing. Values that are merely unlikely are kept and open a query.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crf import codelists
from crf.definitions import definition_of
from crf.instrument import CodeItem, Instrument, Judgement, judge
from crf.models import Entry, Operation, SecondLook
from crf.scoring import SCORES, compute
from crf.services.held import Known, hold, known
from crf.services.queries import close_for_void, current_queries, settle_checks
from crf.services.words import words
from crf.values import Invalid, parse, refuse_resident_number
from crf.workflow import Act, State, refusal, state_of
from registry.identity import has_resident_number
from registry.models import Participant, Visit
from registry.protocol import Protocol
from registry.services import version_at
from registry.services.schedule import facts_of
from sites.access import Refused
from sites.audit import Actor, acting

VERSIONS = "$versions"  # in `Entry.scores`: which version of each score computed it
REQUEST = (
    "$request"  # in `Operation.answer`: a digest of what was asked, so that an id is used once
)


@dataclass
class Saved:
    """What a save did, item by item.

    `errors` item → sentence (not stored); `conflicts` item → {"theirs", "mine"} (not stored, the
    person chooses); `needs_reason` items of a completed form that came without one (not stored).
    `copied` are answers taken over from an earlier entry that nobody confirmed yet.
    `checks` are the soft checks that are broken now, `queries` those that wait or that confirm a
    value, `shown` the items that apply.
    """

    entry_id: int
    accepted: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    conflicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    needs_reason: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    copied: dict[str, int] = field(default_factory=dict)
    answered: int = 0
    due: int = 0
    state: str = ""
    saved_at: str = ""

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def entry_facts(entry: Entry) -> dict[str, Any]:
    """What expressions of this form may ask about its participant and visit."""
    facts = facts_of(entry.participant)
    visit: Visit | None = entry.visit
    return facts | {
        "visit": visit.code if visit else None,
        "visit_day": visit.day if visit else None,
        "visit_date": visit.happened_on.isoformat() if visit and visit.happened_on else None,
        "today": entry.site.today().isoformat(),
    }


def missing_reasons(entry: Entry) -> dict[str, str]:
    """Item → why it has no value, for the items that are marked missing."""
    return {item: about["missing"] for item, about in entry.meta.items() if "missing" in about}


def unconfirmed(entry: Entry) -> dict[str, int]:
    """Item → the number of the entry that its answer was copied from, while nobody said that it
    holds here too.
    """
    return {item: about["copied"] for item, about in entry.meta.items() if "unconfirmed" in about}


def add_entry(
    *, participant: Participant, instrument: str, op: uuid.UUID | None = None, by: Actor
) -> Entry:
    """A new row of a participant's log, or the participant's screening form.

    With `op`, a repetition gets the same row again.
    """
    asked = _asked("add", participant.pk, instrument)
    if participant.voided_at:
        raise Refused(_("This participant was entered in error and is void."))
    version = version_at(participant.site)
    definition = definition_of(version.pk)
    logs = {log.instrument for log in definition.protocol.logs}
    if instrument not in {*logs, definition.protocol.screening}:
        raise Refused(_("This form belongs to a visit."))
    if instrument in logs and not participant.enrolled_at:
        raise Refused(_("Please enrol the participant first."))
    with acting(by):
        # One row at a time, so that two together don't get one number.
        Participant.objects.select_for_update().get(pk=participant.pk)
        # Ids are unique per person; a job, which is none, has no use for one.
        own = Operation.objects.filter(user_id=by.user_id or 0)
        done = own.filter(op=op).first() if op else None
        if done is not None:
            return _added_before(done, asked)
        existing = participant.entries.filter(visit=None, instrument=instrument)
        if instrument not in logs and existing.filter(voided_at=None).exists():
            raise Refused(_("This form exists already."))
        last = existing.aggregate(last=Max("number"))["last"]
        entry = Entry.objects.create(
            site_id=participant.site_id,
            participant=participant,
            instrument=instrument,
            number=(last or 0) + 1,
            version=version,
        )
        _remember(entry, op, {REQUEST: asked}, by)
    return entry


def _added_before(done: Operation, asked: str) -> Entry:
    if done.entry is None or done.answer.get(REQUEST) != asked:
        raise Refused(_("This operation id was already used for something else."))
    return done.entry


def save_entry(
    *,
    entry: Entry,
    changes: Mapping[str, Any],
    missing: Mapping[str, str | None] | None = None,
    base: Mapping[str, Any] | None = None,
    reasons: Mapping[str, str] | None = None,
    reason: str = "",
    op: uuid.UUID | None = None,
    captured_at: dt.datetime | None = None,
    strict: bool = False,
    by: Actor,
) -> Saved:
    """Store answers and missing reasons of one form.

    `changes` item → what was typed; `missing` item → reason code, or None to take the mark away;
    `base` item → the stored value that the person saw when answering (items left out are not
    compared). `reasons` and `reason` say why a completed form changes, or an answer that the
    participant gave. With `op`, a repetition
    gets the first answer again. `strict`: store nothing unless everything can be stored.
    """
    missing, reasons = missing or {}, reasons or {}
    asked = _asked(changes, missing, base, reasons, reason)
    with acting(by.captured(captured_at), _reason_text(reason, reasons)):
        entry = hold(entry)
        earlier = known(entry, by.user_id, op)
        if earlier.done:
            return _answered_before(earlier, entry, asked)
        require_open(entry, by)
        if entry.started_at is None:
            adopt_version(entry)
        instrument = definition_of(entry.version_id).instrument(entry.instrument)
        facts = entry_facts(entry)
        saved = Saved(entry_id=entry.pk)
        completed = state_of(entry) is State.COMPLETE
        answers, meta = dict(entry.answers), {k: dict(v) for k, v in entry.meta.items()}
        for item in [*changes, *(code for code in missing if code not in changes)]:
            if not instrument.has(item):
                saved.errors[item] = _("This form has no such question.")
                continue
            value = _parsed(entry, instrument, item, changes, missing, saved)
            if item in saved.errors or not _reason_is_plain(reasons.get(item, ""), item, saved):
                continue
            before = (entry.answers.get(item), entry.meta.get(item, {}).get("missing"))
            after = (value, missing.get(item))
            if after == before:
                saved.accepted.append(item)
            elif base is not None and item in base and not _same(base[item], before):
                saved.conflicts[item] = {"theirs": before[0], "missing": before[1], "mine": value}
            elif (completed or _of_participant(entry, item, by)) and not (
                reason.strip() or reasons.get(item, "").strip()
            ):
                saved.needs_reason.append(item)
            else:
                _put(instrument, answers, meta, item, value, missing.get(item), by)
                saved.accepted.append(item)
        refused = bool(saved.errors or saved.conflicts or saved.needs_reason)
        changed = (answers, meta) != (entry.answers, entry.meta) and not (strict and refused)
        if changed:
            entry.answers, entry.meta = answers, meta
        judgement = judge(instrument, entry.answers, facts)
        if changed:
            entry.scores = scores_of(instrument, answers, judgement.shown)
            entry.started_at = entry.started_at or timezone.now()
            entry.save(update_fields=["answers", "meta", "scores", "started_at", "version"])
            queries = settle_checks(entry, instrument, judgement, none_yet=not earlier.has_queries)
        else:
            queries = current_queries(entry) if earlier.has_queries else []
        describe(saved, entry, instrument, judgement, queries)
        if not (strict and refused):
            _remember(entry, op, saved.as_dict() | {REQUEST: asked}, by)
    return saved


def preview_entry(
    *,
    entry: Entry,
    changes: Mapping[str, Any],
    missing: Mapping[str, str | None] | None = None,
) -> Saved:
    """What a save of these answers would show (items, checks, scores), without storing anything."""
    missing = missing or {}
    instrument = definition_of(entry.version_id).instrument(entry.instrument)
    saved = Saved(entry_id=entry.pk)
    answers, why = dict(entry.answers), missing_reasons(entry)
    for item in {**changes, **missing}:
        if not instrument.has(item):
            continue
        value = _parsed(entry, instrument, item, changes, missing, saved)
        if item in saved.errors:
            continue
        answers.pop(item, None)
        why.pop(item, None)
        if value is not None:
            answers[item] = value
        elif missing.get(item):
            why[item] = str(missing[item])
    judgement = judge(instrument, answers, entry_facts(entry))
    # Not saved: the row in memory only describes what would be.
    kept = {i: entry.meta[i] for i in unconfirmed(entry) if answers.get(i) == entry.answers.get(i)}
    entry.answers, entry.meta = (
        answers,
        kept | {item: {"missing": code} for item, code in why.items()},
    )
    entry.scores = scores_of(instrument, answers, judgement.shown)
    describe(saved, entry, instrument, judgement, current_queries(entry))
    return saved


def _asked(*parts: Any) -> str:
    """A digest of what a save asks for: the same operation id may only repeat the same request."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _remember(entry: Entry, op: uuid.UUID | None, answer: dict[str, Any], by: Actor) -> None:
    """Keep the answer to an operation, so that its repetition changes nothing twice."""
    if op is None or by.user_id is None:
        return
    try:
        Operation.objects.create(
            site_id=entry.site_id, user_id=by.user_id, op=op, entry=entry, answer=answer
        )
    except IntegrityError as error:  # used at another site, whose operations are invisible here
        sentence = _("This operation id was already used for something else.")
        raise Refused(sentence) from error


def _answered_before(earlier: Known, entry: Entry, asked: str) -> Saved:
    answer = dict(earlier.answer)
    if earlier.entry_id != entry.pk or answer.pop(REQUEST, asked) != asked:
        raise Refused(_("This operation id was already used for something else."))
    return Saved(**answer)


def adopt_version(entry: Entry) -> None:
    """A form is written under the version that is in use at the site when it is begun."""
    version = version_at(entry.site)
    if entry.instrument in definition_of(version.pk).instruments:
        entry.version = version


def _reason_is_plain(reason: str, item: str, saved: Saved) -> bool:
    try:
        refuse_resident_number(reason)
    except Invalid as invalid:
        saved.errors[item] = str(invalid)
        return False
    return True


def _reason_text(reason: str, reasons: Mapping[str, str]) -> str:
    """The reason of the history row: the one that all items share, or a line for each item."""
    reason = words(reason, "reason")
    own = {}
    for item, text in sorted(reasons.items()):
        if text.strip() and not has_resident_number(text):  # such a text is refused at its item
            own[item] = words(text, item)
    if len(set(own.values())) == 1 and not reason:
        return next(iter(own.values()))
    return "\n".join([*([reason] if reason else []), *(f"{i}: {text}" for i, text in own.items())])


def _of_participant(entry: Entry, item: str, by: Actor) -> bool:
    """Whether somebody else is about to change what the participant answered."""
    return by.source != "patient" and entry.meta.get(item, {}).get("source") == "patient"


def require_open(entry: Entry, by: Actor) -> None:
    sentence = not_open(entry, by)
    if sentence:
        raise Refused(sentence)


def not_open(entry: Entry, by: Actor | None = None) -> str | None:
    """Why nothing can be written in a form now; None when it can."""
    sentence = refusal(Act.CORRECT if entry.completed_at else Act.SAVE, entry)
    if sentence:
        return sentence
    if entry.participant.voided_at:
        return _("This participant was entered in error and is void.")
    if entry.visit and entry.visit.missed_at:
        return _("This visit is marked as missed. Record its date first.")
    # A participant may answer at home before the visit; whether its window is open, the hand-over
    # has asked.
    patient = by is not None and by.source == "patient"
    if entry.visit and not entry.visit.happened_on and not patient:
        return _("Please record the visit date first.")
    return None


def _parsed(
    entry: Entry,
    instrument: Instrument,
    item: str,
    changes: Mapping[str, Any],
    missing: Mapping[str, str | None],
    saved: Saved,
) -> Any:
    why = missing.get(item)
    if why is not None:
        if why not in instrument.item(item).missing:
            saved.errors[item] = _("Please choose why there is no answer.")
        return None
    if item not in changes:
        return None
    try:
        return parse(instrument.item(item), changes[item], today=entry.site.today())
    except Invalid as error:
        saved.errors[item] = str(error)
        return None


def _same(seen: Any, before: tuple[Any, str | None]) -> bool:
    """Whether what the person saw is what is stored: a value, a missing mark, or nothing."""
    value, why = before
    if isinstance(seen, Mapping):
        return value is None and seen.get("missing") == why
    return bool((seen if seen not in ("", []) else None) == value and why is None)


def _put(
    instrument: Instrument,
    answers: dict[str, Any],
    meta: dict[str, dict[str, Any]],
    item: str,
    value: Any,
    why: str | None,
    by: Actor,
) -> None:
    about: dict[str, Any] = {}
    if value is None:
        answers.pop(item, None)
    else:
        answers[item] = value
        definition = instrument.item(item)
        if isinstance(definition, CodeItem):
            about["list"] = codelists.version(definition.list)
    if why is not None:
        about["missing"] = why
    if by.source != "entry" and (value is not None or why is not None):
        about["source"] = by.source
    if about:
        meta[item] = about
    else:
        meta.pop(item, None)


def scores_of(
    instrument: Instrument, answers: Mapping[str, Any], shown: frozenset[str]
) -> dict[str, Any]:
    """Output → value for every score of the form, and which version computed it."""
    values: dict[str, Any] = {}
    versions: dict[str, str] = {}
    for use in instrument.scores:
        inputs = [answers.get(item) if item in shown else None for item in use.items]
        for output, value in compute(use.score, inputs, **use.settings).items():
            values[use.column(output)] = value
        versions[use.score] = SCORES[use.score].version
    return values | {VERSIONS: versions} if versions else values


def describe(
    saved: Saved,
    entry: Entry,
    instrument: Instrument,
    judgement: Judgement,
    queries: list[dict[str, Any]],
) -> None:
    why = missing_reasons(entry)
    asked = [item for item in instrument.items if item.code in judgement.shown and item.required]
    saved.answers, saved.missing = entry.answers, why
    saved.shown = [item.code for item in instrument.items if item.code in judgement.shown]
    saved.checks = [
        {
            "code": check.code,
            "items": list(check.items),
            "ko": check.message.ko,
            "en": check.message.en,
        }
        for check in judgement.broken
    ]
    saved.queries, saved.copied = queries, unconfirmed(entry)
    saved.scores = {name: value for name, value in entry.scores.items() if name != VERSIONS}
    saved.due = len(asked)
    saved.answered = sum(item.code in entry.answers or item.code in why for item in asked)
    saved.state = state_of(entry).value
    saved.saved_at = timezone.now().isoformat()


def unanswered(entry: Entry, instrument: Instrument) -> list[str]:
    """Items that must be answered, or marked missing, before the form is complete."""
    why = missing_reasons(entry)
    shown = judge(instrument, entry.answers, entry_facts(entry)).shown
    return [
        item.code
        for item in instrument.items
        if item.required
        and item.code in shown
        and item.code not in entry.answers
        and item.code not in why
    ]


class Incomplete(Refused):
    """A form can't be completed yet; `items` are the questions without an answer."""

    def __init__(self, items: list[str]) -> None:
        super().__init__(_("Please answer the questions that are still open."))
        self.items = items


def complete(*, entry: Entry, by: Actor) -> Entry:
    """Declare a form complete: from now on each change needs a reason."""
    with acting(by):
        entry = hold(entry)
        sentence = refusal(Act.COMPLETE, entry)
        if sentence:
            raise Refused(sentence)
        require_open(entry, by)
        instrument = definition_of(entry.version_id).instrument(entry.instrument)
        items = unanswered(entry, instrument)
        if items:
            raise Incomplete(items)
        if copied := unconfirmed(entry):
            raise Refused(
                ngettext(
                    "%(count)d copied answer waits to be confirmed.",
                    "%(count)d copied answers wait to be confirmed.",
                    len(copied),
                )
                % {"count": len(copied)}
            )
        entry.completed_at, entry.completed_by_id = timezone.now(), by.user_id
        entry.save(update_fields=["completed_at", "completed_by"])
        await_look(entry)
    return entry


def drawn(entry: Entry, protocol: Protocol) -> bool:
    """Whether the protocol wants this form entered once more by a second hand.

    A share is drawn by a digest of the form's number, so that nobody chooses. What a
    participant answered on a screen, or a file brought, was not typed: no hand to be compared.
    """
    wanted = protocol.second_look
    typed = all("source" not in about for about in entry.meta.values())
    if wanted is None or entry.visit is None or not typed:
        return False
    endpoint = protocol.primary
    if wanted.primary and entry.instrument == endpoint.instrument:
        return entry.visit.code in (endpoint.from_visit, endpoint.to_visit)
    number = int(hashlib.sha256(f"second look {entry.pk}".encode()).hexdigest(), 16)
    return number % 100 < wanted.share


def await_look(entry: Entry) -> None:
    """Put a form that was just completed on the list, if it is drawn. The caller is `acting`."""
    if drawn(entry, definition_of(entry.version_id).protocol):
        about = {"site_id": entry.site_id, "participant_id": entry.participant_id}
        SecondLook.objects.get_or_create(entry=entry, defaults=about)


def void_entry(*, entry: Entry, reason: str, by: Actor) -> Entry:
    """A form entered in error: kept, struck through; a form of a visit is due anew, empty."""
    reason = words(reason, "reason", ask=_("Please say why the form was entered in error."))
    with acting(by, reason):
        entry = hold(entry)
        sentence = refusal(Act.VOID, entry)
        if sentence:
            raise Refused(sentence)
        entry.voided_at, entry.void_reason = timezone.now(), reason
        entry.save(update_fields=["voided_at", "void_reason"])
        close_for_void(entry.queries)
        version = version_at(entry.site)
        known = entry.instrument in definition_of(version.pk).instruments
        if entry.visit_id and entry.participant.state == "enrolled":
            Entry.objects.create(
                site_id=entry.site_id,
                participant_id=entry.participant_id,
                visit_id=entry.visit_id,
                instrument=entry.instrument,
                number=entry.number,
                version=version if known else entry.version,
            )
    return entry
