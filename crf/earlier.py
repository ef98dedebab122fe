"""What the same form said at the visit before: shown beside each question and each score.

A value that jumps from one visit to the next is most often a slip of the hand, and the person who
asks wants to know what was said last time. Only what somebody began counts, and nothing that is
void; what the participant said at another visit decides nothing about this one.

One written-out statement, since it is asked for each page and each save of a form with scores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from django.db import connection

from crf.definitions import definition_of
from crf.display import answer_text
from crf.models import Entry
from crf.records import visit_word
from registry.models import Visit
from registry.services import protocol_of

_EARLIER = """
SELECT e.version_id, e.answers, e.scores, v.code, v.number
FROM crf_entry now
JOIN registry_visit today ON today.id = now.visit_id
JOIN crf_entry e ON e.site_id = now.site_id AND e.participant_id = now.participant_id
  AND e.instrument = now.instrument AND e.id <> now.id
JOIN registry_visit v ON v.id = e.visit_id
WHERE now.id = %s AND e.started_at IS NOT NULL AND e.voided_at IS NULL
  AND v.voided_at IS NULL AND v.happened_on < today.happened_on
ORDER BY v.happened_on DESC, e.id DESC
LIMIT 1
"""


@dataclass(frozen=True)
class Earlier:
    """The last entry of the same form at an earlier visit, as it is stored."""

    version_id: int
    instrument: str
    answers: Mapping[str, Any]
    scores: Mapping[str, Any]
    visit: Visit  # its code and number, to name it

    @cached_property
    def when(self) -> str:
        """What that visit is called."""
        return visit_word(self.visit, protocol_of(self.version_id))

    def said(self, item: str) -> str:
        """Its answer to a question in words; empty without one."""
        instrument = definition_of(self.version_id).instrument(self.instrument)
        if item not in self.answers or not instrument.has(item):
            return ""
        return answer_text(instrument.item(item), self.answers[item])

    def change(self, column: str, now: Any) -> Decimal | None:
        """By how much a score differs from then; None where either is no number."""
        try:
            return Decimal(str(now)) - Decimal(str(self.scores.get(column)))
        except InvalidOperation:
            return None


def earlier(entry: Entry) -> Earlier | None:
    """What the same form said at the last visit before this entry's; None at the first."""
    if entry.visit_id is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_EARLIER, [entry.pk])
        found = cursor.fetchone()
    if found is None:
        return None
    version_id, answers, scores, code, number = found
    visit = Visit(code=code, number=number)
    return Earlier(version_id, entry.instrument, json.loads(answers), json.loads(scores), visit)
