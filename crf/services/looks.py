"""The second look: a sample of completed forms is entered once more, blind, and compared.

Which forms wait for it is drawn when they are completed (`crf.services.entries.drawn`).
Whoever entered a form may look again only after a day has passed, since small sites have one
coordinator and a value is forgotten overnight; anybody else may at once. What the second hand
types stays apart until it is finished: only then are both sides shown, and each difference is
decided, with a reason where the first was wrong.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from crf.definitions import definition_of
from crf.instrument import Instrument
from crf.models import Entry, SecondLook
from crf.services.entries import Saved, missing_reasons, preview_entry, save_entry, unanswered
from crf.services.words import words
from sites.access import Refused
from sites.audit import Actor, acting

FORGOTTEN = dt.timedelta(days=1)
FIRST, SECOND = "first", "second"


def why_not(look: SecondLook, user_id: int | None) -> str:
    """Why this person can't look at this form again now; empty when they can."""
    entry = look.entry
    if entry.voided_at:
        return _("This form was entered in error and is void.")
    if look.looked_at:
        return _("This form was looked at a second time already.")
    own = entry.completed_by_id == user_id
    if own and entry.completed_at and timezone.now() - entry.completed_at < FORGOTTEN:
        return _("You completed this form. Somebody else may look now, you from tomorrow on.")
    return ""


def blank(look: SecondLook) -> Entry:
    """The form as the second hand sees it: their own answers, and nothing of the first's.

    Never stored. It has no key, so that neither queries nor what was said before are found for it.
    """
    entry = look.entry
    return Entry(
        site=entry.site,
        participant=entry.participant,
        visit=entry.visit,
        instrument=entry.instrument,
        number=entry.number,
        version_id=entry.version_id,
        answers=dict(look.answers),
        meta=dict(look.meta),
        started_at=timezone.now(),
    )


def save_look(
    *, look: SecondLook, changes: Mapping[str, Any], missing: Mapping[str, str | None], by: Actor
) -> Saved:
    """Keep what the second hand typed so far. A repetition of a save changes nothing twice."""
    with acting(by):
        look = _held(look)
        if sentence := why_not(look, by.user_id):
            raise Refused(sentence)
        blind = blank(look)
        saved = preview_entry(entry=blind, changes=changes, missing=missing)
        saved.accepted = [item for item in {**changes, **missing} if item not in saved.errors]
        look.answers, look.meta = blind.answers, blind.meta
        look.save(update_fields=["answers", "meta"])
    return saved


def open_items(look: SecondLook) -> list[str]:
    """Questions that the second hand has not answered yet."""
    return unanswered(blank(look), _instrument(look))


def finish_look(*, look: SecondLook, by: Actor) -> SecondLook:
    """The second hand is done: the two are compared, and settled where they agree."""
    with acting(by):
        look = _held(look)
        if sentence := why_not(look, by.user_id):
            raise Refused(sentence)
        if open_items(look):
            raise Refused(_("Please answer the questions that are still open."))
        found = differences(look)
        look.looked_by_id, look.looked_at = by.user_id, timezone.now()
        look.compared, look.differing = len(_given(look)), len(found)
        look.settled_at = None if found else look.looked_at
        look.save()
    return look


def differences(look: SecondLook) -> list[str]:
    """The items that the two hands answered differently, in the order of the form."""
    entry, other = look.entry, blank(look)
    return [
        item.code
        for item in _instrument(look).items
        if (entry.answers.get(item.code), missing_reasons(entry).get(item.code))
        != (other.answers.get(item.code), missing_reasons(other).get(item.code))
    ]


def settle_look(
    *, look: SecondLook, kept: Mapping[str, str], reasons: Mapping[str, str], by: Actor
) -> SecondLook:
    """Which of both is right, item by item; the second's is written with its reason."""
    if look.looked_at is None or look.settled_at is not None:
        raise Refused(_("There is nothing to decide here."))
    items = differences(look)
    for item in items:
        if kept.get(item) not in (FIRST, SECOND):
            raise Refused(_("Please choose which answer is right."), item)
        if kept[item] == SECOND and not reasons.get(item, "").strip():
            raise Refused(_("Please say why the first answer was wrong."), item)
    entry, other = look.entry, blank(look)
    right = [item for item in items if kept[item] == SECOND]
    decisions = [
        {
            "item": item,
            "first": _side(entry, item),
            "second": _side(other, item),
            "kept": kept[item],
            "reason": words(reasons.get(item, ""), item),
        }
        for item in items
    ]
    if right:
        save_entry(
            entry=entry,
            changes={item: other.answers.get(item) for item in right},
            missing={i: why for i, why in missing_reasons(other).items() if i in right},
            reasons={item: reasons[item] for item in right},
            strict=True,
            by=by,
        )
    with acting(by):
        look = _held(look)
        look.decisions, look.settled_at = decisions, timezone.now()
        look.save(update_fields=["decisions", "settled_at"])
    return look


def _side(entry: Entry, item: str) -> dict[str, Any]:
    return {"value": entry.answers.get(item), "missing": missing_reasons(entry).get(item)}


def _given(look: SecondLook) -> set[str]:
    other = blank(look)
    sides = (look.entry, other)
    return {item for side in sides for item in (*side.answers, *missing_reasons(side))}


def _instrument(look: SecondLook) -> Instrument:
    return definition_of(look.entry.version_id).instrument(look.entry.instrument)


def _held(look: SecondLook) -> SecondLook:
    """The row as it is now, locked: of two who act at once the second is told."""
    return (
        SecondLook.objects.select_for_update(of=("self",))
        .select_related("entry__site", "entry__visit", "entry__participant__site")
        .get(pk=look.pk)
    )
