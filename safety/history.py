"""What happened to an event, from its trail: who, in which role, when, old and new, why."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _

from crf.history import Change
from safety.display import LABELS, differences, text_of
from safety.models import AdverseEvent, AEReview
from sites.audit import names_of, role_word, source_word, who_wrote


def changes_of(event: AdverseEvent) -> list[Change]:
    """Every change and every decision, newest first."""
    states = list(AdverseEvent.history.filter(id=event.pk).order_by("history_id"))
    decisions = list(AEReview.history.filter(adverse_event_id=event.pk).order_by("history_id"))
    ids = {row.history_user_id for row in (*states, *decisions)}
    names = names_of(ids)
    found = [_change(event, first, names, _("Reported"), "", _all(first)) for first in states[:1]]
    for old, new in pairwise(states):
        found += [
            _change(event, new, names, each.label, each.old, each.new)
            for each in differences(old, new)
        ]
    for row in decisions:
        decision = AEReview.Decision(row.decision).label
        found.append(_change(event, row, names, _("Review"), "", str(decision)))
    return sorted(found, key=lambda change: change.at, reverse=True)


def _all(state: Any) -> str:
    """Everything that a state says, in one line."""
    told = ((label, text_of(state, name)) for name, label in LABELS.items())
    return "; ".join(f"{label}: {text}" for label, text in told if text)


def _change(
    event: AdverseEvent, row: Any, names: dict[int, str], item: str, old: str, new: str
) -> Change:
    return Change(
        at=row.history_date,
        who=who_wrote(row, names),
        role=role_word(row.history_role),
        site=event.site.short,
        kind=row.instance_type._meta.label,
        subject="",
        item=item,
        old=old,
        new=new,
        reason=row.history_change_reason or "",
        source=source_word(row.history_source),
    )
