"""What a participant is asked: the questions of a hand-over in one line, one for each screen.

A question keeps its place in the line whether it applies or not, so that its address stays the
same. Only what the participant answered counts as answered: what the site may have entered before
is not shown, and so it suggests nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from crf.definitions import definition_of
from crf.instrument import Instrument, Item, judge
from crf.models import Entry, Handover
from crf.services.entries import entry_facts
from crf.workflow import State, state_of
from registry.models import Visit
from registry.services import protocol_of, version_at

PATIENT = "patient"  # the source of an answer in `Entry.meta`, and of a write in the trail


@dataclass(frozen=True)
class Question:
    """One screen: a question of one of the forms, and what the participant answered to it."""

    number: int
    entry: Entry
    instrument: Instrument
    item: Item
    value: Any
    declined: bool

    @property
    def answered(self) -> bool:
        return self.value is not None or self.declined

    @property
    def open(self) -> bool:
        """Whether it must be answered before the forms can be sent."""
        return self.item.required and not self.answered

    @property
    def may_decline(self) -> bool:
        use = self.instrument.patient
        return bool(use and use.decline and "refused" in self.item.missing)


def reported(entry: Entry, item: str) -> bool:
    """Whether the answer that is stored was given by the participant."""
    return bool(entry.meta.get(item, {}).get("source") == PATIENT)


def entries_of(visit: Visit, instruments: Iterable[str]) -> list[Entry]:
    """The forms of a visit with these codes that can be answered, in this order."""
    found = (
        Entry.objects.filter(visit=visit, instrument__in=list(instruments), completed_at=None)
        .filter(voided_at=None, cancelled_at=None)
        .select_related("site", "participant", "visit")
    )
    by_code = {entry.instrument: entry for entry in found}
    for entry in by_code.values():
        _adopt(entry)
    return [by_code[code] for code in instruments if code in by_code]


def _adopt(entry: Entry) -> None:
    """A form that is not begun will be begun under the version in use at the site."""
    if state_of(entry) is State.EXPECTED:
        version = version_at(entry.site)
        if entry.instrument in definition_of(version.pk).instruments:
            entry.version = version


def answerable(visit: Visit) -> list[Entry]:
    """The forms of a visit that the protocol lets a participant answer, and that are not complete,
    in the protocol's order.
    """
    order = protocol_of(visit.participant.version_id).instruments
    return [
        entry
        for entry in entries_of(visit, order)
        if definition_of(entry.version_id).instrument(entry.instrument).patient is not None
    ]


def questions_of(handover: Handover) -> list[Question]:
    """The questions that apply now, in order; their numbers count those that do not apply too."""
    found, number = [], 0
    for entry in entries_of(handover.visit, handover.instruments):
        instrument = definition_of(entry.version_id).instrument(entry.instrument)
        shown = judge(instrument, entry.answers, entry_facts(entry)).shown
        for item in instrument.items:
            number += 1
            if item.code in shown:
                found.append(_question(number, entry, instrument, item))
    return found


def _question(number: int, entry: Entry, instrument: Instrument, item: Item) -> Question:
    own = reported(entry, item.code)
    return Question(
        number=number,
        entry=entry,
        instrument=instrument,
        item=item,
        value=entry.answers.get(item.code) if own else None,
        declined=own and entry.meta[item.code].get("missing") == "refused",
    )
