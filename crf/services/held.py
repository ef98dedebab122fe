"""What a save reads first, in two statements that are written out: they are asked at every answer.

Django would compile the ninety columns of an entry with its participant, visit and site anew each
time, which costs more than all else that a save does.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import connection, models

from crf.models import Entry, Query
from registry.models import Participant, Visit
from sites.models import Site

_PARTS: tuple[tuple[str, type[models.Model]], ...] = (
    ("e", Entry),
    ("p", Participant),
    ("s", Site),
    ("v", Visit),
)
_COLUMNS = {alias: list(model._meta.concrete_fields) for alias, model in _PARTS}
_SELECTED = ", ".join(f"{alias}.{field.column}" for alias in _COLUMNS for field in _COLUMNS[alias])
_HOLD = f"""
SELECT {_SELECTED}
FROM crf_entry e
JOIN registry_participant p ON p.id = e.participant_id
JOIN sites_site s ON s.id = e.site_id
LEFT JOIN registry_visit v ON v.id = e.visit_id
WHERE e.id = %s
FOR UPDATE OF e
"""  # noqa: S608

# Not part of the statement above: that one has the snapshot of before it waited for the row.
_KNOWN = """
SELECT o.id IS NOT NULL, o.entry_id, o.answer, EXISTS (
  SELECT FROM crf_query
  WHERE entry_id = %s AND (state <> 'closed' OR value_at_confirmation IS NOT NULL))
FROM (SELECT) AS one
LEFT JOIN crf_operation o ON o.user_id = %s AND o.op = %s
"""

_QUERY = list(Query._meta.concrete_fields)
_KEPT = f"""
SELECT {", ".join(f"{field.column}" for field in _QUERY)} FROM crf_query
WHERE entry_id = %s AND (state <> 'closed' OR value_at_confirmation IS NOT NULL)
ORDER BY opened_at, id
"""  # noqa: S608


def hold(entry: Entry) -> Entry:
    """The entry as it is now, with its row locked until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [entry.pk])
        values = cursor.fetchone()
    if values is None:
        raise Entry.DoesNotExist
    made: dict[str, Any] = {}
    for alias, model in _PARTS:
        own, values = values[: len(_COLUMNS[alias])], values[len(_COLUMNS[alias]) :]
        if own[0] is not None:  # the first column is the key: without one there is no visit
            made[alias] = _read(model, _COLUMNS[alias], own)
    held: Entry = made["e"]
    held.participant, held.site, held.visit = made["p"], made["s"], made.get("v")
    held.participant.site = held.site
    return held


def _read(model: type[models.Model], fields: list[Any], values: Any) -> Any:
    """The row as its model."""
    read = [
        json.loads(value) if isinstance(value, str) and _is_json(field) else value
        for field, value in zip(fields, values, strict=True)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], read)


def _is_json(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.JSONField)


@dataclass(frozen=True)
class Known:
    """What is known of a save: the operation with its id, and whether the entry has queries."""

    done: bool
    entry_id: int | None
    answer: dict[str, Any]
    has_queries: bool


def known(entry: Entry, user_id: int | None, op: uuid.UUID | None) -> Known:
    """What happened before, as it is once the row is held."""
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [entry.pk, user_id, op])
        done, done_for, answer, has_queries = cursor.fetchone()
    return Known(done, done_for, json.loads(answer) if answer else {}, has_queries)


def kept_queries(entry: Entry) -> list[Query]:
    """The queries of a form that wait for somebody, and those that confirmed a value as right."""
    with connection.cursor() as cursor:
        cursor.execute(_KEPT, [entry.pk])
        queries = [_read(Query, _QUERY, values) for values in cursor.fetchall()]
    for query in queries:
        query.entry = entry
    return queries
