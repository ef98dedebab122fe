"""Filling in a new entry of a repeating form from the participant's last one.

What a form lets be copied stands in its instrument; a day never is. Copied answers are marked with
the number of the entry that they come from, and wait: a form can't be completed until somebody said
that they hold for this treatment too. An answer that is typed over is the person's own and loses
its mark. Nothing that was typed is ever replaced by a copy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from crf import codelists
from crf.definitions import definition_of, instrument_of
from crf.instrument import CodeItem, DateItem, Group, Instrument, judge
from crf.models import Entry
from crf.services.entries import (
    adopt_version,
    entry_facts,
    missing_reasons,
    require_open,
    scores_of,
    unconfirmed,
)
from crf.services.held import hold
from crf.services.queries import settle_checks
from crf.values import Invalid, parse
from crf.workflow import State, state_of
from sites.access import Refused
from sites.audit import Actor, acting


def last_of(entry: Entry) -> Entry | None:
    """The participant's last entry of this form: by its day, among equals by its number."""
    others = Entry.objects.filter(
        participant_id=entry.participant_id,
        site_id=entry.site_id,
        instrument=entry.instrument,
        voided_at=None,
        cancelled_at=None,
        started_at__isnull=False,
    ).exclude(pk=entry.pk)
    found = [each for each in others.only(*_READ) if each.answers]
    until = day_of(entry)
    if until:
        found = [each for each in found if day_of(each) <= until]
    elif entry.started_at:
        found = [each for each in found if each.number < entry.number] or found
    return max(found, key=lambda each: (day_of(each), each.number), default=None)


_READ = ("instrument", "number", "answers", "meta", "version_id", "participant_id", "site_id")


def day_of(entry: Entry) -> str:
    """The day that the form is about, by the first full date that it asks."""
    dates = (item for item in instrument_of(entry).items if isinstance(item, DateItem))
    item = next((item for item in dates if not item.partial), None)
    return str(entry.answers.get(item.code, "")) if item else ""


def copied_from(meta: Mapping[str, Mapping[str, Any]]) -> int | None:
    """The number of the entry that answers of this one were copied from, if any were."""
    numbers = [about["copied"] for about in meta.values() if "copied" in about]
    return numbers[0] if numbers else None


def copy_last(*, entry: Entry, by: Actor) -> int:
    """Fill in what is empty from the last entry; how many answers were copied."""
    with acting(by):
        entry = _held(entry, by)
        if entry.started_at is None:
            adopt_version(entry)
        last = last_of(entry)
        if last is None:
            raise Refused(_("There is no earlier entry to copy from."))
        instrument = definition_of(entry.version_id).instrument(entry.instrument)
        answers, meta = _filled(entry, last, instrument)
        count = len(answers) - len(entry.answers)
        if not count:
            raise Refused(_("There is nothing to copy: what can be copied is answered already."))
        entry.started_at = entry.started_at or timezone.now()
        _store(entry, instrument, answers, meta)
    return count


def _filled(
    entry: Entry, last: Entry, instrument: Instrument
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    answers = dict(entry.answers)
    meta = {item: dict(about) for item, about in entry.meta.items()}
    taken = _begun(entry, instrument)
    for item in instrument.items:
        value = last.answers.get(item.code)
        if item.code not in instrument.copies or item.code in taken or value is None:
            continue
        try:
            # The list or the options may have changed since; what no longer fits is asked anew.
            answers[item.code] = parse(item, value, today=entry.site.today())
        except Invalid:
            continue
        meta[item.code] = {"copied": last.number, "unconfirmed": True}
        if isinstance(item, CodeItem):
            meta[item.code]["list"] = codelists.version(item.list)
    shown = judge(instrument, answers, entry_facts(entry)).shown
    fresh = [code for code in answers if code not in entry.answers and code not in shown]
    for code in fresh:
        del answers[code], meta[code]
    return answers, meta


def _begun(entry: Entry, instrument: Instrument) -> set[str]:
    """What is answered or marked already; of a group with any such row, the whole group, so that
    a volume is never copied onto another product.
    """
    taken = {*entry.answers, *missing_reasons(entry)}
    for section in instrument.sections:
        for group in section.items:
            if isinstance(group, Group):
                codes = {item.code for copy in group.copies for item in copy}
                taken |= codes if codes & taken else set()
    return taken


def undo_copy(*, entry: Entry, by: Actor) -> int:
    """Take back every copied answer that nobody confirmed or typed over; how many there were."""
    with acting(by):
        entry = _held(entry, by)
        instrument = definition_of(entry.version_id).instrument(entry.instrument)
        waiting = _waiting(entry, None)
        answers = {item: value for item, value in entry.answers.items() if item not in waiting}
        meta = {item: about for item, about in entry.meta.items() if item not in waiting}
        _store(entry, instrument, answers, meta)
    return len(waiting)


def confirm_copied(*, entry: Entry, section: str = "", by: Actor) -> int:
    """Somebody's word that copied answers hold here too: those of one section, or all of them."""
    with acting(by):
        entry = _held(entry, by)
        instrument = definition_of(entry.version_id).instrument(entry.instrument)
        here = [each for each in instrument.sections if section in ("", each.code)]
        waiting = _waiting(entry, {item.code for each in here for item in each.flat})
        meta = {item: dict(about) for item, about in entry.meta.items()}
        for item in waiting:
            del meta[item]["unconfirmed"]
        _store(entry, instrument, dict(entry.answers), meta)
    return len(waiting)


def _waiting(entry: Entry, among: Collection[str] | None) -> list[str]:
    waiting = [item for item in unconfirmed(entry) if among is None or item in among]
    if not waiting:
        raise Refused(_("No copied answer waits to be confirmed."))
    return waiting


def _held(entry: Entry, by: Actor) -> Entry:
    entry = hold(entry)
    require_open(entry, by)
    if state_of(entry) is State.COMPLETE:
        raise Refused(_("This form is complete."))
    return entry


def _store(
    entry: Entry,
    instrument: Instrument,
    answers: dict[str, Any],
    meta: dict[str, dict[str, Any]],
) -> None:
    entry.answers, entry.meta = answers, meta
    judgement = judge(instrument, answers, entry_facts(entry))
    entry.scores = scores_of(instrument, answers, judgement.shown)
    entry.save(update_fields=["answers", "meta", "scores", "started_at", "version"])
    settle_checks(entry, instrument, judgement, none_yet=False)
