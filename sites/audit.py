"""The record of who did what: `acting` names the person, the database writes the history.

Every road to a protected table (the ORM's save, update and bulk calls, raw SQL, cascades) ends in
a trigger that copies the row to its history table and refuses a write without an actor
(DESIGN 2.4 and 5). The history tables are django-simple-history's, so its `as_of` and
`diff_against` keep working; its own signals are off.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import connections, models, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from simple_history.models import HistoricalRecords

from sites.roles import Role


@dataclass(frozen=True)
class Actor:
    """Who writes: the label that the trail keeps, and in which role at which site.

    `roles` maps a site's id to the role through which this request may write there; the trigger
    picks the one of the row's own site.
    """

    label: str
    user_id: int | None = None
    roles: Mapping[int, str] = field(default_factory=dict)
    source: str = "entry"
    request: str = ""
    captured_at: dt.datetime | None = None

    @classmethod
    def job(cls, name: str) -> Actor:
        return cls(label=f"job:{name}", source="job")

    @classmethod
    def patient(cls, participant_id: int) -> Actor:
        """A participant who answers; who that is, a code or a link and a second fact have shown."""
        return cls(label=f"patient:{participant_id}", source="patient")

    def captured(self, at: dt.datetime | None) -> Actor:
        """The same person, for data that were captured at `at` and are saved only now."""
        return replace(self, captured_at=at)

    @property
    def person(self) -> int:
        """The id of the person who acts; some acts are never a job's."""
        if self.user_id is None:
            raise PermissionDenied(f"{self.label} is no person")
        return self.user_id

    @property
    def role(self) -> str:
        distinct = set(self.roles.values())
        if len(distinct) == 1:
            return distinct.pop()
        return (
            json.dumps({str(site): role for site, role in self.roles.items()}) if distinct else ""
        )


_NAMES = ("actor", "user", "role", "source", "request", "captured_at", "reason")
_SET = "SELECT " + ", ".join(f"set_config('edc.{name}', %s, true)" for name in _NAMES)


@contextmanager
def acting(by: Actor, reason: str = "", *, using: str = "default") -> Iterator[None]:
    """Open a transaction in which writes are made by `by`, because of `reason`.

    May not nest: a write has one author and one reason. Raises RuntimeError when it would.
    """
    connection = connections[using]
    if getattr(connection, "edc_acting", False):
        raise RuntimeError("acting() is already open: one write has one author and one reason")
    values = [
        by.label,
        str(by.user_id or ""),
        by.role,
        by.source,
        by.request,
        by.captured_at.isoformat() if by.captured_at else "",
        reason,
    ]
    with transaction.atomic(using=using):
        with connection.cursor() as cursor:
            cursor.execute(_SET, values)
        connection.edc_acting = True  # type: ignore[attr-defined]
        try:
            yield
            # What set_config(…, true) sets inside a savepoint outlives its release. After an
            # error there is nothing to reset: the rollback takes the settings with it.
            with connection.cursor() as cursor:
                cursor.execute(_SET, [""] * len(_NAMES))
        finally:
            connection.edc_acting = False  # type: ignore[attr-defined]


class Recorded(models.Model):
    """What every history row says beside the row itself; all of it is filled by the trigger."""

    history_actor = models.TextField()
    history_role = models.TextField(blank=True, default="")
    history_source = models.TextField(blank=True, default="")
    history_captured_at = models.DateTimeField(null=True)
    history_request = models.TextField(blank=True, default="")
    history_xid = models.BigIntegerField()

    class Meta:
        abstract = True


def _user_of(row: Any) -> Any:
    return get_user_model().objects.filter(pk=row.history_user_id).first()


def _refuse_user(row: Any, user: Any) -> None:
    raise AttributeError("history rows are written by the database alone")


def history(**options: Any) -> HistoricalRecords:
    """`HistoricalRecords` with the columns that the trigger fills."""
    return HistoricalRecords(
        bases=[Recorded],
        history_id_field=models.BigAutoField(),
        history_change_reason_field=models.TextField(null=True),
        history_user_id_field=models.BigIntegerField(null=True),
        history_user_getter=_user_of,
        history_user_setter=_refuse_user,
        **options,
    )


@dataclass(frozen=True)
class Change:
    """One changed field of one row, as every history page shows it."""

    at: dt.datetime
    who: str
    role: str
    site: str
    item: str
    old: str
    new: str
    reason: str
    source: str


def changes(
    row: models.Model, names: Mapping[str, Any], text: Callable[[str, Any], str] | None = None
) -> list[Change]:
    """Old → new of the fields in `names` (field → label), newest first.

    `text(field, value)` says how a value is read; by default as it is, dates as ISO.
    """
    read = text or (lambda _field, value: "" if value is None else str(value))
    records = list(row.history.order_by("history_id"))  # type: ignore[attr-defined]
    people = names_of({record.history_user_id for record in records})
    site = getattr(row, "site", None)
    found = []
    for before, after in zip([None, *records], records, strict=False):
        for field_name, label in names.items():
            attribute = row._meta.get_field(field_name).attname  # type: ignore[union-attr]
            old = getattr(before, attribute) if before else None
            new = getattr(after, attribute)
            if old != new:
                found.append(
                    Change(
                        at=after.history_date,
                        who=who_wrote(after, people),
                        role=role_word(after.history_role),
                        site=getattr(site, "short", ""),
                        item=str(label),
                        old=read(field_name, old) if before else "",
                        new=read(field_name, new),
                        reason=after.history_change_reason or "",
                        source=source_word(after.history_source),
                    )
                )
    return found[::-1]


SOURCE_WORDS: Mapping[str, Any] = {
    "import": gettext_lazy("import"),
    "patient": gettext_lazy("participant"),
    "API": gettext_lazy("API"),
}


def who_wrote(record: Any, names: Mapping[int, str]) -> str:
    """The printed name of the person, the participant, or which job of the system it was."""
    if record.history_actor.startswith("patient:"):
        return _("Participant")
    job = record.history_actor.partition("job:")[2]
    system = f"{_('System')} ({job})" if job else record.history_actor
    return names.get(record.history_user_id, system)


def role_word(text: str) -> str:
    """The role in which somebody wrote; rows without a site keep one for each of their sites."""
    found = sorted(set(json.loads(text).values())) if text.startswith("{") else [text]
    return ", ".join(str(Role(role).label) for role in found if role in Role.values)


def source_word(source: str) -> str:
    """Where data came from, where that is not a page of this software or the system itself."""
    return str(SOURCE_WORDS.get(source, ""))


def names_of(user_ids: Collection[int | None]) -> dict[int, str]:
    """User id → printed name, for the people of a history."""
    users = get_user_model().objects.filter(pk__in=[pk for pk in user_ids if pk])
    return {user.pk: str(user) for user in users}
