"""What the trail calls a record, its fields and their values, in the reader's language.

A field whose name is missing in `FIELDS` goes by its `verbose_name`. What only repeats who did it
and when, or is a key, is `TECHNICAL` and never told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.db import models
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from registry.models import ProtocolVersion, Visit
from registry.protocol import UNSCHEDULED, Named, Protocol
from sites.models import User

HIDDEN_VALUES = "•••"
NAMES: Mapping[str, Any] = {
    "registry.Participant": gettext_lazy("Participant"),
    "registry.Identity": gettext_lazy("Identity"),
    "registry.Consent": gettext_lazy("Consent"),
    "registry.Withdrawal": gettext_lazy("Withdrawal"),
    "registry.Allocation": gettext_lazy("Allocation"),
    "registry.Visit": gettext_lazy("Visit"),
    "crf.Entry": gettext_lazy("Form"),
    "crf.Handover": gettext_lazy("Answers by the participant"),
    "crf.Reminder": gettext_lazy("Reminder"),
    "crf.Query": gettext_lazy("Query"),
    "crf.SecondLook": gettext_lazy("Second look"),
    "crf.Verification": gettext_lazy("Verification"),
    "crf.Signature": gettext_lazy("Signature"),
    "safety.AdverseEvent": gettext_lazy("Adverse event"),
    "safety.AEReview": gettext_lazy("Review of an adverse event"),
}
FIELDS: Mapping[str, Any] = {
    "looked_by": gettext_lazy("Looked at by"),
    "looked_at": gettext_lazy("Looked at"),
    "compared": gettext_lazy("Answers that both hands gave"),
    "differing": gettext_lazy("Answers that differ"),
    "settled_at": gettext_lazy("Differences decided"),
    "version": gettext_lazy("Protocol version"),
    "screening_number": gettext_lazy("Screening number"),
    "subject_number": gettext_lazy("Subject number"),
    "cohort": gettext_lazy("Group"),
    "failed_criteria": gettext_lazy("Criteria not met"),
    "screened_at": gettext_lazy("Eligibility decided"),
    "enrolled_on": gettext_lazy("Enrolment date"),
    "ended_on": gettext_lazy("Date of the end of the study"),
    "end_reason": gettext_lazy("Reason for the end of the study"),
    "end_note": gettext_lazy("Note"),
    "voided_at": gettext_lazy("Entered in error"),
    "void_reason": gettext_lazy("Reason"),
    "name": gettext_lazy("Name"),
    "birth_date": gettext_lazy("Birth date"),
    "chart_number": gettext_lazy("Chart number"),
    "contact": gettext_lazy("Contact"),
    "email": gettext_lazy("E-mail"),
    "kind": gettext_lazy("Consent"),
    "arm": gettext_lazy("Arm"),
    "code": gettext_lazy("Visit"),
    "due_on": gettext_lazy("Due"),
    "opens_on": gettext_lazy("Window opens on"),
    "closes_on": gettext_lazy("Window closes on"),
    "missed_at": gettext_lazy("Did not take place"),
    "cancelled_at": gettext_lazy("No longer due"),
    "printed_name": gettext_lazy("Printed name"),
}
TECHNICAL = {
    *("id", "site", "participant", "entry", "digest", "chart_digest", "number", "day"),
    *("recorded_at", "created_at", "enrolled_at", "allocated_at", "verified_at", "signed_at"),
    *("verified_by", "signed_by", "scores", "meta", "visit", "created_by"),
    *("claimed_at", "attempts", "answers", "decisions"),
}
ENCRYPTED = {
    ("registry.Identity", name)
    for name in ("name", "birth_date", "chart_number", "contact", "email")
}


def told_fields(model: type[models.Model]) -> list[Any]:
    return [field for field in model._meta.local_concrete_fields if field.name not in TECHNICAL]


def field_word(field: Any) -> str:
    text = str(FIELDS.get(field.name, field.verbose_name))
    return text[:1].upper() + text[1:]


def value_word(
    field: Any, row: Any, users: Mapping[int, User], zone: dt.tzinfo, protocol: Protocol
) -> str:
    """What a row of history holds in a field, as a reader says it; empty when nothing."""
    value = getattr(row, field.attname)
    label = row.instance_type._meta.label
    if value in (None, "", [], {}):
        return ""
    if (label, field.name) in ENCRYPTED:
        return HIDDEN_VALUES
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if field.choices:
        return str(dict(field.flatchoices).get(value, value))
    if isinstance(field, models.ForeignKey) and field.related_model is User:
        return str(users.get(value, ""))
    if isinstance(field, models.ForeignKey) and field.related_model is ProtocolVersion:
        return version_word(value)
    if isinstance(value, dt.datetime):
        return value.astimezone(zone).isoformat(sep=" ", timespec="seconds")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return _of_protocol(label, field.name, str(value), protocol)


def _of_protocol(label: str, name: str, value: str, protocol: Protocol) -> str:
    """What the protocol calls a code; any other value stays as it is."""
    offered: Iterable[Named | Any] = {
        ("registry.Participant", "cohort"): protocol.cohort.options if protocol.cohort else (),
        ("registry.Participant", "end_reason"): protocol.end_of_study.reasons,
        ("registry.Allocation", "arm"): protocol.arms,
        ("registry.Visit", "code"): protocol.visits,
    }.get((label, name), ())
    named = {each.code: each.label for each in offered}
    if (label, name) == ("registry.Consent", "kind"):
        named = {each.kind: each.label for each in protocol.consents}
    if (label, name, value) == ("registry.Visit", "code", UNSCHEDULED):
        return _("Unscheduled")
    return named[value].get(get_language() or "ko") if value in named else value


@cache
def version_word(pk: int) -> str:
    return str(ProtocolVersion.objects.select_related("study").get(pk=pk))


def visit_word(visit: Visit, protocol: Protocol) -> str:
    if visit.code == UNSCHEDULED:
        return _("Unscheduled visit %(number)d") % {"number": visit.number}
    return _of_protocol("registry.Visit", "code", visit.code, protocol)
