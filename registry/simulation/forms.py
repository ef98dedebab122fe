"""Forms in a coordinator's hands: filled in, completed, now and then corrected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from crf.instrument import ChoiceItem, Instrument
from crf.models import Entry
from crf.services import complete, entry_facts, save_entry
from registry.simulation import plausible
from registry.simulation.answers import Filled, fill
from registry.simulation.play import Play

CORRECTED = 0.03


def fill_in(play: Play, entry: Entry, *, done: bool) -> None:
    """Fill in a form and complete it, or stop half-way."""
    entry.participant, entry.site = play.participant, play.site
    instrument = play.definition.instrument(entry.instrument)
    filled = fill(instrument, entry_facts(entry), play.case, part=1.0 if done else 0.5)
    answers = store(play, entry, filled, done=done)
    play.case.given |= answers
    if done and not play.plan.settled and play.case.chance(CORRECTED):
        _correct(play, entry, instrument, answers)


def store(play: Play, entry: Entry, filled: Filled, *, done: bool = True) -> dict[str, Any]:
    """Save a form once, as captured at the visit; what is stored now."""
    clock = dt.time(play.rng.randint(9, 17), play.rng.randint(0, 59))
    saved = save_entry(
        entry=entry,
        changes=filled.answers,
        missing=filled.missing,
        captured_at=dt.datetime.combine(play.case.day, clock, ZoneInfo(play.site.timezone)),
        by=play.coordinator,
    )
    if saved.errors:
        raise RuntimeError(f"{entry.instrument}: {saved.errors}")
    if done:
        complete(entry=entry, by=play.coordinator)
    return saved.answers


def _correct(play: Play, entry: Entry, instrument: Instrument, answers: Mapping[str, Any]) -> None:
    """Move one answer on a scale by a step, for a reason."""
    scales = [
        item
        for item in instrument.items
        if isinstance(item, ChoiceItem) and isinstance(answers.get(item.code), int)
    ]
    if scales:
        item = play.rng.choice(scales)
        codes = [option.code for option in item.options]
        at = codes.index(answers[item.code])
        save_entry(
            entry=entry,
            changes={item.code: codes[at - 1 if at else 1]},
            reasons={item.code: play.rng.choice(plausible.CORRECTED)},
            by=play.coordinator,
        )
