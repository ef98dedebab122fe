"""When an act upon an entry is possible: one table from act to states, and one status function.

Buttons, pages, the API and the services ask the same `refusal`; the database refuses writes to
locked rows by itself. What is shown is derived from the acts and their times, never stored.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _

from crf.models import Entry
from registry.models import Visit


class State(StrEnum):
    """Where an entry is in its life; a lock lies over all of them."""

    EXPECTED = "expected"
    STARTED = "started"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    VOID = "void"


class Act(StrEnum):
    SAVE = "save"
    COMPLETE = "complete"
    CORRECT = "correct"
    VOID = "void"
    VERIFY = "verify"
    QUERY = "query"


@dataclass(frozen=True)
class Transition:
    """From which states an act leads where (None: the state stays), and if it needs a reason."""

    source: frozenset[State]
    target: State | None
    needs_reason: bool = False


TRANSITIONS: dict[Act, Transition] = {
    Act.SAVE: Transition(frozenset({State.EXPECTED, State.STARTED}), State.STARTED),
    Act.COMPLETE: Transition(frozenset({State.STARTED}), State.COMPLETE),
    Act.CORRECT: Transition(frozenset({State.COMPLETE}), None, needs_reason=True),
    Act.VOID: Transition(frozenset({State.STARTED, State.COMPLETE}), State.VOID, needs_reason=True),
    Act.VERIFY: Transition(frozenset({State.COMPLETE}), None),
    Act.QUERY: Transition(frozenset({State.STARTED, State.COMPLETE}), None),
}

_REFUSALS = {
    State.EXPECTED: _("Nothing has been entered in this form yet."),
    State.STARTED: _("This form is not complete yet."),
    State.COMPLETE: _("This form is complete."),
    State.CANCELLED: _("This form is no longer due."),
    State.VOID: _("This form was entered in error and is void."),
}


def state_of(entry: Entry) -> State:
    """The state of an entry, from its acts."""
    if entry.voided_at:
        return State.VOID
    if entry.cancelled_at:
        return State.CANCELLED
    if entry.completed_at:
        return State.COMPLETE
    return State.STARTED if entry.started_at else State.EXPECTED


def refusal(act: Act, entry: Entry) -> str | None:
    """Why `act` is not possible now, as a sentence; None when it is."""
    state = state_of(entry)
    return None if state in TRANSITIONS[act].source else str(_REFUSALS[state])


class Status(models.TextChoices):
    """What a form is shown as: the first that holds, from the strongest down."""

    VOID = "void", _("void")
    NOT_DUE = "not_due", _("not due")
    LOCKED = "locked", _("locked")
    STALE = "stale", _("changed after signature")
    SIGNED = "signed", _("signed")
    VERIFIED = "verified", _("verified")
    COMPLETE = "complete", _("complete")
    STARTED = "started", _("in progress")
    MISSED = "missed", _("not done")
    OVERDUE = "overdue", _("overdue")
    DUE = "due", _("due")
    EXPECTED = "expected", _("expected")


@dataclass(frozen=True)
class Around:
    """What lies around an entry and decides how it is shown.

    `signature` is None without one, else whether it still fits the data.
    """

    today: dt.date
    locked: bool = False
    verified: bool = False
    signature: bool | None = None


def status_of(entry: Entry, visit: Visit | None, around: Around) -> Status:
    """The one definition of what a form is shown as."""
    state = state_of(entry)
    if state is State.VOID:
        return Status.VOID
    if state is State.CANCELLED:
        return Status.NOT_DUE
    if state is State.COMPLETE:
        if around.signature is False:
            return Status.STALE
        if around.locked:
            return Status.LOCKED
        if around.signature:
            return Status.SIGNED
        return Status.VERIFIED if around.verified else Status.COMPLETE
    if around.locked:
        return Status.LOCKED
    if state is State.STARTED:
        return Status.STARTED
    if visit is None or visit.happened_on:
        return Status.DUE
    if visit.missed_at:
        return Status.MISSED
    return Status(due_state(visit, around.today))


def due_state(visit: Visit, today: dt.date) -> str:
    """overdue, due or expected: where today lies in the window of a visit that is still open."""
    if visit.closes_on and visit.closes_on < today:
        return Status.OVERDUE
    if visit.opens_on and visit.opens_on <= today:
        return Status.DUE
    return Status.EXPECTED
